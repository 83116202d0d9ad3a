"""Rows of a query on the terminal or as CSV or JSON."""

import base64
import itertools
import json
import math
import re
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from jobs.visible import visible

_GAP = "  "
_QUOTED_IN_CSV = re.compile('[",\r\n]')
_LEAST = 6  # columns get no narrower, if they had more


def write_csv(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A header and a line a row; lists as JSON, bytes as base64, NULL as nothing, an empty text as ``""``.

    Where NULL is the only cell it is ``""`` too, since readers pass over empty lines. Columns of the same
    name are numbered, as in ``write_json``.
    """
    for row in itertools.chain([distinct(columns)], rows):
        stream.write((",".join(_cell_for_csv(value) for value in row) or '""') + "\n")


def write_json(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """One JSON array, an object a row and line; bytes as base64, what is no number as null.

    Columns of the same name are numbered: ``status``, ``status_1``.
    """
    before = "["
    names = distinct(columns)
    for row in rows:
        content = {name: plain(value) for name, value in zip(names, row, strict=True)}
        stream.write(f"{before}\n{json.dumps(content, ensure_ascii=False, default=str)}")
        before = ","
    stream.write("[]\n" if before == "[" else "\n]\n")


def write_table(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]], most: int = 0) -> None:
    """Aligned columns that fit the terminal, and how many rows there are; at most ``most``, 0 for all."""
    columns = [visible(column) for column in columns]
    shown: list[list[str]] = []
    numeric = [True] * len(columns)
    total = 0
    for row in rows:
        total += 1
        if not most or len(shown) < most:
            shown.append([_cell_for_table(value) for value in row])
            numeric = [
                is_number and (value is None or isinstance(value, int | float))
                for is_number, value in zip(numeric, row, strict=True)
            ]
    natural = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    widths = fit_widths(natural, _terminal_width())
    for line in (list(columns), ["-" * width for width in widths], *shown):
        cells = [
            shorten(cell, width, keep_end=name == "source").rjust(width)
            if right and total
            else shorten(cell, width, keep_end=name == "source").ljust(width)
            for name, cell, width, right in zip(columns, line, widths, numeric, strict=True)
        ]
        stream.write(_GAP.join(cells).rstrip() + "\n")
    some = f", {len(shown):,} shown (--rows 0 shows all)" if len(shown) < total else ""
    stream.write(f"({total:,} {'row' if total == 1 else 'rows'}{some})\n")


def distinct(columns: Sequence[str]) -> list[str]:
    """The names of columns, numbered from the second of a name on; no two are the same."""
    names: list[str] = []
    for column in columns:
        numbered = (f"{column}_{number}" for number in itertools.count(1))
        taken = {*names, *columns}
        names.append(column if column not in names else next(name for name in numbered if name not in taken))
    return names


def fit_widths(natural: Sequence[int], room: int) -> list[int]:
    """Takes from the widest columns until a line fits into ``room`` characters."""
    widths = list(natural)
    gaps = len(_GAP) * (len(widths) - 1)
    while sum(widths) + gaps > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
    return widths


def shorten(text: str, width: int, keep_end: bool = False) -> str:
    """Cuts a text to ``width`` characters; of a path the end tells more."""
    if len(text) <= width:
        return text
    return "…" + text[len(text) - width + 1 :] if keep_end else text[: width - 1] + "…"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: bytes as base64, NaN and infinity as None."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _cell_for_csv(value: Any) -> str:
    if value is None:
        return ""
    value = value if isinstance(value, float) else plain(value)
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    )
    quoted = not text or _QUOTED_IN_CSV.search(text)  # PostgreSQL tells "" from NULL so
    return '"{}"'.format(text.replace('"', '""')) if quoted else text


def _cell_for_table(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, float):
        return f"{value:.4g}"
    value = plain(value)
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    )
    return visible(text.replace("\\", "\\\\"))


def _terminal_width() -> int:
    """Characters in a line of the terminal, or of COLUMNS; 120 where there is neither."""
    return shutil.get_terminal_size(fallback=(120, 24)).columns
