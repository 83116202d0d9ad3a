"""Stdout and stderr as the shell hands them over: closed, full, of a small alphabet, or read no longer."""

import io
import os
import sys
from typing import TextIO

from jobs.exit_codes import ExitCode
from jobs.visible import visible

LINES = "\n\t"  # of messages of several lines


def ready_streams() -> None:
    """Lets every text be written, and gives what the shell has closed a place where nothing is kept."""
    if sys.stdout is None or sys.stderr is None:
        _open_descriptors()
        sys.stdout = sys.stdout or _nowhere(1)
        sys.stderr = sys.stderr or _nowhere(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_descriptors() -> None:
    """Else the next file that is opened would be taken for stdout by whatever writes there."""
    place = os.open(os.devnull, os.O_RDWR)
    while place < 3:
        place = os.open(os.devnull, os.O_RDWR)
    os.close(place)


def _nowhere(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def tell(message: str) -> None:
    """Writes a line on stderr, or nothing if nobody can read it."""
    try:
        print(f"formscribe: {visible(message, keep=LINES)}", file=sys.stderr, flush=True)
    except OSError:  # what is left in its buffer would change the exit code at the end
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open to the end


def flush_stdout(code: int) -> int:
    """Writes what has been printed; returns the exit code, another one if that is no success after all.

    Nothing is said if the reader has closed its end: ``| head`` for one has seen enough.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        forget_stdout()
    except OSError as error:
        return give_up_stdout(error, code)
    return code


def give_up_stdout(error: OSError, code: int) -> int:
    """Says why what was printed is lost; returns the exit code, which is no success any more."""
    forget_stdout()
    tell(f"stdout: cannot be written ({error.strerror}); what was printed is not complete.")
    return int(ExitCode.OUTPUT_NOT_WRITABLE) if code == ExitCode.OK else code


def stdout_is_broken() -> bool:
    """Whether nothing can be written: tried with an empty line, as only a command that fails asks."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def forget_stdout() -> None:
    """Keeps the interpreter from trying once more at its end, and from complaining then."""
    sys.stdout = None  # type: ignore[assignment]
