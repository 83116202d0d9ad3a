"""Figures of compared forms, as tables for people and as JSON for programs."""

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from jobs.form_comparison import Comparison, some_of
from jobs.form_scores import (
    SHARES,
    TARGETS,
    GroupFigures,
    ScoredField,
    calibration,
    confusions,
    decisions,
    figures,
    group_by,
    length_range,
    rejection_curve,
    rejection_for,
)
from jobs.visible import visible

EMPTY = "empty"  # the kind of fields in which nothing is written
CONFUSED = 15


def kind_of(one: ScoredField) -> str:
    """The charset of a field, or ``empty`` if nothing is written there."""
    return one.charset if one.truth else EMPTY


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """All figures for JSON."""
    fields = comparison.fields
    written = [one for one in fields if one.truth]
    kinds = {"all": fields} | group_by(fields, lambda one: one.charset)
    return {
        "pages": comparison.page_lists(),
        "written": figures(written).as_dict(),
        "types": {name: figures(part).as_dict() for name, part in group_by(fields, kind_of).items()},
        "lengths": [
            {"type": kind, "from": low, "to": high} | figures(part).as_dict()
            for (kind, low, high), part in _by_length(written)
        ],
        "decided": {name: group.as_dict() for name, group in decisions(fields).items()},
        "rejection": {name: [p.as_dict() for p in rejection_curve(part)] for name, part in kinds.items()},
        "rejection_for_error": {
            name: {str(t): point.as_dict() if (point := rejection_for(part, t)) else None for t in TARGETS}
            for name, part in kinds.items()
        },
        "calibration": {name: calibration(part) for name, part in kinds.items()},
        "confusions": [
            {"truth": truth, "read": read, "count": count} for truth, read, count in confusions(fields)
        ],
        "wrong_fields": [one.as_dict() for one in fields if not one.right],
    }


def _by_length(
    written: Sequence[ScoredField],
) -> Iterable[tuple[tuple[str, int, int | None], list[ScoredField]]]:
    for kind, part in group_by(written, lambda one: one.charset).items():
        ranges = group_by(part, lambda one: length_range(len(one.truth))[0])
        for low, members in ranges.items():
            yield (kind, low, length_range(low)[1]), members


def print_report(stream: TextIO, comparison: Comparison) -> None:
    """Prints the figures as tables, and notes on everything that was not compared."""
    fields = comparison.fields
    written = [one for one in fields if one.truth]
    print(f"compared: pages {len(comparison.pages):,}, fields {len(fields):,}, spaces aside\n", file=stream)
    header = ["type", "fields", "right", "%", "characters", "right", "%", "subst.", "ins.", "del."]
    rows = [[name, *_cells(figures(part))] for name, part in group_by(fields, kind_of).items()]
    rows.append(["all written", *_cells(figures(written))])
    _print_table(stream, header, rows)
    header[0] = "type and length"
    lengths = [
        [f"{kind} {_range(low, high)}", *_cells(figures(part))]
        for (kind, low, high), part in _by_length(written)
    ]
    _print_table(stream, header, lengths)
    _print_rejection(stream, fields)
    _print_decisions(stream, fields)
    pairs = [f"{t or '(none)'} as {r or '(none)'} {n}x" for t, r, n in confusions(fields)[:CONFUSED]]
    print(f"most confused: {', '.join(pairs) or 'nothing'}", file=stream)
    for note in notes(comparison):
        print(f"note: {visible(note)}", file=stream)


def _print_rejection(stream: TextIO, fields: Sequence[ScoredField]) -> None:
    kinds = {"all": fields} | group_by(fields, lambda one: one.charset)
    curves = {name: curve for name, part in kinds.items() if (curve := rejection_curve(part))}
    if not curves:
        return
    print("% of wrong fields among the accepted, if so many, the least sure, are rejected", file=stream)
    points = zip(*curves.values(), strict=True)
    shares = [f"{100 * share:g} %" for share in SHARES]
    rows = [
        [share, *(_percent(point.error) for point in row)] for share, row in zip(shares, points, strict=True)
    ]
    for target in TARGETS:
        found = [rejection_for(kinds[name], target) for name in curves]
        cells = [f"{100 * point.rejected:.1f}" if point else "-" for point in found]
        rows.append([f"to reject for {100 * target:g} %", *cells])
    errors = [calibration(kinds[name])["expected_calibration_error"] for name in curves]
    rows.append(["calibration error, points", *(_percent(error) for error in errors)])
    _print_table(stream, ["rejected", *curves], rows)


def _print_decisions(stream: TextIO, fields: Sequence[ScoredField]) -> None:
    rows = [
        [status, f"{group.fields:,}", f"{group.fields - group.right:,}", _percent(_share_wrong(group))]
        for status, group in decisions(fields).items()
    ]
    _print_table(stream, ["decided", "fields", "wrong", "%"], rows)


def notes(comparison: Comparison) -> list[str]:
    """What was not compared, a line for each kind."""
    lists = comparison.page_lists()
    failed = [f"{entry['source']}, {entry['code']}" for entry in lists["failed_with_truth"]]
    lines = [
        ("pages with truth that could not be read", failed),
        ("pages read that have no truth", [entry["source"] for entry in lists["without_truth"]]),
        (
            "truths without a page in the results",
            [f"{entry['source']} in {entry['file']}" for entry in lists["truth_without_page"]],
        ),
        (
            "truths left out because they fit several pages (give the path as source)",
            [f"{entry['source']} in {entry['file']}" for entry in lists["truth_of_several_pages"]],
        ),
        (
            "fields of the truth that are not in the results",
            [f"{entry['field']} of {entry['source']}" for entry in lists["fields_not_read"]],
        ),
        ("files beside the truth that hold none", lists["files_without_truth"]),
    ]
    return [f"{what}: {len(names):,} ({some_of(names)})" for what, names in lines if names]


def _cells(group: GroupFigures) -> list[str]:
    c = group.counts
    shares = [_percent(group.accuracy), _percent(c.accuracy)]
    return [
        *(f"{group.fields:,}", f"{group.right:,}", shares[0]),
        *(f"{c.characters:,}", f"{c.hits:,}", shares[1]),
        *(f"{n:,}" for n in (c.substitutions, c.insertions, c.deletions)),
    ]


def _print_table(stream: TextIO, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right, and an empty line."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip(), file=stream)
    print(file=stream)


def _range(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} and more"
    return str(low) if low == high else f"{low}-{high}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _share_wrong(group: GroupFigures) -> float | None:
    return None if group.accuracy is None else 1 - group.accuracy
