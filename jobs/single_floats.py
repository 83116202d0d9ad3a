"""Numbers of 32 bits without the digits they do not have: 0.95, and not 0.949999988079071.

Python knows only numbers of 64 bits, so which ones had 32 is told by the types of the columns.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

# Where in a value such numbers are: it is one, or in the items of a list, or in the fields of a struct.
Places = bool | list["Places"] | dict[str, "Places"]


def places_in_duckdb(kind: Any) -> Places:
    """Where in the values of a column of DuckDB numbers of 32 bits are; False if nowhere."""
    if kind.id == "float":
        return True
    if kind.id in ("list", "array"):
        inner = places_in_duckdb(kind.children[0][1])
        return [inner] if inner else False
    if kind.id == "struct":
        return {name: inner for name, child in kind.children if (inner := places_in_duckdb(child))}
    return False


def places_in_arrow(kind: pa.DataType) -> Places:
    """Where in the values of a column of Arrow numbers of 32 bits are; False if nowhere."""
    if pa.types.is_float32(kind):
        return True
    if pa.types.is_list(kind):
        inner = places_in_arrow(kind.value_type)
        return [inner] if inner else False
    if pa.types.is_struct(kind):
        return {child.name: inner for child in kind if (inner := places_in_arrow(child.type))}
    return False


def shorten_rows(rows: Iterable[Sequence[Any]], places: Sequence[Places]) -> Iterator[Sequence[Any]]:
    """Yields the rows with such numbers as short as they can be told; ``places`` has one for each column."""
    if not any(places):
        yield from rows
        return
    for row in rows:
        yield tuple(_shorten(value, place) for value, place in zip(row, places, strict=True))


def _shorten(value: Any, places: Places) -> Any:
    if not places or value is None:
        return value
    if isinstance(places, list):
        return [_shorten(item, places[0]) for item in value]
    if isinstance(places, dict):
        return {name: _shorten(item, places.get(name, False)) for name, item in value.items()}
    return short_float(value)


def short_float(value: float) -> float:
    """The number with the fewest digits that is the same in 32 bits.

    Args:
        value: one that 32 bits hold, or none that is finite.
    """
    if not math.isfinite(value):
        return value
    single = struct.pack("f", value)
    rounded = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    same = (short for short in rounded if _packed(short) == single and len(repr(short)) < len(repr(value)))
    return next(same, value)


def _packed(value: float) -> bytes | None:
    try:
        return struct.pack("f", value)
    except OverflowError:  # rounded up beyond the largest
        return None
