"""The parts of a report with pictures: fields that were read wrongly or doubtfully, and whole pages."""

from collections import Counter
from collections.abc import Sequence

import duckdb

from jobs.form_comparison import Comparison
from jobs.form_scores import ScoredField
from jobs.report_data import (
    Row,
    RunData,
    characters_of,
    doubtful_fields,
    fields_of_page,
    quarter,
    sample_pages,
)
from jobs.report_html import (
    NOTHING,
    Child,
    Html,
    Section,
    count,
    data_text,
    element,
    escape,
    join,
    paragraph,
    percent,
    section,
)
from jobs.report_pictures import Budget, Picture, field_pictures, page_picture
from jobs.report_sections import STATUS_WORDS, page_name
from pipeline.schemas import REVIEW

DOUBTFUL = 0.9  # characters below are set apart
LONGEST = 120  # characters of a reading
CROPS = 30  # characters put side by side; more would be too small to see
PAIRS = 60  # characters of one beside its truth
LARGE, LONG = 200, 8  # a picture higher in pixels, or longer for its height, gets the whole width
OTHERS = 3  # next best readings


def examples_section(
    connection: duckdb.DuckDBPyConnection,
    data: RunData,
    comparison: Comparison | None,
    most: int,
    budget: Budget,
) -> Section | None:
    """Fields with their pictures: with truth the wrong ones, the surest first; without, the most doubtful."""
    if not most:
        return None
    if comparison is not None:
        scored = worst_first(comparison.fields, most)
        rows = _rows_of(connection, comparison, scored)
        readings = [_written_and_read(one) for one in scored]
        title, words = "Fields that were read wrongly", _words_of_wrong(comparison, scored)
    else:
        rows = doubtful_fields(connection, most)
        readings = [_reading(connection, row) for row in rows]
        title = "The most doubtful fields"
        words = (
            "Fields to review, the least sure first, no field of the form more often than a quarter of the "
            f"places. Underlined characters are those below {100 * DOUBTFUL:.0f} %."
        )
    if not rows:
        none = "Every compared field is right." if comparison is not None else "There is no field to review."
        return section("examples", title, paragraph(none))
    pictures = field_pictures(rows, lambda row: _crops(connection, row), budget)
    cards = [
        _card(row, picture, reading, data)
        for row, picture, reading in zip(rows, pictures, readings, strict=True)
    ]
    note = _note(pictures)
    return section(
        "examples", title, paragraph(words), paragraph(note, class_="note") if note else NOTHING,
        element("div", *cards, class_="cards"),
    )  # fmt: skip


def pages_section(
    connection: duckdb.DuckDBPyConnection, data: RunData, most: int, budget: Budget
) -> Section | None:
    """A few pages with boxes and readings, from the one with most to review evenly down."""
    pages = sample_pages(connection, most) if most else []
    if not pages:
        return None
    figures, lost = [], 0
    for page in pages:
        picture = page_picture(page, fields_of_page(connection, page), budget)
        if picture is None:
            lost += 1
            continue
        states = ", ".join(f"{page[f'fields_{s}']:,} {words}" for s, words in STATUS_WORDS.items())
        name = page_name(page, data)
        said = f"Page {page['page']} of {data.short(page['source'])} with a box around each field: {states}"
        figures.append(element("figure", _image(picture, said), element("figcaption", name, f": {states}")))
    note = (
        f"{count(lost, 'page is', 'pages are')} not shown: the scan is no longer where it was, has changed, "
        "or the pictures would make this file too large."
    )
    intro = "From the page with the most fields to review evenly down to the one with the fewest."
    return section(
        "pages",
        "Pages",
        paragraph(intro),
        paragraph(note, class_="note") if lost else NOTHING,
        element("div", *figures, class_="pages") if figures else NOTHING,
    )


def worst_first(fields: Sequence[ScoredField], most: int) -> list[ScoredField]:
    """Wrong fields: those that nobody would have checked before those to review, then the surest first.

    Of those to review no field name takes more than a quarter of the places.
    """
    wrong = sorted(
        (one for one in fields if not one.right),
        key=lambda one: (one.status == REVIEW, -(2.0 if one.confidence is None else one.confidence)),
    )
    seen = Counter[str]()
    chosen = []
    for one in wrong:
        if one.status == REVIEW:
            seen[one.name] += 1
        if seen[one.name] <= quarter(most):
            chosen.append(one)
        if len(chosen) == most:
            break
    return chosen


def _words_of_wrong(comparison: Comparison, shown: Sequence[ScoredField]) -> str:
    wrong = sum(not one.right for one in comparison.fields)
    which = "All wrong fields" if len(shown) == wrong else f"{len(shown):,} of {count(wrong, 'wrong field')}"
    return (
        f"{which}: first those that were accepted or taken for blank, which nobody would have checked, then "
        "those to review; of each the surest first. Of those to review, no field of the form more often than "
        "a quarter of the places."
    )


