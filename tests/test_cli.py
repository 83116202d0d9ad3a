"""The command itself: help, commands, exit codes, and that it starts at once."""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import cli
from jobs.exit_codes import MEANINGS, CommandError, ExitCode

ROOT = Path(__file__).resolve().parent.parent


def fake_command(monkeypatch, run, **attributes):
    """Puts a command of our own in the place of ``query``."""

    def add_arguments(parser):
        parser.add_argument("--shade", type=int, default=1)

    module = SimpleNamespace(
        __doc__="Does nothing.\n\nMore.", add_arguments=add_arguments, run=run, **attributes
    )
    monkeypatch.setitem(sys.modules, "jobs.query", module)


def test_without_a_command_it_helps(capsys):
    assert cli.main([]) == ExitCode.USAGE
    assert cli.main(["--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)
    assert all(meaning in out for meaning in MEANINGS.values())


def test_every_exit_code_is_explained():
    assert set(MEANINGS) == set(ExitCode)
    assert len(set(ExitCode)) == len(ExitCode.__members__)


def test_version(capsys):
    assert cli.main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("formscribe ")


def test_a_mistyped_command(capsys):
    assert cli.main(["qeury"]) == ExitCode.USAGE
    assert "'qeury' is not a command. Did you mean query?" in capsys.readouterr().err


def test_a_mistyped_flag_and_no_abbreviations(capsys, monkeypatch):
    fake_command(monkeypatch, run=lambda args: 0)
    assert cli.main(["query", "--shad", "2"]) == ExitCode.USAGE
    assert "query: unknown flag --shad. Did you mean --shade?" in capsys.readouterr().err
    assert cli.main(["query", "--shade", "two"]) == ExitCode.USAGE
    assert "invalid int value: 'two'" in capsys.readouterr().err
    assert cli.main(["query", "--shade", "2"]) == ExitCode.OK


def test_flags_reach_a_command_that_passes_them_on(monkeypatch):
    seen = []
    fake_command(monkeypatch, run=lambda args: seen.append(args.rest) or 0, PASSES_FLAGS_ON=True)
    assert cli.main(["query", "--runner", "X", "--shade=2", "--y=1"]) == ExitCode.OK
    assert seen == [["--runner", "X", "--y=1"]]


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            CommandError(ExitCode.NO_INPUT, "--input x: missing."),
            ExitCode.NO_INPUT,
            "formscribe: --input x: missing.",
        ),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "formscribe: interrupted"),
        (ValueError("odd"), ExitCode.INTERNAL_ERROR, "formscribe: internal error: ValueError: odd. Add -v"),
        (SystemExit(2), 2, ""),
    ],
)
def test_errors_become_one_line_and_an_exit_code(monkeypatch, capsys, error, code, told):
    def run(args):
        raise error

    fake_command(monkeypatch, run)
    assert cli.main(["query"]) == code
    assert capsys.readouterr().err.startswith(told)


def test_help_of_a_command_comes_from_its_module(monkeypatch, capsys):
    fake_command(monkeypatch, run=lambda args: 0, EPILOG="examples:\n  formscribe query out")
    assert cli.main(["query", "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "Does nothing." in out
    assert "formscribe query out" in out
    assert "More." not in out


@pytest.mark.parametrize(
    "command", [name for name in cli.COMMANDS if (ROOT / "jobs" / f"{name}.py").exists()]
)
def test_every_command_has_help(command, capsys):
    assert cli.main([command, "--help"]) == ExitCode.OK
    assert f"usage: formscribe {command}" in capsys.readouterr().out


def test_a_closed_pipe_is_no_error(tmp_path):
    code = "import sys; from jobs import cli; sys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.run(
        f"{sys.executable} -c '{code}' --help | true", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_a_flag_with_several_values_may_be_repeated(command):
    parser = cli._command_parser(command, importlib.import_module(f"jobs.{command}"))
    flags = [action for action in parser._actions if action.option_strings and action.nargs == "+"]
    assert all(isinstance(action, argparse._ExtendAction) for action in flags), flags


def test_a_repeated_flag_drops_nothing():
    parser = cli._command_parser("run", importlib.import_module("jobs.run"))
    words = ["--input", "a", "b", "--template", "x", "--output", "out", "--input", "c", "--template", "y"]
    args = parser.parse_args(words)
    assert (args.input, args.template) == (["a", "b", "c"], ["x", "y"])
