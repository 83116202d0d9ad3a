"""Everything that is wrong with a template file, not only the first thing."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations
from typing import Any

import numpy as np

from segmentation.registration import FRAME_INSET, SHORTEST_RULE, WORK_DPI, template_rules
from segmentation.templates import (
    FieldSpec,
    FormTemplate,
    TemplateError,
    parse_template,
    parse_toml,
    read_tree,
)

MIN_LANDMARKS = 8  # printed lines by which a form can be told from other boxes: two boxes, or a comb of five
MIN_CELL = 0.1  # inches, of a cell of a comb between the middles of its lines
MIN_WRITING = 0.1  # inches of room for a row of writing
OVERLAP = 0.02  # inches by which boxes may overlap beyond the rule that they share
_PLAIN_FORM = {"name": "form", "dpi": 300, "width": 65_535, "height": 65_535}
_MANY = 1000


def check_template(data: bytes, file: str) -> tuple[FormTemplate | None, list[TemplateError]]:
    """Reads a template and reports all that is wrong with it.

    Every wrong key is reported once and then passed over, so that the rest can be checked too.

    Args:
        data: bytes of a TOML file.
        file: named in the reports.

    Returns:
        The template, None if it cannot be used; and what is wrong, in the order of the file. A template may
        be usable and still have problems that make it read badly.
    """
    try:
        tree = parse_toml(data, file)
    except TemplateError as error:
        return None, [error]
    problems: list[TemplateError] = []
    repaired = _repaired_form(tree, file, problems)
    if repaired is None:
        return None, problems
    template = _read(repaired, file)
    if isinstance(template, TemplateError):  # a repair went wrong: what is left is still true
        return None, [*problems, template]
    usable = None if problems else parse_template(data, file)
    return usable, [*problems, *geometry_problems(template, file)]


def geometry_problems(template: FormTemplate, file: str) -> Iterator[TemplateError]:
    """What makes a template that loads unfit for reading: overlaps, too little room, too few landmarks."""
    slack = (2 * FRAME_INSET + OVERLAP) * template.dpi
    for spec in template.fields:
        yield from _room_problems(spec, template.dpi, file)
    for a, b in combinations(template.fields, 2):
        wide = min(a.box.right, b.box.right) - max(a.box.x, b.box.x)
        high = min(a.box.bottom, b.box.bottom) - max(a.box.y, b.box.y)
        if min(wide, high) > slack:
            yield TemplateError(
                file,
                f"field {b.name!r} box",
                f"overlaps field {a.name!r} by {wide:.0f}x{high:.0f} pixels",
                "Correct one of the boxes, or delete one of the fields.",
            )
    yield from _landmark_problems(template, file)


def _room_problems(spec: FieldSpec, dpi: float, file: str) -> Iterator[TemplateError]:
    key = f"field {spec.name!r}"
    edge = 2 * FRAME_INSET * dpi if spec.framed else 0.0
    room = min(spec.box.width, spec.box.height) - 2 * edge
    if room < MIN_WRITING * dpi and spec.layout != "mark":
        yield TemplateError(
            file,
            f"{key} box",
            f"leaves {25.4 * max(room, 0) / dpi:.1f} mm for writing, less than {25.4 * MIN_WRITING:.1f}",
            "Correct the box, or the form's dpi.",
        )
    if spec.layout == "comb":
        inset = FRAME_INSET * dpi
        edges = [spec.box.x + inset, *spec.cell_lines, spec.box.right - inset]
        narrowest = float(np.diff(edges).min()) - spec.gap
        if narrowest < MIN_CELL * dpi:
            yield TemplateError(
                file,
                f"{key} cells",
                f"the narrowest is {25.4 * narrowest / dpi:.1f} mm wide, less than {25.4 * MIN_CELL:.1f}",
                "Count the printed cells again, or correct the box.",
            )


def _landmark_problems(template: FormTemplate, file: str) -> Iterator[TemplateError]:
    shortest = SHORTEST_RULE / WORK_DPI * template.dpi
    counts = [int((rules.lengths >= shortest).sum()) for rules in template_rules(template)]
    if sum(counts) < MIN_LANDMARKS or min(counts) < 2:
        yield TemplateError(
            file,
            "landmarks",
            f"framed fields have {counts[0]} horizontal and {counts[1]} vertical printed lines of "
            f"{25.4 * SHORTEST_RULE / WORK_DPI:.1f} mm or more; the form is found on a page by at least "
            f"{MIN_LANDMARKS} of them, 2 in each direction",
            "Add the other printed boxes of the form as fields.",
        )


def _read(tree: dict[str, Any], file: str) -> FormTemplate | TemplateError:
    try:
        return read_tree(tree, file)
    except TemplateError as error:
        return error


def _repaired_form(tree: dict[str, Any], file: str, problems: list[TemplateError]) -> dict[str, Any] | None:
    """The tree with whatever is wrong in it replaced; None if there is no field to go on with."""
    repaired: dict[str, Any] = {key: deepcopy(tree[key]) for key in ("form", "field") if key in tree}
    stand_in = [{"name": "field", "box": [0, 0, 4, 4], "frame": False}]
    for key in tree.keys() - repaired.keys():
        error = _read({"form": _PLAIN_FORM, "field": stand_in, key: tree[key]}, file)
        problems += [error] if isinstance(error, TemplateError) else []
    fields = repaired.get("field")
    form_only: dict[str, Any] = {"field": stand_in}
    if "form" in repaired:
        form_only["form"] = repaired["form"]
    _repair(form_only, form_only.get("form"), "form ", _PLAIN_FORM, file, problems)
    repaired["form"] = form_only.get("form", _PLAIN_FORM)
    if not isinstance(fields, list) or not fields:
        error = _read({**repaired, "field": fields or []}, file)
        problems += [error] if isinstance(error, TemplateError) else []
        return None
    page = [0, 0, repaired["form"]["width"], repaired["form"]["height"]]
    for index, entry in enumerate(fields):
        plain = {"name": f"number {index + 1}, without a name", "box": page, "cells": 2}
        _repair_field(repaired, index, entry, plain, file, problems)
    _repair_names(repaired, file, problems)
    return repaired


def _repair_field(
    tree: dict[str, Any],
    index: int,
    entry: Any,
    plain: dict[str, Any],
    file: str,
    problems: list[TemplateError],
) -> None:
    if not isinstance(entry, dict):
        tree["field"][index] = entry = {"name": plain["name"], "box": plain["box"]}
        problems.append(
            TemplateError(file, f"field {index}", "is no table", "Begin each field with a line [[field]].")
        )
    alone = {key: entry[key] for key in entry if key not in ("group", "value")}
    for key in ("group", "value"):  # checked with the others of the group
        if key in entry and entry.get("layout") != "mark":
            alone[key] = entry[key]
    before = dict(alone)
    label = f"field {entry.get('name', index)!r} "
    # Others stand before it, so that a field without a name is told by its place.
    others = [{"name": f"before {i}", "box": plain["box"], "frame": False} for i in range(index)]
    _repair({"form": tree["form"], "field": [*others, alone]}, alone, label, plain, file, problems)
    for key in before.keys() - alone.keys():
        entry.pop(key)
    entry.update(alone)


def _repair(
    tree: dict[str, Any],
    table: Any,
    label: str,
    plain: dict[str, Any],
    file: str,
    problems: list[TemplateError],
) -> None:
    """Reads a tree again and again, each time without the key of ``table`` that was found wrong."""
    for _ in range(_MANY):
        error = _read(tree, file)
        if not isinstance(error, TemplateError):
            return
        problems.append(error)
        key = error.key.removeprefix(label).strip("'\"")
        if not isinstance(table, dict):
            tree["form"] = dict(plain)
            return
        if key in plain and table.get(key) != plain[key]:
            table[key] = plain[key]
        elif key in table:
            del table[key]
        else:
            return
        if "name" in plain and key == "name" and label.startswith("field"):
            label = f"field {plain['name']!r} "


def _repair_names(tree: dict[str, Any], file: str, problems: list[TemplateError]) -> None:
    """Reports names and values that are used twice, which show only when all fields are read together."""
    for _ in range(_MANY):
        error = _read(tree, file)
        if not isinstance(error, TemplateError):
            return
        problems.append(error)
        kind, _, quoted = error.key.partition(" ")
        name = quoted.strip("'\"")
        same = [entry for entry in tree["field"] if entry.get("name" if kind == "field" else "group") == name]
        if not same:
            return
        for number, entry in enumerate(same[1:] if kind == "field" and len(same) > 1 else same, 2):
            if kind == "field":
                entry["name"] = f"{name} ({number})"
            else:
                entry.pop("group", None)
                entry.pop("value", None)
