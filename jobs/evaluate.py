"""Compares readings of forms with their truth, or a model with labelled characters or composed fields."""

import argparse

from jobs import composed, evaluate_dataset
from jobs.exit_codes import CommandError, ExitCode

EPILOG = f"""examples of forms:
  formscribe evaluate out --truth sample_forms/hsf
  formscribe evaluate out --truth truth.csv --json figures.json --worst worst.png

Truth is JSON, {{"source": "a.png", "fields": {{"name": "text"}}}}; or CSV with the columns source, field and
text, separated by commas, semicolons or tabs; or NIST's ref_XX.txt, for pages whose name ends in XX. Fields
without truth are not scored; pages without truth, and truth without pages, are listed.

examples of composed fields:
  formscribe evaluate --composed --data DATA
  formscribe evaluate --composed --data DATA --lines 500 --json figures.json --pictures sheets

Fields composed of characters that no shipped model was trained on tell how well rows are cut and read.

{evaluate_dataset.EPILOG}"""
# What can be evaluated, as it is named on the command line, with the flags that it brings along.
_FLAGS = {
    "OUT": ("truth", "run", "worst"),
    "--dataset": (
        "split",
        "download",
        "charset",
        "confusion",
        "against",
        "also",
        "allowed",
        "promote",
        "database",
        "model",
    ),
    "--composed": ("lines", "seed", "pictures", "over_frame", "spoilt"),
}
# Flags that something else brings along, and that go with it too.
_BORROWED = {"OUT": (), "--dataset": ("spoilt",), "--composed": ("model",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments for forms and for data sets."""
    from jobs import evaluate_forms

    evaluate_forms.add_arguments(parser.add_argument_group("forms"))
    group = parser.add_argument_group("a data set of characters, instead of OUT")
    group.add_argument(
        "--dataset",
        metavar="NAME",
        help="a name below, folder:PATH (one folder a class), npz:PATH or corrections:OUT",
    )
    evaluate_dataset.add_dataset_arguments(group)  # type: ignore[arg-type]  # a group adds alike
    group = parser.add_argument_group("composed fields, instead of OUT; --data, --model and --json as above")
    group.add_argument("--composed", action="store_true", help="compose fields of held-out characters")
    composed.add_composed_arguments(group)


def run(args: argparse.Namespace) -> int:
    """Evaluates forms, a data set or composed fields, whichever is named.

    Raises:
        CommandError: both or neither are named, or a flag of the other.
    """
    _check_flags(args, _chosen(args))
    if args.composed:
        return composed.run(args)
    if args.dataset:
        return evaluate_dataset.run(args)
    if not args.truth:
        raise CommandError(ExitCode.USAGE, "--truth: name the files or folders of truth.")
    from jobs import evaluate_forms

    return evaluate_forms.run(args)


def _chosen(args: argparse.Namespace) -> str:
    """What is to be evaluated, as in ``_FLAGS``; raises CommandError unless it is one thing."""
    named = {"OUT": args.output, "--dataset": args.dataset, "--composed": args.composed or None}
    chosen = [name for name, value in named.items() if value is not None]
    if len(chosen) != 1:
        raise CommandError(
            ExitCode.USAGE,
            "name either the folder OUT with --truth, or --dataset, or --composed. "
            "Try: formscribe evaluate --help",
        )
    return chosen[0]


def _check_flags(args: argparse.Namespace, chosen: str) -> None:
    """Raises CommandError for a flag that goes with something else only."""
    for other, names in _FLAGS.items():
        for name in names:
            fits = other == chosen or name in _BORROWED[chosen]
            if not fits and getattr(args, name) not in (None, False):
                flag = name.replace("_", "-")
                raise CommandError(ExitCode.USAGE, f"--{flag}: goes with {other}. Leave it out.")
