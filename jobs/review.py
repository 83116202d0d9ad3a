"""Opens the verification desk: a web page for the fields that people should look at, and a REST interface."""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.cli import version
from jobs.exit_codes import CommandError, ExitCode
from jobs.remote_results import refuse_remote
from pipeline.options import MAX_PIXELS, MOST_PIXELS

if TYPE_CHECKING:
    from review.desk import Desk, DeskOptions
    from segmentation.templates import FormTemplate

TOKEN_VARIABLE = "FORMSCRIBE_TOKEN"
LEAST_TOKEN = 16
PORT = 8765
NEEDED = ("fastapi", "uvicorn", "jinja2", "sqlalchemy", "alembic", "python_multipart")
EPILOG = f"""examples:
  formscribe review out
  formscribe review out --port 0 --no-browser
  formscribe review out --template my_form.toml --scans /archive/2026
  formscribe review out --host 0.0.0.0
  formscribe review out --database postgresql+psycopg://desk@db.example/formscribe

What people say is kept in OUT/_review/corrections.sqlite, or in the database; `formscribe query` and
`formscribe export` show it. Beyond this machine a token is needed: it is printed, or taken from the variable
{TOKEN_VARIABLE}. Ctrl-C ends the server with exit code 0; nothing that was saved is lost.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument("output", metavar="OUT", help="the folder that `formscribe run --output` wrote")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=PORT,
        metavar="N",
        help="port, 0 for any that is free (default: %(default)s)",
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help=f"asked of everybody, at least {LEAST_TOKEN} characters; others on this machine can see it "
        f"here, but not in the variable {TOKEN_VARIABLE} (default: none on this machine, else a random one)",
    )
    parser.add_argument(
        "--allowed-host",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="names under which browsers reach the server, of a proxy for one; others are refused",
    )
    parser.add_argument(
        "--database", metavar="URL", help="PostgreSQL for what people say (default: SQLite in OUT/_review)"
    )
    parser.add_argument(
        "--scans", metavar="FOLDER", help="where scans lie that have moved since; found by name and content"
    )
    parser.add_argument(
        "--template",
        nargs="+",
        action="extend",
        default=[],
        metavar="FORM",
        help="forms of your own that pages sent to the server can be read as; those that ship are known",
    )
    parser.add_argument("--model", metavar="FILE", help="an exported model (default: the one that ships)")
    parser.add_argument(
        "--max_pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="a larger page is not shown or read (default: %(default)s)",
    )
    parser.add_argument(
        "--max_upload_mb",
        type=int,
        default=50,
        metavar="N",
        help="most megabytes of a picture that is sent (default: %(default)s)",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser")


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    check(args)
    refuse_remote("review", args.output)
    token = checked_token(args.token or os.environ.get(TOKEN_VARIABLE) or None)
    from review.serve import access_for, address, listen, serve

    desk = open_desk(args)
    access = access_for(args.host, token, tuple(args.allowed_host), args.max_upload_mb * 1_000_000)
    try:
        listening = listen(args.host, args.port)
    except OSError as error:
        desk.close()
        raise CommandError(
            ExitCode.USAGE,
            f"--host {args.host} --port {args.port}: cannot listen there ({error.strerror}). "
            "Is another desk open? --port 0 takes any port that is free.",
        ) from None
    page = address(listening, args.host, access.token)

    def ready() -> None:
        print(f"desk: {page}", flush=True)
        if not args.no_browser and _has_screen():
            webbrowser.open(page)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as containers end it: the same as Ctrl-C
    with contextlib.suppress(KeyboardInterrupt):
        serve(desk, access, listening, ready)
    print("desk: closed", file=sys.stderr)
    return ExitCode.OK


def check(args: argparse.Namespace) -> None:
    """Sees whether the command can be done at all.

    Raises:
        CommandError: a value is out of range, or the extra is not installed.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(
            ExitCode.USAGE,
            f"review needs {', '.join(missing)}, which is not installed: pip install '.[review]', "
            "or pip install '.[review]' in the folder of the project.",
        )
    if not 0 <= args.port <= 65_535:
        raise CommandError(ExitCode.USAGE, f"--port {args.port}: is not from 0 to 65535.")
    if args.max_pixels < 1 or args.max_upload_mb < 1:
        raise CommandError(ExitCode.USAGE, "--max_pixels, --max_upload_mb: must be above 0.")
    if args.max_pixels > MOST_PIXELS:
        raise CommandError(ExitCode.USAGE, f"--max_pixels: must be at most {MOST_PIXELS:,}.")
    if args.scans and not os.path.isdir(args.scans):
        raise CommandError(ExitCode.NO_INPUT, f"--scans {args.scans}: is no folder, or may not be read.")


def checked_token(token: str | None) -> str | None:
    """A token that cannot be guessed.

    Raises:
        CommandError: it is short, or browsers could not send it.
    """
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise CommandError(
            ExitCode.USAGE, f"--token, {TOKEN_VARIABLE}: take at least {LEAST_TOKEN} letters and digits."
        )
    return token


def open_desk(args: argparse.Namespace) -> "Desk":
    """The desk with all complete runs in its queue.

    Raises:
        CommandError: results, database or templates cannot be used.
    """
    from pipeline.results import ResultsError
    from review.desk import Desk
    from review.verified import DatabaseError

    options = desk_options(args)
    try:
        desk = Desk(options)
    except ResultsError as error:
        raise CommandError(ExitCode.NO_RESULTS, str(error)) from None
    except DatabaseError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, str(error)) from None
    try:
        desk.take_in(_tell)
    except ResultsError as error:
        desk.close()
        raise CommandError(ExitCode.NO_RESULTS, str(error)) from None
    except BaseException:
        desk.close()
        raise
    return desk


def _tell(count: int) -> None:
    if count % 10_000 == 0:
        print(f"desk: {count:,} doubtful fields so far", file=sys.stderr, flush=True)


def desk_options(args: argparse.Namespace) -> "DeskOptions":
    """The options of the desk from the command line."""
    from review.database import sqlite_url
    from review.desk import DeskOptions

    output = Path(args.output)
    return DeskOptions(
        output=output,
        database=args.database or sqlite_url(output),
        templates={form.name: form for form in known_templates(args.template)},
        scans=Path(args.scans) if args.scans else None,
        model_path=args.model,
        max_pixels=args.max_pixels,
        version=version(),
    )


def known_templates(names: list[str]) -> list["FormTemplate"]:
    """The forms that ship, and those named; of two with one name the one that was named.

    Raises:
        CommandError: one of them cannot be used.
    """
    from segmentation.choosing import load_templates
    from segmentation.templates import TemplateError, shipped_templates

    try:
        return [*load_templates(shipped_templates()), *(load_templates(names) if names else ())]
    except (TemplateError, OSError) as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None


def _has_screen() -> bool:
    """Elsewhere ``webbrowser`` would start one in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
