"""Charts as inline SVG: how far confidences can be trusted, how they are spread, and shares in a bar.

Colours come from the page's style sheet where it defines them; without one the charts are drawn on white.
"""

import math
from collections.abc import Mapping, Sequence

from jobs.report_html import Html, count, element, percent
from pipeline.schemas import STATUSES

COLORS = {
    "accepted": "var(--accepted, #1a7f4b)",
    "review": "var(--review, #b26a00)",
    "blank": "var(--blank, #7b8494)",
    "accent": "var(--accent, #1f5f8b)",
    "line": "var(--line, #c9ced6)",
    "ink": "var(--ink, #1c2128)",
    "soft": "var(--soft, #596270)",
}
_WIDTH, _HEIGHT = 420, 360
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 14, 22, 48
_SURE = 1.96  # standard deviations: 95 % of a normal distribution
_LARGEST, _SMALLEST = 9.0, 2.5  # radii
_FONT = "font: 12px system-ui, sans-serif"


def reliability_diagram(bins: Sequence[Mapping[str, float]], title: str = "Confidence and truth") -> Html:
    """Draws how often readings of a confidence are right, as an SVG element.

    Each bin is a dot, larger with more fields, with the interval in which the true share lies with 95 %
    (Wilson 1927). Dots on the dashed line are as sure as they should be; below it, too sure.

    Args:
        bins: ``fields``, mean ``confidence`` and share ``right``, 0..1, of each, as
            ``form_scores.calibration`` gives them; bins without fields are passed over.
        title: for those who do not see the picture.
    """
    filled = [one for one in bins if one["fields"]]
    most = max((one["fields"] for one in filled), default=1)
    diagonal = _line(_x(0), _y(0), _x(1), _y(1), "soft", stroke_dasharray="4 4")
    dots = [part for one in filled for part in _dot(one, most)]
    said = "; ".join(
        f"confidence {percent(one['confidence'])}: {percent(one['right'])} of {one['fields']:,} right"
        for one in filled
    )
    axes = _axes("confidence that was stated", "share that is right", _SHARES, _SHARES)
    return _svg(_WIDTH, _HEIGHT, f"{title}. {said or 'No fields.'}", *axes, diagonal, *dots)


