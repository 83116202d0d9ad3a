"""Writes ``docs/cli.md`` from the parsers of the commands: ``python docs/generate_cli.py``."""

import argparse
import importlib
import os
from pathlib import Path
from unittest import mock

from jobs import cli

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

Written by `python docs/generate_cli.py` from the commands themselves; do not edit.
"""
COLUMNS = "100"


def reference() -> str:
    """The text of ``docs/cli.md``: the help of every command, 100 columns wide whatever the terminal."""
    with mock.patch.dict(os.environ, {"COLUMNS": COLUMNS}):
        parts = [HEAD, _section("formscribe", cli._top_parser())]
        for name in cli.COMMANDS:
            parser = cli._command_parser(name, importlib.import_module(f"jobs.{name}"))
            parts += [_section(one.prog, one) for one in (parser, *_subparsers(parser))]
    return "\n".join(parts)


def _subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Those of a command's own subcommands, such as ``formscribe template new``."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [sub for action in actions for sub in action.choices.values()]


def _section(title: str, parser: argparse.ArgumentParser) -> str:
    lines = (line.rstrip() for line in parser.format_help().strip().splitlines())
    return f"## {title}\n\n```text\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
