"""Readings of whole forms against their truth: tables, JSON, and a picture of the worst fields."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from jobs.exit_codes import CommandError, ExitCode
from jobs.form_comparison import Comparison, check_comparable, compare
from jobs.form_report import as_dict, print_report
from jobs.form_scores import ScoredField
from jobs.query import open_results
from jobs.remote_results import TABLES, local_results
from jobs.truth import TruthError, read_truth

WORST = 40  # fields in the picture


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds the arguments of this half of the command; ``--json`` is shared with the other half."""
    parser.add_argument(
        "output", metavar="OUT", nargs="?", help="the folder that `formscribe run --output` wrote"
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
        "--worst", metavar="PNG", help=f"draw the wrong fields that were surest, {WORST} at most"
    )


def run(args: argparse.Namespace) -> int:
    """Compares, prints, and writes what was asked for."""
    tables = [table for table in TABLES if args.worst or table != "characters"]
    with local_results(args.output, args.run, tables) as folder:
        return _evaluate(args, folder)


def _evaluate(args: argparse.Namespace, folder: Path) -> int:
    try:
        truth = read_truth(args.truth)
        connection = open_results(folder, args.run)
        comparison = compare(connection, truth)
    except TruthError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--truth: {error}") from None
    check_comparable(comparison, args.output)
    result = as_dict(comparison)
    if args.json:
        content = json.dumps({"output": args.output, "run": args.run} | result, indent=1, ensure_ascii=False)
        _write(args.json, "--json", lambda path: path.write_text(content + "\n", "utf-8"))
    print_report(sys.stdout, comparison)
    if args.worst:
        write_worst(args.worst, connection, comparison)
    return ExitCode.OK


def write_worst(path: str, connection: duckdb.DuckDBPyConnection, comparison: Comparison) -> None:
    """Draws the wrong fields that were surest, from their scans, else from the crops of characters.

    Raises:
        CommandError: the picture cannot be written.
    """
    from jobs.worst_fields import FieldPlace, cut_from_scans, draw_worst, join_crops, worst

    chosen = worst(comparison.fields, WORST)
    rows = {(row["source"], row["page"], row["field"]): row for row in comparison.places}
    places = []
    for one in chosen:
        row = rows[one.source, one.page, one.name]
        box = (row["box_x"], row["box_y"], row["box_width"], row["box_height"])
        places.append(FieldPlace(one.source, row["sha256"], one.page, box))
    cuts = cut_from_scans(places)
    for i, one in enumerate(chosen):
        if cuts[i] is None:
            cuts[i] = join_crops(_crops(connection, one))
    wrong = sum(not one.right for one in comparison.fields)
    title = f"{len(chosen)} of {wrong} wrong fields, the surest first"
    picture = draw_worst(chosen, cuts.__getitem__, title)
    _write(path, "--worst", lambda target: picture.save(target, "PNG"))
    print(f"worst fields: {path}")


def _crops(connection: duckdb.DuckDBPyConnection, one: ScoredField) -> list[bytes]:
    rows = connection.execute(
        "SELECT crop FROM characters WHERE source = ? AND page = ? AND field = ? ORDER BY position",
        [one.source, one.page, one.name],
    ).fetchall()
    return [bytes(row[0]) for row in rows]


def _write(path: str, flag: str, write: Callable[[Path], object]) -> None:
    try:
        write(Path(path))
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"{flag} {path}: cannot be written ({error.strerror}). Name a file in a folder that exists.",
        ) from None