def _rows_of(
    connection: duckdb.DuckDBPyConnection, comparison: Comparison, scored: Sequence[ScoredField]
) -> list[Row]:
    """The rows of compared fields; the run is looked up, since a page is of one run only."""
    rows = {(row["source"], row["page"], row["field"]): row for row in comparison.places}
    chosen = [rows[one.source, one.page, one.name] for one in scored]
    return [row | {"run": _run_of(connection, row)} for row in chosen]


def _run_of(connection: duckdb.DuckDBPyConnection, row: Row) -> str:
    sql = "SELECT run FROM forms WHERE source = ? AND page = ? LIMIT 1"
    found = connection.execute(sql, [row["source"], row["page"]]).fetchone()
    return str(found[0]) if found else ""


def _crops(connection: duckdb.DuckDBPyConnection, row: Row) -> list[bytes]:
    return [bytes(character["crop"]) for character in characters_of(connection, row)[:CROPS]]


def _card(row: Row, picture: Picture | None, reading: Html, data: RunData) -> Html:
    """One field: its picture, what was read, and where it stands."""
    sure = "no confidence" if row["confidence"] is None else percent(row["confidence"])
    said = f"Field {row['field']} of {data.short(row['source'])}, page {row['page']}"
    if picture is None:
        shown = element("p", "no picture", class_="no-picture")
    else:
        shown = _image(picture, f"{said}{'' if picture.from_scan else ', put together from its characters'}")
    place = [data_text(row["field"]), " of ", page_name(row, data)]
    status = element("b", STATUS_WORDS.get(row["status"], row["status"]), class_=f"status {row['status']}")
    caption = element("figcaption", reading, element("p", status, f" {sure} · ", *place, class_="place"))
    large = picture is not None and (picture.height > LARGE or picture.width > LONG * picture.height)
    return element("figure", shown, caption, class_="card large" if large else "card")


def _written_and_read(one: ScoredField) -> Html:
    """The truth above the reading, where they differ set apart."""
    first = next((i for i, (t, r) in enumerate(one.alignment.pairs) if t != r), 0)
    start = max(0, min(first - PAIRS // 4, len(one.alignment.pairs) - PAIRS))
    pairs = one.alignment.pairs[start : start + PAIRS]
    cells = [_pair(truth, read) for truth, read in pairs]
    before, after = ("… " if start else ""), (" …" if start + PAIRS < len(one.alignment.pairs) else "")
    spoken = f"Written: {one.truth[:LONGEST] or 'nothing'}. Read: {one.read[:LONGEST] or 'nothing'}."
    return join(
        [
            element("span", spoken, class_="spoken"),
            element(
                "div",
                element("span", element("span", "written"), element("span", "read"), class_="pair names"),
                before,
                *cells,
                after,
                class_="reading",
                aria_hidden="true",
            ),
        ]
    )


def _pair(truth: str, read: str) -> Html:
    sides = [element("span", character or "·") for character in (truth, read)]
    return element("span", *sides, class_="pair" if truth == read else "pair wrong")


def _reading(connection: duckdb.DuckDBPyConnection, row: Row) -> Html:
    """The reading with its doubtful characters set apart, and the next best readings."""
    text = " / ".join(row["text"].split("\n"))
    inner: Child = escape("(nothing)") if not text else _doubts(connection, row)
    others = [one["text"] for one in row["runners_up"] or () if one["text"] != row["text"]][:OTHERS]
    parts: list[Child] = [element("div", element("bdi", inner), class_="reading")]
    if others:
        listed = join(
            part for i, other in enumerate(others) for part in (", " if i else "", data_text(other, 60))
        )
        parts.append(element("p", "or ", listed, class_="others"))
    return join(parts)


def _doubts(connection: duckdb.DuckDBPyConnection, row: Row) -> Html:
    """The text, doubtful characters underlined where the table of characters tells which they are."""
    characters = characters_of(connection, row)
    labels = "".join(character["label"] for character in characters)
    if labels != "".join(row["text"].split()) or any(len(one["label"]) != 1 for one in characters):
        return data_text(row["text"], LONGEST)
    sure = iter(character["confidence"] >= DOUBTFUL for character in characters)
    parts: list[Child] = []
    for character in row["text"][:LONGEST]:
        if character.isspace():
            parts.append(" / " if character == "\n" else " ")
        else:
            parts.append(character if next(sure) else element("u", character))
    return join([*parts, "…" if len(row["text"]) > LONGEST else ""])


def _image(picture: Picture, said: str) -> Html:
    return element(
        "img",
        src=picture.address,
        width=picture.width,
        height=picture.height,
        alt=said,
    )


def _note(pictures: Sequence[Picture | None]) -> str:
    """What is not from the scan, and why."""
    joined = sum(picture is not None and not picture.from_scan for picture in pictures)
    missing = sum(picture is None for picture in pictures)
    parts = []
    if joined:
        words = count(joined, "picture is", "pictures are")
        parts.append(
            f"{words} put together from the characters as the model saw them, because the scan is no longer "
            "where it was, has changed, or cannot be opened."
        )
    if missing:
        words = count(missing, "field has", "fields have")
        parts.append(
            f"{words} no picture: the scan cannot be had and no character was read, or the pictures would "
            "make this file too large."
        )
    return " ".join(parts)
