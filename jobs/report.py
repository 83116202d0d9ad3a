"""Writes one HTML file about a run: totals, doubts, failures, pictures, and accuracy beside the truth."""

import argparse
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import duckdb

from jobs.exit_codes import CommandError, ExitCode
from jobs.form_comparison import Comparison, check_comparable, compare
from jobs.query import add_database, open_results
from jobs.remote_results import local_results
from jobs.report_accuracy import accuracy_section, confusion_section, reliability_section, wrong_accepted
from jobs.report_data import RunData, read_data
from jobs.report_examples import examples_section, pages_section
from jobs.report_html import Html, Section, count, data_text, element, paragraph
from jobs.report_pictures import Budget
from jobs.report_sections import (
    attention_section,
    failures_section,
    fields_section,
    histogram_section,
    parameters_section,
    totals_section,
    verified_section,
    when,
)
from jobs.truth import Truth, TruthError, read_truth

WORST, MOST_WORST = 24, 200
PAGES, MOST_PAGES = 2, 20
# Nothing from elsewhere and no script, even if a text of the data should ever get through as markup.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
EPILOG = """examples:
  formscribe report out
  formscribe report out --truth sample_forms/hsf --out accuracy.html
  formscribe report out --run 20260131T235959-1a2b3c --worst 60 --pages 4

The file needs nothing else: pictures and style are inside it, there is no script in it, and it can be sent
around. With --truth (the same files as `formscribe evaluate`) it tells how much is right, what is confused
and how far confidences can be trusted, and shows the wrong fields; without, the most doubtful ones. Pictures
are cut from the scans if they are still where they were; they show what people wrote, so send them only to
those who may see it, or leave them out: --worst 0 --pages 0.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument("output", metavar="OUT", help="the folder that `formscribe run --output` wrote")
    parser.add_argument(
        "--out", default="report.html", metavar="HTML", help="the file to write (default: %(default)s)"
    )
    parser.add_argument(
        "--truth",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="what is written: files or folders of JSON, CSV or NIST's ref_XX.txt",
    )
    parser.add_argument(
        "--run", metavar="ID", help="only this run (default: the newest complete one of each source)"
    )
    parser.add_argument(
        "--worst",
        type=int,
        default=WORST,
        metavar="N",
        help=f"fields with their pictures, 0 to {MOST_WORST} (default: %(default)s)",
    )
    parser.add_argument(
        "--pages",
        type=int,
        default=PAGES,
        metavar="N",
        help=f"whole pages with boxes and readings, 0 to {MOST_PAGES} (default: %(default)s)",
    )
    add_database(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the report, complete or not at all, and prints where it is."""
    _check_range("--worst", args.worst, MOST_WORST)
    _check_range("--pages", args.pages, MOST_PAGES)
    target = Path(args.out)
    with whole_file(target) as stream:
        stream.write(_page(args).encode("utf-8"))
    print(f"report: {target} ({target.stat().st_size / 1000:,.0f} kB)")
    return ExitCode.OK


def _page(args: argparse.Namespace) -> Html:
    truth = _truth(args.truth)
    with local_results(args.output, args.run, ("forms", "fields", "failures")) as folder:
        connection = open_results(folder, args.run, database=args.database)
        data = read_data(connection, folder)
        comparison = _comparison(connection, truth, args.output)
        return build(connection, data, comparison, args.output, args.worst, args.pages)


def build(
    connection: duckdb.DuckDBPyConnection,
    data: RunData,
    comparison: Comparison | None,
    output: str,
    fields: int,
    pages: int,
) -> Html:
    """The whole page as HTML.

    Args:
        connection: the views of ``query.open_results``.
        data: what ``read_data`` added up of them.
        comparison: with the truth, if it is known.
        output: the folder, for the title.
        fields: how many with their pictures.
        pages: how many drawn.
    """
    budget = Budget()
    accepted = wrong_accepted(comparison.fields) if comparison else None
    sections = [
        totals_section(data),
        attention_section(data, accepted),
        accuracy_section(comparison) if comparison else None,
        reliability_section(comparison) if comparison else histogram_section(data),
        verified_section(data),
        examples_section(connection, data, comparison, fields, budget),
        confusion_section(comparison) if comparison else None,
        pages_section(connection, data, pages, budget),
        fields_section(data),
        failures_section(data),
        parameters_section(data),
    ]
    return _document(output, data, [one for one in sections if one])


def _document(output: str, data: RunData, sections: list[Section]) -> Html:
    name = Path(output).resolve().name or output
    title = f"Report on {' '.join(name.split())}"
    style = resources.files("jobs").joinpath("report.css").read_text("utf-8")
    newest = when(data.runs[0].get("finished")) if data.runs else "–"
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    intro = paragraph(
        f"{count(data.pages, 'page')} of {count(data.files, 'file')}, {count(data.run_count, 'run')}, "
        f"the newest finished {newest}. Written {now} by formscribe."
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", **{"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("title", title),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "To the contents", href="#contents", class_="skip"),
        element("header", element("h1", "Report on ", data_text(name)), intro),
        _contents(sections),
        element("main", *(one.markup for one in sections)),
    )
    return Html("<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n")


def _contents(sections: list[Section]) -> Html:
    """Links to the sections."""
    entries = [element("li", element("a", one.title, href=f"#{one.identifier}")) for one in sections]
    return element("nav", element("ol", *entries), id="contents", aria_label="Contents")


def _truth(paths: list[str] | None) -> Truth | None:
    try:
        return read_truth(paths) if paths else None
    except TruthError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--truth: {error}") from None


def _comparison(connection: duckdb.DuckDBPyConnection, truth: Truth | None, output: str) -> Comparison | None:
    if truth is None:
        return None
    try:
        comparison = compare(connection, truth)
    except TruthError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--truth: {error}") from None
    check_comparable(comparison, output)
    return comparison


def _check_range(flag: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise CommandError(
            ExitCode.USAGE, f"{flag} {value}: must be 0 to {most}, so that the file stays small."
        )


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when the block ends without an error.

    Yields:
        A stream to a file beside it, which is deleted if there is an error.

    Raises:
        CommandError: it cannot be written; said before the block begins, if that can be known.
    """
    if os.path.isdir(target):
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"--out {target}: is a folder. Name a file.")
    if os.path.exists(target) and not os.path.isfile(target):
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"--out {target}: is no file. Name a file.")
    place = target.resolve()
    temporary = place.with_name(f".formscribe-{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(place)
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--out {target}: cannot be written ({error.strerror or error}). Name a file in a folder that "
            "exists and has room.",
        ) from None
    finally:
        with suppress(OSError):  # gone, or never made
            temporary.unlink()
