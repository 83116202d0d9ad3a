"""Form templates: what a page looks like and what may stand in each field.

A template is a TOML file in pixels of the template's own dpi, origin at the top left. ``hsf`` ships in the
package; any other form is another file. No code knows a particular form.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from segmentation.composed_text import composed
from segmentation.field_rules import RULE_KEYS, RuleReader

LAYOUTS = ("line", "paragraph", "comb", "mark")
MAX_CELLS = 500
MAX_IGNORED = 500  # areas of a field that are ignored
MAX_DEPTH = 20  # of tables and lists in each other; a template needs 4
MAX_SIDE = 65_535  # of a page, in pixels
MIN_FRAMED = 1 / 20  # inches, the shorter side of a box that has an inside
CHARSETS = ("digits", "upper", "lower", "letters", "alphanumeric", "text")

_PRINT_KEYS = {"text", "box", "size"}
_FORM_KEYS = {"name", "title", "dpi", "width", "height"}
_FIELD_KEYS = {
    "name",
    "box",
    "layout",
    "charset",
    "length",
    "frame",
    "gap",
    "radius",
    "ignore",
    "cells",
    "cell_edges",
    "group",
    "value",
} | RULE_KEYS


class TemplateError(ValueError):
    """A template file that cannot be used: the message names the file, the key and the remedy."""

    def __init__(self, file: str, key: str, problem: str, remedy: str) -> None:
        """Joins the four parts into one line that can be shown to a user."""
        super().__init__(f"{file}: {_short(key)}: {_short(problem)}. {remedy}")
        self.file, self.key = file, key


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle: ``x, y`` of its top left corner, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x just past the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y just past the bottom edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a form.

    ``box`` covers the printed frame to its outer edge when ``framed``, else the writing area, in template
    pixels. ``charset`` is one of ``CHARSETS``. The reading has ``min_length`` to ``max_length`` characters,
    spaces not counted; a field with nothing in it is blank whatever its length.

    A ``comb`` has one cell more than ``cell_lines``, the x of its inner cell lines in template pixels, from
    left to right. Ticks (``mark``) of one ``group`` are one answer, of which each stands for a ``value``.

    The text fits the whole ``pattern`` (see ``segmentation.patterns``) and is one of the ``lexicon`` (of a
    paragraph: its words are of it), its last character is its ``check_digit`` (``luhn`` or ``mod11``), and
    with ``permutation`` no character stands twice.

    Cells that stand apart have a ``gap``, the white between two of them, and the cell lines are the middles
    of these. ``radius`` is that of the outer edge of the frame at its corners, or of each such cell; 0 for
    square ones. What lies wholly in an ``ignored`` area is print. All in template pixels.
    """

    name: str
    box: Box
    layout: str
    charset: str
    min_length: int
    max_length: int
    framed: bool = True
    cell_lines: tuple[float, ...] = ()
    group: str = ""
    value: str = ""
    pattern: str = ""
    lexicon: tuple[str, ...] = ()
    check_digit: str = ""
    permutation: bool = False
    radius: float = 0.0
    ignored: tuple[Box, ...] = ()
    gap: float = 0.0

    @property
    def cells(self) -> int:
        """How many cells a comb has; 1 for any other layout."""
        return len(self.cell_lines) + 1

    def printed_lines(self, inset: float) -> tuple[float, ...]:
        """The x of the lines printed between cells: one, or of cells that stand apart the sides of both.

        Args:
            inset: from the edge of a printed frame to the middle of its line, in template pixels.
        """
        beside = (-self.gap / 2 - inset, self.gap / 2 + inset) if self.gap else (0.0,)
        return tuple(x + off for x in self.cell_lines for off in beside)

    @property
    def row(self) -> str:
        """The name of its row in the output: of a box of a group, the group's."""
        return self.group or self.name


@dataclass(frozen=True, slots=True)
class PrintedText:
    """What else is printed on a form: a text in rows inside ``box``, ``size`` template pixels an em.

    Reading a form needs none of it; rendered pages show it.
    """

    text: str
    box: Box
    size: float


@dataclass(frozen=True, slots=True)
class FormTemplate:
    """A form: its page size in pixels at ``dpi`` and its fields in reading order.

    ``sha256`` is the hash of its file and of the lexicon files that this names, one after the other.
    """

    name: str
    title: str
    dpi: float
    width: int
    height: int
    fields: tuple[FieldSpec, ...]
    sha256: str = field(default="", compare=False)
    printed: tuple["PrintedText", ...] = ()

    def field(self, name: str) -> FieldSpec:
        """Returns the field called ``name``; raises KeyError if the form has none."""
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise KeyError(name)


