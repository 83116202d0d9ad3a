"""The command ``formscribe``: finds the subcommand, loads only its module, turns errors into exit codes."""

import argparse
import difflib
import importlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from types import ModuleType
from typing import NoReturn, TextIO

from jobs.exit_codes import MEANINGS, CommandError, ExitCode
from jobs.streams import flush_stdout, forget_stdout, give_up_stdout, ready_streams, stdout_is_broken, tell

COMMANDS = {
    "run": "read scanned forms and write what stands on them as Parquet",
    "query": "ask the results in SQL",
    "review": "look at doubtful fields in the browser, and correct them",
    "export": "write the verified table: what people said, else what was read",
    "template": "draft, check and draw the template of a form of your own",
    "preview": "draw boxes, cuts and readings on a page",
    "samples": "render filled sample forms with their truth",
    "train": "train the character model",
    "predict": "read the character on a picture",
    "evaluate": "compare readings with the truth",
    "report": "write one HTML file about a run, to read or send around",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that never guesses abbreviations and says only what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raises CommandError instead of printing the whole usage and leaving the process."""
        raise CommandError(ExitCode.USAGE, f"{message}\nTry: {self.prog} --help")


def version() -> str:
    """Version of the installed package, or ``unknown`` in a bare checkout."""
    try:
        return metadata.version("formscribe")
    except metadata.PackageNotFoundError:
        return "unknown"


def suggest(wrong: str, known: Sequence[str]) -> str:
    """A did-you-mean with a leading space, or nothing if no known word is near."""
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after ``formscribe``; those of the process if None.

    Returns:
        An ``ExitCode``; errors have been printed on stderr.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # before the libraries are loaded, which takes the most part of a short command
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    ready_streams()
    code = _guarded(words, "-v" in words or "--verbose" in words, argv is None)
    return flush_stdout(code)


def _guarded(words: list[str], verbose: bool, may_exit: bool) -> int:
    try:
        return int(_dispatch(words, verbose))
    except CommandError as error:
        tell(str(error))
        return int(error.code)
    except KeyboardInterrupt:
        tell("interrupted")
        if may_exit:  # a runner's threads would keep the process for as long as they still have work
            os._exit(ExitCode.INTERRUPTED)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader, `| head` for one, has seen enough
        forget_stdout()
        return int(ExitCode.OK)
    except SystemExit as leave:  # argparse after --help
        return int(leave.code or 0)
    except Exception as error:
        if isinstance(error, OSError) and stdout_is_broken():
            return give_up_stdout(error, ExitCode.OK)
        if verbose:
            logging.exception("internal error")
        remedy = "" if verbose else " Add -v to see where, and please report it."
        tell(f"internal error: {type(error).__name__}: {error}.{remedy}")
        return int(ExitCode.INTERNAL_ERROR)


def _dispatch(words: list[str], verbose: bool) -> int:
    if not words or words[0].startswith("-"):
        _top_parser().parse_args(words)
        _top_parser().print_help()
        return ExitCode.OK if words else ExitCode.USAGE
    name = words[0]
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        raise CommandError(
            ExitCode.USAGE,
            f"{name!r} is not a command.{suggest(name, list(COMMANDS))} Commands are: {known}.",
        )
    _quieten(verbose)
    # Read when numpy is first imported: parallelism belongs to the runner, threads in a worker slow it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    module = importlib.import_module(f"jobs.{name}")
    args, rest = _command_parser(name, module).parse_known_args(words[1:])
    if rest and not getattr(module, "PASSES_FLAGS_ON", False):
        raise CommandError(ExitCode.USAGE, unknown_flag(rest[0], _flags_of(name, module), name))
    args.rest = rest
    return int(module.run(args))


def unknown_flag(word: str, known: Sequence[str], command: str) -> str:
    """The message about a word on the command line that nothing understands."""
    flag = word.split("=", 1)[0]
    what = "unknown flag" if flag.startswith("-") else "unexpected word"
    return f"{command}: {what} {flag}.{suggest(flag, known)} Try: formscribe {command} --help"


def _flags_of(name: str, module: ModuleType) -> list[str]:
    actions = _command_parser(name, module)._actions
    return [flag for action in actions for flag in action.option_strings]


def _command_parser(name: str, module: ModuleType) -> Parser:
    parser = Parser(
        prog=f"formscribe {name}",
        description=(module.__doc__ or "").strip().partition("\n")[0],
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if "--verbose" not in parser._option_string_actions:
        parser.add_argument("-v", "--verbose", action="store_true", help="show warnings, logs and tracebacks")
    return parser


def _top_parser() -> Parser:
    commands = "\n".join(f"  {name:<10} {line}" for name, line in COMMANDS.items())
    codes = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    parser = Parser(
        prog="formscribe",
        usage="formscribe COMMAND ...",
        description="Reads scanned, hand-filled forms by the million.\n\ncommands:\n" + commands,
        epilog="`formscribe COMMAND --help` explains a command.\n\nexit codes:\n" + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"formscribe {version()}")
    return parser


@contextmanager
def stderr_hidden(verbose: bool = False) -> Iterator[TextIO]:
    """Keeps off the terminal what libraries and worker processes write straight to stderr.

    Yields:
        A stream that still reaches the terminal.
    """
    if verbose:
        yield sys.stderr
        return
    sys.stderr.flush()
    terminal = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield terminal
    finally:
        sys.stderr.flush()
        os.dup2(terminal.fileno(), 2)
        with suppress(OSError):  # nobody reads stderr any longer
            terminal.close()


def _quieten(verbose: bool) -> None:
    """Keeps the logs and warnings of the libraries off the terminal unless they are asked for."""
    logging.basicConfig(level=logging.INFO if verbose else logging.CRITICAL, force=True)
    if not verbose:
        warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
