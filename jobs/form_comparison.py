"""The tables of a run beside the truth: which fields can be compared, and what cannot and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from jobs.exit_codes import CommandError, ExitCode
from jobs.form_scores import ScoredField, score_field
from jobs.truth import Matching, PageName, Truth, match_truth
from segmentation.composed_text import composed

LISTED = 5  # names in a message


@dataclass(frozen=True)
class Comparison:
    """Results beside their truth.

    Attributes:
        fields: everything that could be compared.
        places: path, hash and box of each field, in the same order.
        pages: pages that were read and have truth.
        matching: which truth belongs to which page, read or failed.
        failed: failed pages, with their code.
        unread: fields that the truth names and the results lack: page, field.
        skipped: files of the truth's folder that hold none.
    """

    fields: list[ScoredField]
    places: list[dict[str, Any]]
    pages: list[PageName]
    matching: Matching
    failed: dict[PageName, str]
    unread: list[tuple[PageName, str]]
    skipped: tuple[str, ...]

    def page_lists(self) -> dict[str, Any]:
        """Every page and truth that was not compared, and why, for JSON."""
        return {
            "compared": len(self.pages),
            "failed_with_truth": [
                {"source": page[0], "page": page[1], "code": code}
                for page, code in self.failed.items()
                if page in self.matching.found
            ],
            "without_truth": [
                {"source": page[0], "page": page[1]}
                for page in self.matching.without_truth
                if page not in self.failed
            ],
            "truth_without_page": [
                {"source": one.source, "page": one.page, "file": one.file}
                for one in self.matching.without_page
            ],
            "truth_of_several_pages": [
                {
                    "source": one.source,
                    "page": one.page,
                    "file": one.file,
                    "fits": [page[0] for page in pages],
                }
                for one, pages in self.matching.ambiguous
            ],
            "fields_not_read": [
                {"source": page[0], "page": page[1], "field": name} for page, name in self.unread
            ],
            "files_without_truth": list(self.skipped),
        }


def compare(connection: duckdb.DuckDBPyConnection, truth: Truth) -> Comparison:
    """Reads the tables and compares every field whose truth is known.

    Raises:
        TruthError: two truths contradict each other.
    """
    read = dict.fromkeys(
        (s, int(p)) for s, p in connection.execute("SELECT source, page FROM forms").fetchall()
    )
    failures = connection.execute("SELECT source, coalesce(page, 1), code FROM failures").fetchall()
    failed = {(source, int(page)): str(code) for source, page, code in failures if (source, page) not in read}
    matching = match_truth(truth, sorted([*read, *failed]))
    known = {page: matching.fields(page) for page in matching.found if page in read}
    fields, places = [], []
    missing = {(page, name) for page, texts in known.items() for name in texts}
    for row in _field_rows(connection):
        page = (row["source"], row["page"])
        name = composed(row["field"])  # a template may have been written on a Mac
        if name in known.get(page, {}):
            fields.append(score_field(row, known[page][name]))
            places.append(row)
            missing.discard((page, name))
    return Comparison(fields, places, sorted(known), matching, failed, sorted(missing), truth.skipped)


def _field_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    cursor = connection.execute(
        "SELECT source, page, field, text, confidence, status, charset, sha256, "
        "box_x, box_y, box_width, box_height "
        "FROM fields JOIN (SELECT source, page, run, sha256 FROM forms) USING (source, page, run) "
        "ORDER BY source, page, ordinal"
    )
    names = [column[0] for column in cursor.description or ()]
    while batch := cursor.fetchmany(10_000):
        for values in batch:
            yield dict(zip(names, values, strict=True))


def check_comparable(comparison: Comparison, output: str) -> None:
    """Raises CommandError if not one field could be compared."""
    if comparison.fields:
        return
    lists = comparison.page_lists()
    truths = [entry["source"] for entry in lists["truth_without_page"] + lists["truth_of_several_pages"]]
    pages = [entry["source"] for entry in lists["without_truth"]]
    raise CommandError(
        ExitCode.NO_INPUT,
        f"--truth: no field of {output} has a truth. Truth is known of "
        f"{some_of(truths) or 'no page by name'}; pages read without one are "
        f"{some_of(pages) or 'none'}. The source in the truth must be the end of a page's path, "
        "its fields those of the template.",
    )


def some_of(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