def wilson_interval(right: float, fields: float) -> tuple[float, float]:
    """Where a true share lies with 95 %, if ``right`` (0..1) of ``fields`` were seen (Wilson 1927)."""
    spread = _SURE**2 / fields
    middle = (right + spread / 2) / (1 + spread)
    half = math.sqrt(right * (1 - right) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def confidence_histogram(counts: Sequence[Mapping[str, int]]) -> Html:
    """Draws how many fields have which confidence, stacked by status, as an SVG element.

    Args:
        counts: for each of equally wide bins from 0 to 1 the fields of each status.
    """
    totals = [sum(bin_.values()) for bin_ in counts]
    most = max(totals, default=0) or 1
    step = _nice_step(most)
    high = step * math.ceil(most / step)
    bars = []
    for number, bin_ in enumerate(counts):
        low, bottom = number / len(counts), 0
        for status in STATUSES:
            if bin_.get(status):
                top = bottom + bin_[status]
                bars.append(_bar(low, low + 1 / len(counts), bottom / high, top / high, status, bin_[status]))
                bottom = top
    ticks = [(value / high, f"{value:,}") for value in range(0, high + 1, step)]
    said = "; ".join(
        f"{100 * i / len(counts):.0f} to {100 * (i + 1) / len(counts):.0f} %: {n:,}"
        for i, n in enumerate(totals)
        if n
    )
    axes = _axes("confidence that was stated", "fields", _SHARES, ticks)
    return _svg(_WIDTH, _HEIGHT, f"Fields by confidence. {said or 'No fields.'}", *axes, *bars)


def share_bar(parts: Mapping[str, int]) -> Html:
    """Draws shares of a whole side by side, as an SVG element; the legend is in words beside it."""
    whole = sum(parts.values()) or 1
    start, pieces = 0.0, []
    for name, number in parts.items():
        width = 1000 * number / whole
        pieces.append(
            element("rect", x=_n(start), y=0, width=_n(width), height=22, style=f"fill: {COLORS[name]}")
        )
        start += width
    said = ", ".join(f"{number:,} {name} ({percent(number / whole)})" for name, number in parts.items())
    return _svg(1000, 22, f"Fields: {said}", *pieces, preserveAspectRatio="none", class_="bar")


def legend(names: Mapping[str, str]) -> Html:
    """What the colours mean: a list of colour names and words."""
    items = [
        element("li", element("span", class_="dot", style=f"background: {COLORS[color]}"), words)
        for color, words in names.items()
    ]
    return element("ul", *items, class_="legend")


_SHARES = [(value / 100, f"{value} %") for value in (0, 25, 50, 75, 100)]


def _svg(width: int, height: int, said: str, *children: Html, **attributes: str) -> Html:
    box = {"viewBox": f"0 0 {width} {height}", "xmlns": "http://www.w3.org/2000/svg"} | attributes
    return element("svg", element("title", said), *children, role="img", **box)


def _axes(
    across: str, up: str, columns: Sequence[tuple[float, str]], rows: Sequence[tuple[float, str]]
) -> list[Html]:
    """Grid lines, their figures and what they mean."""
    middle = (_x(0) + _x(1)) / 2, (_y(0) + _y(1)) / 2
    parts = [_line(_x(0), _y(at), _x(1), _y(at), "line") for at, _ in rows]
    parts += [_text(name, _x(0) - 6, _y(at) + 4, "end") for at, name in rows]
    parts += [_text(name, _x(at), _y(0) + 17, "middle") for at, name in columns]
    parts.append(_text(across, middle[0], _HEIGHT - 10, "middle"))
    turned = f"rotate(-90 12 {_n(middle[1])})"
    return [*parts, _text(up, 12, middle[1], "middle", transform=turned)]


def _dot(one: Mapping[str, float], most: float) -> list[Html]:
    x, y = _x(one["confidence"]), _y(one["right"])
    low, high = wilson_interval(one["right"], one["fields"])
    radius = max(_SMALLEST, _LARGEST * math.sqrt(one["fields"] / most))
    sure = percent(one["confidence"])
    words = f"{count(int(one['fields']), 'field')} with {sure}: {percent(one['right'])} right"
    return [
        _line(x, _y(low), x, _y(high), "accent"),
        element(
            "circle",
            element("title", words),
            cx=_n(x),
            cy=_n(y),
            r=_n(radius),
            style=f"fill: {COLORS['accent']}; fill-opacity: 0.75",
        ),
    ]


def _bar(left: float, right: float, bottom: float, top: float, status: str, number: int) -> Html:
    return element(
        "rect",
        element("title", f"{number:,} {status}, {100 * left:.0f} to {100 * right:.0f} %"),
        x=_n(_x(left) + 0.5),
        y=_n(_y(top)),
        width=_n(_x(right) - _x(left) - 1),
        height=_n(_y(bottom) - _y(top)),
        style=f"fill: {COLORS[status]}",
    )


def _line(x0: float, y0: float, x1: float, y1: float, color: str, **attributes: str) -> Html:
    places = {"x1": _n(x0), "y1": _n(y0), "x2": _n(x1), "y2": _n(y1)} | attributes
    return element("line", style=f"stroke: {COLORS[color]}; stroke-width: 1", **places)


def _text(words: str, x: float, y: float, anchor: str, **attributes: str) -> Html:
    style = f"fill: {COLORS['soft']}; {_FONT}"
    return element("text", words, x=_n(x), y=_n(y), text_anchor=anchor, style=style, **attributes)


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _nice_step(most: int) -> int:
    """A round distance of grid lines, so that there are at most five."""
    power = 10 ** max(0, math.floor(math.log10(most)) - 1)
    return next(s * power for s in (1, 2, 5, 10, 20, 50, 100) if most <= 5 * s * power)
