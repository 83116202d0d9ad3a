"""The command itself: help, commands, exit codes, and that it starts at once."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_query import field_row, write_run

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


def in_a_shell(words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a shell runs it, with pipes and redirections; `formscribe` stands for the program."""
    program = f"'{sys.executable}' -m jobs.cli"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words.replace('formscribe', program)}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def named_in_french(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    rows = [field_row(f"/scans/café {number}.png", "1") for number in range(10_000)]
    write_run(folder, "only", "2026-01-01T00:00:00", fields=rows)
    return folder


# Without its buffer argparse itself passes over what it cannot print.
@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [
        ("formscribe --help", ""),
        ("formscribe query {} --rows 0", ""),
        ("formscribe query {} --rows 0", "1"),
    ],
)
@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("> /dev/full", 6, "formscribe: stdout: cannot be written (No space left on device)"),
        ("2> /dev/full", 0, ""),
        ("| (exec 0<&-; sleep 1)", 0, ""),
        ("| head -n 1", 0, ""),
    ],
)
def test_streams_that_nobody_reads(named_in_french, words, unbuffered, streams, code, told):
    ended = in_a_shell(f"{words.format(named_in_french)} {streams}", PYTHONUNBUFFERED=unbuffered)
    assert (ended.returncode, ended.stderr[: len(told) or None]) == (code, told)
    assert ended.stderr.count("\n") == bool(told)


@pytest.mark.parametrize("streams", ["2>&-", "2> /dev/full", ">&-", "> /dev/full", "| (exec 0<&-)"])
def test_an_error_keeps_its_code_whoever_reads_of_it(streams):
    assert in_a_shell(f"formscribe query /nowhere {streams}").returncode == 9


def test_what_an_alphabet_cannot_say_is_escaped(named_in_french):
    ended = in_a_shell(f"formscribe query '{named_in_french}' --rows 1", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "caf\\xe9 0.png" in ended.stdout
    ended = in_a_shell("formscribe query /café", PYTHONIOENCODING="ascii")
    assert ended.returncode == 9
    assert "/caf\\xe9: is no folder" in ended.stderr


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_still_loading_can_be_stopped(sign):
    program = (
        "import os, signal, sys, time; from jobs import cli; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a job in the background ignores it
        f"load = lambda *words: (os.kill(os.getpid(), signal.{sign}), time.sleep(5)); "
        "cli.importlib.import_module = load; sys.argv[1:] = ['query', 'out']; sys.exit(cli.main())"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, "formscribe: interrupted\n")
