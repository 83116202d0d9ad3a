"""The part of a report that needs the truth: how much is right, what is confused, how far to trust it."""

from collections import Counter
from collections.abc import Sequence

from jobs.form_comparison import Comparison
from jobs.form_report import kind_of, notes
from jobs.form_scores import (
    TARGETS,
    GroupFigures,
    ScoredField,
    calibration,
    confusions,
    decisions,
    figures,
    group_by,
    rejection_for,
)
from jobs.report_charts import reliability_diagram
from jobs.report_html import (
    NOTHING,
    Html,
    Section,
    count,
    data_text,
    element,
    join,
    listed,
    paragraph,
    percent,
    section,
    table,
)
from pipeline.schemas import ACCEPTED

MATRIX = 16  # characters a side, where not all fit
FIELD_ROWS = 60
PAIRS = 24
_DIGITS = "0123456789"
_NONE = "none"
_HEADER = ["fields", "right", "%", "characters", "right, %", "instead of others", "too many", "missing"]


def accuracy_section(comparison: Comparison) -> Section:
    """How much is right: by kind, by what was decided, by field, and what it costs to be surer."""
    fields = comparison.fields
    written = figures(one for one in fields if one.truth)
    intro = (
        f"Compared with the truth: {count(len(fields), 'field')} of {count(len(comparison.pages), 'page')}. "
        "A field is right if every character is; spaces are not compared."
    )
    return section(
        "accuracy",
        "Accuracy",
        paragraph(intro),
        _kinds(fields, written),
        element("div", _decided(fields), _rejection(fields), class_="charts"),
        _names(fields),
        _not_compared(comparison),
    )


def confusion_section(comparison: Comparison) -> Section:
    """Which characters are taken for which."""
    fields = comparison.fields
    pairs = confusions(fields)
    if not pairs:
        return section("confusions", "Confusions", paragraph("Not one character was confused."))
    groups = group_by(fields, lambda one: one.charset)
    parts = [_matrix(name, part) for name, part in groups.items()]
    frequent = [
        join([_character(truth), " read as ", _character(read), f" {number:,} ×"])
        for truth, read, number in pairs[:PAIRS]
    ]
    return section(
        "confusions",
        "Confusions",
        paragraph("The most frequent: ", class_="close"),
        listed(frequent, "pairs"),
        paragraph(
            "A row is what is written, a column what was read; “none” is a character that was missed, "
            f"or read where there is none. At most {MATRIX} characters are shown, those with most errors."
        ),
        element("div", *parts, class_="charts"),
    )


def reliability_section(comparison: Comparison) -> Section:
    """How far the confidences can be trusted: the diagram, and its figures."""
    result = calibration(comparison.fields)
    bins = result["bins"]
    if not bins:
        return section("confidence", "Confidence", paragraph("No compared field has a confidence."))
    error = result["expected_calibration_error"]
    rows = [
        [percent(one["confidence"]), f"{one['fields']:,}", percent(one["right"])] for one in reversed(bins)
    ]
    words = (
        "Each dot is a group of fields of similar confidence, larger with more fields; its line shows where "
        "the true share may lie (95 %). On the dashed line a confidence means what it says; below it, "
        f"readings are too sure of themselves. On average the two differ by {100 * error:.1f} points."
    )
    figure = element(
        "figure",
        reliability_diagram(bins, "How often readings of a confidence are right"),
        element("figcaption", words),
    )
    header = ["mean confidence", "fields", "right"]
    return section(
        "confidence",
        "Confidence",
        element("div", figure, table("The same in figures", header, rows, left=()), class_="charts"),
    )


def _kinds(fields: Sequence[ScoredField], written: GroupFigures) -> Html:
    groups = {name: figures(part) for name, part in group_by(fields, kind_of).items()}
    rows = [[name, *_cells(group)] for name, group in groups.items()]
    rows.append(["all that are written", *_cells(written)])
    return table("By kind of field", ["kind", *_HEADER], rows, sums=(len(rows) - 1,))


