"""The parts of a report that need no truth: totals, what to look at, fields, failures, how it was read."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.report_charts import confidence_histogram, legend, share_bar
from jobs.report_data import BINS, CODES, EXAMPLES, Row, RunData
from jobs.report_html import (
    NOTHING,
    Child,
    Html,
    Section,
    count,
    data_text,
    element,
    join,
    listed,
    milliseconds,
    paragraph,
    percent,
    section,
    table,
)
from jobs.report_remedies import REMEDIES
from pipeline.schemas import ACCEPTED, BLANK, REVIEW, STATUSES

STATUS_WORDS = {ACCEPTED: "accepted", REVIEW: "to review", BLANK: "blank"}
_STAGE_WORDS = {
    "decode": "decode: make pixels of the file",
    "segment": "segment: find the form, cut its fields",
    "classify": "classify: the model's share",
    "read": "read: decide on the readings",
}


def totals_section(data: RunData) -> Section:
    """The figures at a glance, and how long it took."""
    tiles = [
        _tile(f"{data.pages:,}", "page read" if data.pages == 1 else "pages read"),
        _tile(f"{data.failed:,}", "could not be read", bad=bool(data.failed)),
        _tile(f"{data.fields:,}", "field" if data.fields == 1 else "fields"),
        _tile(percent(data.statuses[ACCEPTED] / data.fields) if data.fields else "–", "of fields accepted"),
        _tile(f"{data.characters:,}", "characters"),
    ]
    parts: list[Child] = [element("div", *tiles, class_="tiles")]
    if data.fields:
        words = {s: f"{data.statuses[s]:,} {STATUS_WORDS[s]}" for s in STATUSES}
        parts += [share_bar(data.statuses), legend(words)]
    parts += [_times(data), _stages(data)]
    return section("totals", "Totals", *parts)


def attention_section(data: RunData, wrong_accepted: tuple[int, int] | None) -> Section:
    """What a person should look at, the gravest first.

    Args:
        data: of the runs.
        wrong_accepted: how many of how many accepted fields are wrong, where the truth is known.
    """
    items: list[Child] = []
    if not data.pages:
        items.append("Not one page was read, so there are no readings in this report.")
    if data.failed:
        where = element("a", "which and why", href="#failures")
        items.append(
            join([f"{count(data.failed, 'file or page', 'files or pages')} could not be read: ", where])
        )
    if wrong_accepted and wrong_accepted[0]:
        wrong, accepted = wrong_accepted
        where = element("a", "the wrong fields", href="#examples")
        share = percent(wrong / accepted)
        words = f"{count(wrong, 'field')} ({share}) of {accepted:,} accepted ones is not as it is written: "
        items.append(
            join(
                [words if wrong == 1 else words.replace(" is not as it is ", " are not as they are "), where]
            )
        )
    if data.statuses[REVIEW]:
        words = f"{count(data.statuses[REVIEW], 'field')} on {count(data.pages_to_review, 'page')} "
        done = sum(row["verified"] for row in data.verified or () if row["status"] == REVIEW)
        looked = f"; people have looked at {done:,} of them" if done else ""
        where = element("a", "the least sure", href="#examples")
        items.append(join([f"{words}should be looked at{looked}: ", where]))
    if not items:
        items.append("Nothing: every page was read, and no field is doubtful.")
    return section("attention", "What needs looking at", listed(items, "attention"), _doubtful_pages(data))


def histogram_section(data: RunData) -> Section:
    """How confidences are spread."""
    known = sum(sum(bin_.values()) for bin_ in data.histogram)
    if not known:
        return section("confidence", "Confidence", paragraph("No field has a confidence."))
    words = (
        "How sure the readings are. A blank field's confidence is that nothing is written there. Whether "
        "confidences can be trusted is only seen beside the truth: give it with --truth."
    )
    rows = [
        [
            f"{100 * i / BINS:.0f} to {100 * (i + 1) / BINS:.0f} %",
            *(f"{bin_.get(status, 0):,}" for status in STATUSES),
        ]
        for i, bin_ in reversed(list(enumerate(data.histogram)))
        if bin_
    ]
    figure = element(
        "figure",
        confidence_histogram(data.histogram),
        legend({status: STATUS_WORDS[status] for status in STATUSES}),
        element("figcaption", words),
    )
    header = ["confidence", *(STATUS_WORDS[status] for status in STATUSES)]
    inner = element("div", figure, table("The same in figures", header, rows), class_="charts")
    return section("confidence", "Confidence", inner)


def verified_section(data: RunData) -> Section | None:
    """What people have said; nothing if they have said nothing."""
    if not data.verified or not any(row["verified"] for row in data.verified):
        return None
    rows = []
    for row in data.verified:
        told = row["verified"] - row["unreadable"]
        share = row["right"] / told if told else None
        numbers = [f"{row[key]:,}" for key in ("fields", "verified", "right", "unreadable")]
        rows.append([STATUS_WORDS.get(row["status"], row["status"]), *numbers, percent(share)])
    header = ["status", "fields", "verified", "was right", "nobody can read", "right, %"]
    words = (
        "Fields that people have looked at. Where they look at the doubtful ones first, the share that was "
        "right says nothing of the others. What nobody can read counts neither as right nor as wrong."
    )
    return section("verified", "Verified by people", paragraph(words), table("By status", header, rows))


def fields_section(data: RunData) -> Section | None:
    """Fields by kind and by name, with what became of them."""
    if not data.fields:
        return None
    kinds = [[row["charset"], *_status_cells(row)] for row in data.kinds]
    several = len({row["template"] for row in data.names}) > 1
    names = [
        [data_text(f"{row['template']}: {row['field']}" if several else row["field"]), *_status_cells(row)]
        for row in data.names
    ]
    left_out = data.name_count - len(names)
    more = f" ({left_out:,} with fewer are left out)" if left_out else ""
    header = ["fields", *(STATUS_WORDS[status] for status in STATUSES), "mean confidence"]
    return section(
        "fields",
        "Fields",
        table("By kind: the characters that the template allows", ["kind", *header], kinds),
        table(f"By field, those with most to review first{more}", ["field", *header], names),
    )


def failures_section(data: RunData) -> Section | None:
    """Failures by code, each with what to do and a few examples."""
    if not data.failed:
        return None
    entries = [_failure(row, data) for row in data.codes]
    shown = sum(row["failures"] for row in data.codes)
    more = f"{data.failed - shown:,} failures of codes rarer than these {CODES} are left out."
    return section(
        "failures",
        "What could not be read",
        *entries,
        paragraph(more) if shown < data.failed else NOTHING,
    )


def parameters_section(data: RunData) -> Section:
    """How the runs were done: versions, hashes, options."""
    parts: list[Child] = [_run_parameters(record) for record in data.runs]
    if data.run_count > len(data.runs):
        parts.append(paragraph(f"{data.run_count - len(data.runs):,} older runs have rows here too."))
    if data.folder:
        words = "All scans lie below this folder, which is left out of their names above: "
        parts.append(paragraph(words, element("code", data_text(data.folder, 600))))
    return section("parameters", "How it was read", *parts)


def when(value: Any) -> str:
    """A time of a record for people: ``2026-01-31 23:59 UTC``; as it stands if it is none."""
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return str(value)


def _tile(figure: str, words: str, bad: bool = False) -> Html:
    inner = [element("strong", figure), " ", element("span", words)]
    return element("div", *inner, class_="tile bad" if bad else "tile")


def _times(data: RunData) -> Html:
    rows = []
    for record in data.runs:
        seconds = _number(record.get("seconds"))
        speed = _number(record.get("pages_per_second"))
        rows.append(
            [
                data_text(str(record.get("run"))),
                data_text(when(record.get("started", "–"))),
                "–" if seconds is None else f"{seconds:,.1f} s",
                _whole(record.get("pages_in")),
                "–" if speed is None else f"{speed:,.2f}",
            ]
        )
    header = ["run", "started", "took", "pages found", "pages a second"]
    older = data.run_count - len(rows)
    more = f" ({older:,} older ones are left out)" if older else ""
    return table(f"Runs{more}", header, rows, left=(0, 1)) if rows else NOTHING


def _stages(data: RunData) -> Html:
    rows = [
        [_STAGE_WORDS[row["stage"]], *(milliseconds(row[key]) for key in ("mean", "p50", "p95", "slowest"))]
        for row in data.stages
    ]
    if not rows:
        return NOTHING
    header = ["stage", "mean", "median", "95 % below", "slowest"]
    return table("Time a page takes, stage by stage", header, rows)


def _doubtful_pages(data: RunData) -> Html:
    rows = [
        [
            page_name(row, data),
            f"{row['fields_review']:,} of {row['fields']:,}",
            f"{row['landmarks_matched']:,} of {row['landmarks']:,}",
            f"{row['residual_px']:.1f} px",
            f"{row['skew_degrees']:+.1f}°",
        ]
        for row in data.doubtful_pages
    ]
    header = ["page", "fields to review", "printed rules found", "residual", "skew"]
    more = data.pages_to_review - len(rows)
    left_out = f" ({more:,} more are left out)" if more > 0 else ""
    return table(f"Pages with the most to review{left_out}", header, rows) if rows else NOTHING


def page_name(row: Row, data: RunData) -> Html:
    """A scan's name and page, as the report has it everywhere; a whole file has no page."""
    name = data_text(data.short(row["source"]))
    return name if row["page"] is None else join([name, f", page\u00a0{row['page']}"])