def shipped_templates() -> list[str]:
    """Names of the templates that come with the package."""
    folder = resources.files("segmentation") / "forms"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_template(name_or_path: str) -> FormTemplate:
    """Loads a shipped template by name, or any template by the path of its TOML file.

    Raises:
        TemplateError: the file is missing, is no TOML, or a key is missing, unknown or out of range.
    """
    if name_or_path in shipped_templates():
        source = resources.files("segmentation") / "forms" / f"{name_or_path}.toml"
        return parse_template(source.read_bytes(), f"{name_or_path}.toml")
    path = Path(name_or_path)
    try:
        if not path.is_file():
            known = ", ".join(shipped_templates())
            raise TemplateError(
                name_or_path, "--template", "no such template", f"Name a TOML file or one of: {known}."
            )
        data = path.read_bytes()
    except OSError as error:
        raise TemplateError(
            name_or_path, "--template", f"cannot be read ({error.strerror})", "Make it readable."
        ) from None
    return parse_template(data, name_or_path)


def parse_template(data: bytes, file: str) -> FormTemplate:
    """Reads a template from the bytes of a TOML file; ``file`` is named in errors.

    Raises:
        TemplateError: see ``load_template``.
    """
    return read_tree(parse_toml(data, file), file, data)


def parse_toml(data: bytes, file: str) -> dict[str, Any]:
    """What a TOML file says; ``file`` is named in errors.

    Raises:
        TemplateError: it is none.
    """
    text = _decoded(data, file)
    try:
        tree = tomllib.loads(text)
        if _depth(tree) <= MAX_DEPTH:
            return tree
    except RecursionError:
        pass
    except ValueError as error:  # tomllib's own, and numbers of thousands of digits
        raise TemplateError(file, "file", f"is not valid TOML ({error})", "Correct the line named.") from None
    raise TemplateError(file, "file", "its brackets or names are nested too deeply", "Correct it.")


def _decoded(data: bytes, file: str) -> str:
    """Text in UTF-8, with a byte order mark or without."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 ({error.reason} at byte {error.start})"
    else:
        if "\0" not in text:
            return text
        problem = "is not UTF-8, or has a byte of zero"  # UTF-16 without a byte order mark, say
    raise TemplateError(file, "file", problem, "Save it as UTF-8.")


def _depth(tree: object) -> int:
    """How deeply tables and lists lie within each other."""
    depth = 0
    level: list[Any] = [tree]
    while level:
        depth += 1
        inside = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [value for values in inside for value in values if isinstance(value, (dict, list))]
    return depth


def read_tree(tree: Mapping[str, Any], file: str, data: bytes = b"") -> FormTemplate:
    """Reads a template from what its TOML says; ``file`` is named in errors, ``data`` are its bytes.

    Raises:
        TemplateError: see ``load_template``.
    """
    try:
        return _TemplateReader(file).read(tree, data)
    except TemplateError:
        raise
    except (ValueError, OverflowError) as error:  # numbers of thousands of digits, paths with a zero byte
        problem = f"has a value that cannot be used ({error})"
        raise TemplateError(file, "file", problem, "Correct it.") from None


def _short(text: str, most: int = 300) -> str:
    """A text on one line, cut where it is longer than anybody reads."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: most + 1])
    return line if len(text) <= most else f"{line[:most]}..."


def _are_increasing(edges: list[Any]) -> bool:
    """Whether these are numbers, each at least 4 above the one before."""
    if not edges or not all(type(edge) in (int, float) and abs(edge) <= MAX_SIDE for edge in edges):
        return False
    return all(after - before >= 4 for before, after in pairwise(edges))