def _names(fields: Sequence[ScoredField]) -> Html:
    groups = {name: figures(part) for name, part in group_by(fields, lambda one: one.name).items()}
    worst = sorted(groups.items(), key=lambda item: (item[1].accuracy or 0.0, item[0]))
    rows = [[data_text(name), *_cells(group)] for name, group in worst[:FIELD_ROWS]]
    left_out = len(worst) - len(rows)
    more = f" ({left_out:,} better ones are left out)" if left_out else ""
    return table(f"By field, the worst first{more}", ["field", *_HEADER], rows)


def _decided(fields: Sequence[ScoredField]) -> Html:
    rows = []
    for status, group in decisions(fields).items():
        wrong = group.fields - group.right
        share = wrong / group.fields if group.fields else None
        rows.append([status, f"{group.fields:,}", f"{wrong:,}", percent(share)])
    return table("What was decided, and how much of it is wrong", ["decided", "fields", "wrong", "%"], rows)


def _rejection(fields: Sequence[ScoredField]) -> Html:
    rows = []
    for target in TARGETS:
        point = rejection_for(fields, target)
        cells = (
            ["–", "no confidence keeps this"]
            if point is None
            else [
                percent(point.rejected),
                "–" if point.threshold is None else f"{point.threshold:.4f}",
            ]
        )
        rows.append([f"{100 * target:g} %", *cells])
    header = ["wrong among the accepted, at most", "fields to look at", "least confidence"]
    return table("What it would have cost to be surer", header, rows)


def _not_compared(comparison: Comparison) -> Html:
    lines = notes(comparison)
    if not lines:
        return NOTHING
    return join([paragraph("Not compared:", class_="close"), listed(data_text(line, 600) for line in lines)])


def _matrix(name: str, fields: Sequence[ScoredField]) -> Html:
    """A table of one kind of field; nothing if it has no errors."""
    pairs = Counter(pair for one in fields for pair in one.alignment.pairs)
    errors = Counter[str]()
    for (truth, read), number in pairs.items():
        if truth != read:
            errors.update({truth: number, read: number})
    if not errors:
        return NOTHING
    del errors[""]
    if name == "digits":
        shown = list(_DIGITS) + sorted(c for c, _ in errors.most_common(MATRIX) if c not in _DIGITS)[:4]
    else:
        ranked = sorted(errors, key=lambda c: (-errors[c], c))
        shown = sorted(ranked[:MATRIX])
    sides = [*shown, ""]
    most = max(number for (truth, read), number in pairs.items() if truth != read)
    rows = [[_character(t), *(_count(pairs, t, r, most) for r in sides)] for t in sides]
    header = ["written", *(c or _NONE for c in sides)]
    return element("div", table(f"{name}: written and read", header, rows), class_="matrix")


def _count(pairs: Counter[tuple[str, str]], truth: str, read: str, most: int) -> Html:
    number = pairs[truth, read]
    if not number:
        return element("span", "·", class_="zero")
    if truth == read:
        return element("span", f"{number:,}", class_="hit")
    return element("span", f"{number:,}", class_="error", style=f"--heat: {0.15 + 0.6 * number / most:.2f}")


def _character(character: str) -> Html:
    return element("bdi", character) if character else element("span", _NONE, class_="soft")


def _cells(group: GroupFigures) -> list[str]:
    counts = group.counts
    return [
        f"{group.fields:,}",
        f"{group.right:,}",
        percent(group.accuracy),
        f"{counts.characters:,}",
        percent(counts.accuracy),
        *(f"{number:,}" for number in (counts.substitutions, counts.insertions, counts.deletions)),
    ]


def wrong_accepted(fields: Sequence[ScoredField]) -> tuple[int, int]:
    """How many fields were accepted though they are wrong, and how many were accepted."""
    accepted = [one for one in fields if one.status == ACCEPTED]
    return sum(not one.right for one in accepted), len(accepted)