def _status_cells(row: Row) -> list[str]:
    return [
        f"{row['fields']:,}",
        *(f"{row[status]:,}" for status in STATUSES),
        percent(row["confidence"]),
    ]


def _failure(row: Row, data: RunData) -> Html:
    remedy = REMEDIES.get(row["code"])
    examples = [join([page_name(one, data), ": ", data_text(one["message"], 600)]) for one in row["examples"]]
    more = row["failures"] - min(row["failures"], EXAMPLES)
    title = element(
        "h3", element("code", row["code"]), f" {count(row['failures'], 'time')}, stage {row['stages']}"
    )
    return element(
        "div",
        title,
        paragraph(element("b", "What to do: "), f"{remedy}.") if remedy else NOTHING,
        listed(examples),
        paragraph(f"and {more:,} more", class_="soft") if more else NOTHING,
        class_="failure",
    )


def _run_parameters(record: Mapping[str, Any]) -> Html:
    rows: list[Sequence[Child]] = [
        ["formscribe", data_text(str(record.get("version", "–")))],
        ["started", data_text(when(record.get("started", "–")))],
        ["finished", data_text(when(record.get("finished", "–")))],
    ]
    templates = record.get("templates")
    for name, sha256 in (templates if isinstance(templates, dict) else {}).items():
        rows.append(
            [join(["template ", data_text(str(name)), ", SHA-256"]), element("code", data_text(str(sha256)))]
        )
    if "model_sha256" in record:
        rows.append(["model, SHA-256", element("code", data_text(str(record["model_sha256"])))])
    options = record.get("options")
    for name, value in (options if isinstance(options, dict) else {}).items():
        rows.append([join(["option ", element("code", data_text(str(name)))]), _option(value)])
    skipped = record.get("skipped")
    if isinstance(skipped, dict) and any(skipped.values()):
        words = ", ".join(f"{number} {name}" for name, number in skipped.items())
        rows.append(["left out by --resume", data_text(words)])
    return table(join(["Run ", data_text(str(record.get("run")))]), ["what", "value"], rows, left=(0, 1))


def _option(value: Any) -> Html:
    if value is None or value in ([], {}):
        return element("span", "not set", class_="soft")
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return element("code", data_text(plain, 600))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"
