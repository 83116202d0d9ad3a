"""The Flex Template: its entry, and the parameters that Google's console asks for.

The file ``metadata.json`` is made from the flags of ``formscribe run``:
``python -m jobs.dataflow.template > jobs/dataflow/metadata.json``.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

LOCAL = ("workers", "help")  # flags that mean nothing there
_IMAGE = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "the image of this template, in which formscribe is installed already; without it each "
    "worker installs it when it starts",
    "isOptional": True,
    "regexes": ["^.+$"],
}
_REGEXES = {"input": r"^((gs|s3)://\S+\s*)+$", "output": "^gs://.+$", "resume": "^(true|false)$"}


def run_flags() -> list[argparse.Action]:
    """The flags of ``formscribe run`` that a template takes."""
    from jobs import run

    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return [action for action in parser._actions if action.dest not in LOCAL]


def metadata() -> dict[str, Any]:
    """What ``gcloud dataflow flex-template build --metadata-file`` takes."""
    return {
        "name": "formscribe",
        "description": "Reads scanned, hand-filled forms and writes what stands on them as Parquet.",
        "parameters": [*map(_parameter, run_flags()), _IMAGE],
    }


def _parameter(action: argparse.Action) -> dict[str, Any]:
    help_text = (action.help or "") % {"default": action.default}
    if action.nargs == "+":
        help_text += "; several with spaces between them"
    return {
        "name": action.dest,
        "label": action.dest.replace("_", " ").capitalize(),
        "helpText": help_text,
        "isOptional": not action.required,
        "regexes": [_REGEXES.get(action.dest, "^.+$")],
    }


def command_words(parameters: Sequence[str]) -> list[str]:
    """The parameters as the template's launcher gives them, as words for ``formscribe run``.

    A parameter has one value: several inputs stand in one, and a flag without a value is true or false.
    """
    actions = {action.dest: action for action in run_flags()}
    words: list[str] = []
    for parameter in parameters:
        name, equals, value = parameter.removeprefix("--").partition("=")
        action = actions.get(name)
        if action is not None and equals and action.nargs == "+":
            words += [f"--{name}", *shlex.split(value)]
        elif action is not None and equals and action.nargs == 0:
            words += [f"--{name}"] if value.lower() == "true" else []
        else:
            words.append(parameter)
    return words


def main(parameters: Sequence[str] | None = None) -> int:
    """Runs a job with the parameters of a template; returns an ``ExitCode``."""
    from jobs.cli import main as command

    return command(["run", *command_words(sys.argv[1:] if parameters is None else parameters)])


if __name__ == "__main__":
    print(json.dumps(metadata(), indent=2))
