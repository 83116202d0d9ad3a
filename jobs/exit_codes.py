"""Exit codes of every command, and the error that carries one; scripts rely on them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command tells the shell.

    A job that read at least one page ends with OK: pages that could not be read are rows of ``failures``, and
    the summary counts them. Only a job that read nothing at all ends with ALL_PAGES_FAILED.
    """

    OK = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    NO_INPUT = 3
    BAD_TEMPLATE = 4
    BAD_MODEL = 5
    OUTPUT_NOT_WRITABLE = 6
    ALL_PAGES_FAILED = 7
    JOB_FAILED = 8
    NO_RESULTS = 9
    BAD_QUERY = 10
    TOO_MANY_FAILURES = 11
    MODEL_WORSE = 12
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done; pages that could not be read, if any, are rows of the view `failures`",
    ExitCode.INTERNAL_ERROR: "a fault of formscribe itself; -v shows where",
    ExitCode.USAGE: "an unknown command or flag, or a value out of range; nothing was started",
    ExitCode.NO_INPUT: "no file matches an input, or its bucket cannot be used",
    ExitCode.BAD_TEMPLATE: "the template is missing or wrong",
    ExitCode.BAD_MODEL: "the model is missing or cannot be loaded",
    ExitCode.OUTPUT_NOT_WRITABLE: "the output cannot be written",
    ExitCode.ALL_PAGES_FAILED: "the job ended, but not one page could be read",
    ExitCode.JOB_FAILED: "the runner gave the job up; nothing of it is visible in the output",
    ExitCode.NO_RESULTS: "the folder holds no complete run",
    ExitCode.BAD_QUERY: "the SQL is wrong, or does more than read",
    ExitCode.TOO_MANY_FAILURES: (
        "more pages failed than --max_failure_ratio allows; stderr says whether the run is visible"
    ),
    ExitCode.MODEL_WORSE: "the new model reads a set worse than the old one, and was not promoted",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C or SIGTERM; nothing of the run is visible in the output",
}


class CommandError(Exception):
    """Ends a command with one line on stderr and an exit code.

    The message names the file or flag and the remedy.
    """

    def __init__(self, code: ExitCode, message: str) -> None:
        """Keeps the code beside the message."""
        super().__init__(message)
        self.code = code
