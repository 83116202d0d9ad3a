"""Form templates: what a page looks like and what may stand in each field.

A template is a TOML file in pixels of the template's own dpi, origin at the top left. ``hsf`` ships in the
package; any other form is another file. No code knows a particular form.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

LAYOUTS = ("line", "paragraph")
CHARSETS = ("digits", "upper", "lower", "letters", "alphanumeric", "text")

_FORM_KEYS = {"name", "title", "dpi", "width", "height"}
_FIELD_KEYS = {"name", "box", "layout", "charset", "length", "frame"}


class TemplateError(ValueError):
    """A template file that cannot be used: the message names the file, the key and the remedy."""

    def __init__(self, file: str, key: str, problem: str, remedy: str) -> None:
        """Joins the four parts into one line that can be shown to a user."""
        super().__init__(f"{file}: {key}: {problem}. {remedy}")
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
    """

    name: str
    box: Box
    layout: str
    charset: str
    min_length: int
    max_length: int
    framed: bool = True


@dataclass(frozen=True, slots=True)
class FormTemplate:
    """A form: its page size in pixels at ``dpi``, its fields in reading order, and the hash of its file."""

    name: str
    title: str
    dpi: float
    width: int
    height: int
    fields: tuple[FieldSpec, ...]
    sha256: str = field(default="", compare=False)

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
    if not path.is_file():
        known = ", ".join(shipped_templates())
        raise TemplateError(
            name_or_path, "--template", "no such template", f"Name a TOML file or one of: {known}."
        )
    return parse_template(path.read_bytes(), name_or_path)


def parse_template(data: bytes, file: str) -> FormTemplate:
    """Reads a template from the bytes of a TOML file; ``file`` is named in errors.

    Raises:
        TemplateError: see ``load_template``.
    """
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TemplateError(file, "file", f"is not valid TOML ({error})", "Correct the line named.") from None
    return _TemplateReader(file).read(tree, hashlib.sha256(data).hexdigest())


class _TemplateReader:
    """Checks every value on the way in, so that a template that loads can be used."""

    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, key: str, problem: str, remedy: str) -> TemplateError:
        return TemplateError(self.file, key, problem, remedy)

    def read(self, tree: Mapping[str, Any], sha256: str) -> FormTemplate:
        self.only(tree, {"form", "field"}, "top level")
        form = tree.get("form")
        if not isinstance(form, dict):
            raise self.fail("[form]", "is missing", "Add name, dpi, width and height of the page.")
        self.only(form, _FORM_KEYS, "form")
        width, height = (self.number(form, key, "form", 1, 65_535) for key in ("width", "height"))
        entries = tree.get("field")
        if not isinstance(entries, list) or not entries:
            raise self.fail("[[field]]", "the form has no field", "Add one [[field]] table for each field.")
        name = self.text(form, "name", "form")
        fields = tuple(self.field(entry, i, width, height) for i, entry in enumerate(entries))
        names = [spec.name for spec in fields]
        for twice in (n for n in names if names.count(n) > 1):
            raise self.fail(f"field {twice!r}", "the name is used twice", "Give each field its own name.")
        return FormTemplate(
            name=name,
            title=str(form.get("title", name)),
            dpi=self.number(form, "dpi", "form", 50, 2400),
            width=int(width),
            height=int(height),
            fields=fields,
            sha256=sha256,
        )

    def field(self, entry: Mapping[str, Any], index: int, width: float, height: float) -> FieldSpec:
        key = f"field {entry.get('name', index)!r}"
        self.only(entry, _FIELD_KEYS, key)
        box = entry.get("box")
        if not (isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)):
            raise self.fail(f"{key} box", "is not four numbers", "Write box = [x, y, width, height].")
        x, y, w, h = box
        if min(w, h) < 4 or x < 0 or y < 0 or x + w > width or y + h > height:
            raise self.fail(
                f"{key} box", f"lies outside the page of {width:g}x{height:g}", "Correct the box."
            )
        layout = self.choice(entry, "layout", key, LAYOUTS, "line")
        charset = self.choice(entry, "charset", key, CHARSETS, "text")
        low, high = self.length(entry.get("length", [0, 600]), key)
        framed = entry.get("frame", True)
        if not isinstance(framed, bool):
            raise self.fail(f"{key} frame", "is not true or false", "Say whether a frame is printed.")
        name = self.text(entry, "name", key)
        return FieldSpec(name, Box(x, y, w, h), layout, charset, low, high, framed)

    def length(self, value: object, key: str) -> tuple[int, int]:
        pair = [value, value] if type(value) is int else value
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(v) is int for v in pair)):
            raise self.fail(f"{key} length", "is neither a number nor a range", "Write 5 or [0, 5].")
        low, high = pair
        if not 0 <= low <= high <= 10_000 or high == 0:
            raise self.fail(f"{key} length", f"{low} to {high} is no range", "Write the smaller number first.")
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
            raise self.fail(f"{where} {key}", f"{value!r} is not a number from {low} to {high}", "Correct it.")
        return float(value)  # type: ignore[arg-type]

    def text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{where} {key}", "is missing or empty", "Give it a name in quotes.")
        return value

    def choice(
        self, table: Mapping[str, Any], key: str, where: str, known: tuple[str, ...], default: str
    ) -> str:
        value = table.get(key, default)
        if value not in known:
            raise self.fail(f"{where} {key}", f"{value!r} is unknown", f"Write one of: {', '.join(known)}.")
        return str(value)