class _TemplateReader:
    """Checks every value on the way in, so that a template that loads can be used."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lexicons: list[bytes] = []  # the contents of the files that the template names

    def fail(self, key: str, problem: str, remedy: str) -> TemplateError:
        return TemplateError(self.file, key, problem, remedy)

    def read(self, tree: Mapping[str, Any], data: bytes) -> FormTemplate:
        self.only(tree, {"form", "field", "print"}, "top level")
        form = tree.get("form")
        if not isinstance(form, dict):
            raise self.fail("[form]", "is missing", "Add name, dpi, width and height of the page.")
        self.only(form, _FORM_KEYS, "form")
        width, height = (self.number(form, key, "form", 1, MAX_SIDE) for key in ("width", "height"))
        entries = tree.get("field")
        if not isinstance(entries, list) or not entries:
            raise self.fail("[[field]]", "the form has no field", "Add one [[field]] table for each field.")
        dpi = self.number(form, "dpi", "form", 50, 2400)
        name = self.text(form, "name", "form")
        fields = tuple(self.field(entry, i, width, height, dpi) for i, entry in enumerate(entries))
        names = [spec.name for spec in fields] + sorted({spec.group for spec in fields if spec.group})
        for twice in (n for n, times in Counter(names).items() if times > 1):
            raise self.fail(
                f"field {twice!r}", "the name is used twice", "Give each field and group its own name."
            )
        self.values(fields)
        printed = tree.get("print", [])
        if not isinstance(printed, list) or not all(isinstance(entry, dict) for entry in printed):
            raise self.fail("[[print]]", "is no list of tables", "Begin each text with a line [[print]].")
        return FormTemplate(
            printed=tuple(self.printed(entry, i, width, height) for i, entry in enumerate(printed)),
            name=name,
            title=str(form.get("title", name)),
            dpi=dpi,
            width=int(width),
            height=int(height),
            fields=fields,
            sha256=hashlib.sha256(b"".join([data, *self.lexicons])).hexdigest(),
        )

    def field(self, entry: Any, index: int, width: float, height: float, dpi: float) -> FieldSpec:
        if not isinstance(entry, dict):
            raise self.fail(f"field {index}", "is no table", "Begin each field with a line [[field]].")
        key = f"field {entry.get('name', index)!r}"
        self.only(entry, _FIELD_KEYS, key)
        place = self.box(entry, key, width, height)
        layout = self.choice(entry, "layout", key, LAYOUTS, "line")
        charset = self.choice(entry, "charset", key, CHARSETS, "text")
        low, high = self.length(entry.get("length", [0, 600]), key)
        framed = entry.get("frame", True)
        if not isinstance(framed, bool):
            raise self.fail(f"{key} frame", "is not true or false", "Say whether a frame is printed.")
        if framed and min(place.width, place.height) < MIN_FRAMED * dpi:
            raise self.fail(
                f"{key} box",
                f"is too small for a frame at {dpi:g} dpi",
                "Correct it, or write frame = false.",
            )
        name = self.text(entry, "name", key)
        lines = self.cell_lines(entry, key, layout, place)
        if layout == "comb":
            low, high = self.comb_length(entry, key, low, high, len(lines) + 1)
        group, value = self.choice_of(entry, key, layout)
        reader = RuleReader(entry, key, layout, charset, self.file, self.fail)
        rules, low, high = reader.read(low, high)
        self.lexicons += reader.files
        radius = self.radius(entry, key, place, framed)
        ignored = self.ignored(entry, key, place, width, height)
        spec = FieldSpec(name, place, layout, charset, low, high, framed, lines, group, value, **rules)
        return replace(spec, radius=radius, ignored=ignored, gap=float(entry.get("gap", 0)))

    def box(self, entry: Mapping[str, Any], key: str, width: float, height: float) -> Box:
        return self.area(entry.get("box"), f"{key} box", width, height, 4)

    def area(self, box: Any, key: str, width: float, height: float, least: float) -> Box:
        if not (isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)):
            raise self.fail(key, "is not four numbers", "Write [x, y, width, height].")
        x, y, w, h = box
        # Asked for what must be true, as every comparison with nan is false.
        if not (w >= least and h >= least and x >= 0 and y >= 0 and x + w <= width and y + h <= height):
            raise self.fail(key, f"lies outside the page of {width:g}x{height:g}", "Correct the box.")
        return Box(x, y, w, h)

    def radius(self, entry: Mapping[str, Any], key: str, box: Box, framed: bool) -> float:
        if "radius" not in entry:
            return 0.0
        if not framed:
            raise self.fail(f"{key} radius", "means nothing without a frame", "Leave it out.")
        return self.number(entry, "radius", key, 0, min(box.width, box.height) / 2)

    def ignored(
        self, entry: Mapping[str, Any], key: str, field: Box, width: float, height: float
    ) -> tuple[Box, ...]:
        areas = entry.get("ignore", [])
        if not isinstance(areas, list) or len(areas) > MAX_IGNORED:
            raise self.fail(
                f"{key} ignore",
                f"is no list of {MAX_IGNORED} areas at most",
                "Write [[x, y, width, height]].",
            )
        boxes = tuple(self.area(area, f"{key} ignore", width, height, 1) for area in areas)
        for box in boxes:
            if min(box.right, field.right) <= max(box.x, field.x) or (
                min(box.bottom, field.bottom) <= max(box.y, field.y)
            ):
                raise self.fail(
                    f"{key} ignore", "has an area outside the field's box", "Correct or delete it."
                )
        return boxes

    def cell_lines(self, entry: Mapping[str, Any], key: str, layout: str, box: Box) -> tuple[float, ...]:
        cells, lines, gap = entry.get("cells"), entry.get("cell_edges"), 0.0
        if layout != "comb":
            for name in ("cells", "cell_edges", "gap"):
                if name in entry:
                    raise self.fail(f"{key} {name}", f"means nothing to a {layout}", 'Write layout = "comb".')
            return ()
        if "gap" in entry:
            gap = self.number(entry, "gap", key, 0, box.width / 4)
        if lines is None:
            if type(cells) is not int or not 2 <= cells <= min(MAX_CELLS, box.width / 4):
                most = int(min(MAX_CELLS, box.width / 4))
                raise self.fail(
                    f"{key} cells", f"{cells!r} is not a number from 2 to {most}", "Count the printed cells."
                )
            pitch = (box.width + gap) / cells
            return self.apart(tuple(box.x + pitch * i - gap / 2 for i in range(1, cells)), gap, key, box)
        if not _are_increasing([box.x, *lines, box.right] if isinstance(lines, list) and lines else []):
            raise self.fail(
                f"{key} cell_edges",
                "are not the x of the inner cell lines, increasing, inside the box, 4 pixels apart or more",
                "Measure them in template pixels, without the two ends of the box.",
            )
        if cells is not None and cells != len(lines) + 1:
            raise self.fail(
                f"{key} cells",
                f"is {cells!r}, but cell_edges make {len(lines) + 1}",
                "Leave out one of them.",
            )
        return self.apart(tuple(float(v) for v in lines), gap, key, box)

    def apart(self, lines: tuple[float, ...], gap: float, key: str, box: Box) -> tuple[float, ...]:
        """The cell lines, if the white between any two cells is no wider than what is left of them."""
        edges = [box.x - gap / 2, *lines, box.right + gap / 2]
        if 2 * gap > min(after - before for before, after in pairwise(edges)):
            raise self.fail(f"{key} gap", "is wider than a cell", "Correct it, or count the cells.")
        return lines

    def comb_length(
        self, entry: Mapping[str, Any], key: str, low: int, high: int, cells: int
    ) -> tuple[int, int]:
        if "length" not in entry:
            return 0, cells
        if high > cells:
            raise self.fail(f"{key} length", f"{high} characters for {cells} cells", "Write no more.")
        return low, high

    def choice_of(self, entry: Mapping[str, Any], key: str, layout: str) -> tuple[str, str]:
        if layout != "mark":
            for name in ("group", "value"):
                if name in entry:
                    raise self.fail(f"{key} {name}", f"means nothing to a {layout}", 'Write layout = "mark".')
            return "", ""
        if ("group" in entry) != ("value" in entry):
            raise self.fail(f"{key} group", "needs group and value together", "Give both, or neither.")
        if "group" not in entry:
            return "", ""
        return self.text(entry, "group", key), self.text(entry, "value", key)

    def values(self, fields: tuple[FieldSpec, ...]) -> None:
        """Refuses a group in which one value stands twice, or of which there is only one box."""
        for group in sorted({spec.group for spec in fields if spec.group}):
            values = [spec.value for spec in fields if spec.group == group]
            for twice in (v for v in values if values.count(v) > 1):
                raise self.fail(f"group {group!r}", f"the value {twice!r} is used twice", "Change one.")
            if len(values) == 1:
                raise self.fail(
                    f"group {group!r}", "has one box", "Add the others, or leave out group and value."
                )

    def printed(self, entry: Mapping[str, Any], index: int, width: float, height: float) -> PrintedText:
        key = f"print {index}"
        self.only(entry, _PRINT_KEYS, key)
        size = self.number(entry, "size", key, 4, 500)
        return PrintedText(self.text(entry, "text", key), self.box(entry, key, width, height), size)

    def length(self, value: object, key: str) -> tuple[int, int]:
        pair = [value, value] if type(value) is int else value
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(v) is int for v in pair)):
            raise self.fail(f"{key} length", "is neither a number nor a range", "Write 5 or [0, 5].")
        low, high = pair
        if not 0 <= low <= high <= 10_000 or high == 0:
            raise self.fail(
                f"{key} length", f"{low} to {high} is no range", "Write the smaller number first."
            )
        return low, high

    def only(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in table:
            if key not in known:
                raise self.fail(
                    f"{where} {key!r}", "is not a known key", f"Known are: {', '.join(sorted(known))}."
                )

    def number(self, table: Mapping[str, Any], key: str, where: str, low: float, high: float) -> float:
        value = table.get(key)
        if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
            raise self.fail(
                f"{where} {key}", f"{value!r} is not a number from {low} to {high}", "Correct it."
            )
        return float(value)  # type: ignore[arg-type]

    def text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{where} {key}", "is missing or empty", "Give it a name in quotes.")
        return composed(value)

    def choice(
        self, table: Mapping[str, Any], key: str, where: str, known: tuple[str, ...], default: str
    ) -> str:
        value = table.get(key, default)
        if value not in known:
            raise self.fail(f"{where} {key}", f"{value!r} is unknown", f"Write one of: {', '.join(known)}.")
        return str(value)
