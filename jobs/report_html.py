"""Small functions that write HTML: every text is escaped unless it is markup that these functions made."""

import html
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

# What HTML forbids in a text, and lone halves of characters that no UTF-8 can hold.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = ("br", "img", "meta")
LONGEST = 240  # characters of a text from the data
LONG_TABLE = 20  # rows; a longer table can be scrolled, and is whole on paper


class Html(str):
    """Markup, not to be escaped again."""

    __slots__ = ()


Child = str | int | None
NOTHING = Html("")


def escape(value: Child) -> Html:
    """A text as markup; markup stays as it is, None is nothing."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_FORBIDDEN.sub("�", "" if value is None else str(value))))


def element(name: str, /, *children: Child, **attributes: str | int | float | None) -> Html:
    """An element; texts among its children, and all attributes, are escaped.

    Args:
        name: of the element.
        children: texts and markup.
        attributes: those that are None are left out; ``class_`` means ``class``, ``aria_label``
            means ``aria-label``.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    written = "".join(f' {key}="{escape(str(value))}"' for key, value in pairs if value is not None)
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Texts and markup one after the other."""
    return Html("".join(map(escape, children)))


def data_text(value: str, most: int = LONGEST) -> Html:
    """A text from the data: cut if it is long, and kept from turning the direction of what is around it."""
    flat = " ".join(value.split())
    return element("bdi", flat if len(flat) <= most else flat[: most - 1] + "…")


def table(
    caption: Child,
    header: Sequence[str],
    rows: Iterable[Sequence[Child]],
    left: Collection[int] = (0,),
    sums: Collection[int] = (),
) -> Html:
    """A table whose first column names the rows.

    Args:
        caption: what it shows.
        header: the names of the columns.
        rows: a cell for each column.
        left: columns of words; the others are figures, to the right.
        sums: rows that sum others up, set apart.
    """
    sides = [None if i in left else "n" for i in range(len(header))]
    head = [element("th", name, scope="col", class_=side) for name, side in zip(header, sides, strict=True)]
    body = []
    for number, (name, *cells) in enumerate(rows):
        first = element("th", name, scope="row", class_=sides[0])
        others = [element("td", c, class_=side) for c, side in zip(cells, sides[1:], strict=True)]
        body.append(element("tr", first, *others, class_="sum" if number in sums else None))
    inner = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    kind = "wide long" if len(body) > LONG_TABLE else "wide"
    return element("div", inner, class_=kind, tabindex=0, role="group", aria_label=_plain(caption))


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: what links lead to, its heading, and the whole of it."""

    identifier: str
    title: str
    markup: Html


def section(identifier: str, title: str, *children: Child) -> Section:
    """A part of the page with its heading."""
    heading = f"{identifier}-title"
    inner = [element("h2", title, id=heading), *children]
    return Section(identifier, title, element("section", *inner, id=identifier, aria_labelledby=heading))


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """A paragraph."""
    return element("p", *children, class_=class_)


def listed(items: Iterable[Child], class_: str | None = None) -> Html:
    """A list; nothing for no items."""
    entries = [element("li", item) for item in items]
    return element("ul", *entries, class_=class_) if entries else NOTHING


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 page``, ``2,000 pages``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """``97.3 %``; never 100 or 0 for what is only near."""
    if share is None:
        return "–"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def milliseconds(value: float | None) -> str:
    """``9.4 ms``, ``1,200 ms``."""
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _plain(caption: Child) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", caption)) if isinstance(caption, Html) else str(caption)
