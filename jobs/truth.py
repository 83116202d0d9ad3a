"""What really stands on the pages: truth files of three kinds, and which page each of them is about.

* JSON: ``{"source": "a.png", "fields": {"name": "text"}}`` with an optional ``"page"`` (from 1), or a list of
  such objects.
* CSV with the columns source, field, text and an optional page, in capitals or not, separated by commas,
  semicolons or tabs.
* NIST's ``ref_XX.txt`` with lines ``fld 3 0123456789``: what writers of form XX were asked for. It holds for
  every page whose name ends in XX, unless that page has a truth of its own. Field 3 is ``fld_03`` here; a
  field without a text was left to the writer and is not known.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from segmentation.composed_text import composed

PageName = tuple[str, int]  # source as the results have it, page from 1

_REFERENCE_NAME = re.compile(r"ref_(\d\d)\.txt", re.IGNORECASE)
_REFERENCE_LINE = re.compile(r"fld[ _](\d+)(?:\s+(.*))?", re.IGNORECASE)
_PAGE_OF_FORM = re.compile(r"(\d\d)$")
_COLUMNS = ("source", "field", "text")


class TruthError(ValueError):
    """A truth file that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class PageTruth:
    """The truth of one page.

    Attributes:
        source: file name or path of the scan, as the truth names it.
        page: from 1.
        fields: what is written in each field, names and texts composed; ``""`` is known to be empty. Fields
            not named are not known.
        file: where this was read.
    """

    source: str
    page: int
    fields: Mapping[str, str]
    file: str


@dataclass(frozen=True)
class Truth:
    """Everything that was read.

    Attributes:
        pages: truth of particular pages.
        references: by the two digits of a form, what its writers were asked for; ``source`` is ``""``.
        skipped: files of a folder that hold no truth.
    """

    pages: tuple[PageTruth, ...] = ()
    references: Mapping[str, PageTruth] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matching:
    """Which truth belongs to which page.

    Attributes:
        found: truths by page; several only if they tell of different fields.
        without_truth: pages that no truth tells of.
        without_page: truths that tell of no page.
        ambiguous: truths whose name fits several pages, with these.
    """

    found: Mapping[PageName, tuple[PageTruth, ...]]
    without_truth: tuple[PageName, ...]
    without_page: tuple[PageTruth, ...]
    ambiguous: tuple[tuple[PageTruth, tuple[PageName, ...]], ...]

    def fields(self, page: PageName) -> dict[str, str]:
        """All that is known of a page.

        Raises:
            TruthError: two files say different things of one field.
        """
        known: dict[str, tuple[str, str]] = {}
        for truth in self.found.get(page, ()):
            for name, text in truth.fields.items():
                before, file = known.setdefault(name, (text, truth.file))
                if before != text:
                    raise TruthError(
                        f"{truth.file}: {page[0]}, field {name}: {file} says {before!r}, this one {text!r}. "
                        "Delete one of them, or give both the full path of their page as source."
                    )
        return {name: text for name, (text, _) in known.items()}


def read_truth(paths: Iterable[str | Path]) -> Truth:
    """Reads truth files, and all that lie directly in folders.

    In a folder, files of another kind are passed over and listed; a file named by itself must hold truth.

    Raises:
        TruthError: a path does not exist, a file cannot be read, or none holds any truth.
    """
    pages: list[PageTruth] = []
    references: dict[str, PageTruth] = {}
    skipped: list[str] = []
    named_paths = [Path(path) for path in paths]
    for path, named in [entry for one in named_paths for entry in _files(one)]:
        reference = _REFERENCE_NAME.fullmatch(path.name)
        if reference:
            references[reference[1]] = _read_reference(path)
            continue
        found = _READERS[path.suffix.lower()](path) if path.suffix.lower() in _READERS else None
        if found is not None:
            pages.extend(found)
        elif named:
            raise TruthError(
                f"{path}: holds no truth. Name JSON with source and fields, CSV with the columns source, "
                "field and text, ref_XX.txt of NIST, or a folder of these."
            )
        elif path.suffix.lower() in (*_READERS, ".txt"):
            skipped.append(str(path))
    if not pages and not references:
        listed = ", ".join(map(str, named_paths))
        raise TruthError(
            f"{listed}: no truth in there. Expected are *.json with source and fields, *.csv with the "
            "columns source, field and text, or ref_XX.txt of NIST."
        )
    return Truth(tuple(pages), references, tuple(skipped))


def match_truth(truth: Truth, pages: Sequence[PageName]) -> Matching:
    """Finds the page that each truth is about.

    A source fits a page if it is the end of the page's path. If it fits several, the page that lies beside
    the truth file is taken, else none. References hold for pages that have no truth of their own.
    """
    by_name: dict[tuple[str, int], list[PageName]] = defaultdict(list)
    for source, page in pages:
        by_name[_parts(source)[-1], page].append((source, page))
    found: dict[PageName, list[PageTruth]] = defaultdict(list)
    lost: list[PageTruth] = []
    ambiguous: list[tuple[PageTruth, tuple[PageName, ...]]] = []
    for one in truth.pages:
        parts = _parts(one.source)
        fitting = [p for p in by_name.get((parts[-1], one.page), ()) if _parts(p[0])[-len(parts) :] == parts]
        if len(fitting) > 1:
            folder = Path(one.file).resolve().parent
            fitting = [p for p in fitting if Path(p[0]).parent == folder] or fitting
        if len(fitting) > 1:
            ambiguous.append((one, tuple(fitting)))
        elif fitting:
            found[fitting[0]].append(one)
        else:
            lost.append(one)
    for name in pages:
        reference = _reference_for(name[0], truth.references)
        if name not in found and reference:
            found[name].append(reference)
    unknown = tuple(name for name in pages if name not in found)
    return Matching({name: tuple(found[name]) for name in found}, unknown, tuple(lost), tuple(ambiguous))


def _files(path: Path) -> list[tuple[Path, bool]]:
    """The files of a path, and whether each was named by itself."""
    try:
        if path.is_dir():
            return [(entry, False) for entry in sorted(path.iterdir()) if entry.is_file()]
        known = path.exists()
    except OSError as error:
        raise TruthError(f"{path}: cannot be read ({error.strerror}).") from None
    if not known:
        raise TruthError(f"{path}: no such file or folder. Name the truth of the pages.")
    return [(path, True)]


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise TruthError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise TruthError(
            f"{path}: is not UTF-8 ({error.reason} at byte {error.start}). Convert it."
        ) from None


def _read_json(path: Path) -> list[PageTruth] | None:
    """None if this is JSON of another kind."""
    try:
        content = json.loads(_read_text(path))
    except ValueError as error:
        if isinstance(error, TruthError):
            raise
        raise TruthError(f"{path}: is not valid JSON ({error}). Correct it.") from None
    entries = content if isinstance(content, list) else [content]
    if not entries or not all(isinstance(e, dict) and {"source", "fields"} <= e.keys() for e in entries):
        return None
    return [_json_page(path, entry) for entry in entries]


def _json_page(path: Path, entry: Mapping[str, Any]) -> PageTruth:
    source, page, fields = entry["source"], entry.get("page", 1), entry["fields"]
    if not isinstance(source, str) or not _parts(source):
        raise TruthError(f"{path}: source: {source!r} is no file name. Name the scan.")
    if type(page) is not int or page < 1:
        raise TruthError(f"{path}: page: {page!r} is no page number. Pages count from 1.")
    if not isinstance(fields, dict) or not all(isinstance(text, str) for text in fields.values()):
        raise TruthError(f"{path}: fields: is no object of texts. Write each as a text in quotes.")
    known = {composed(name): composed(text) for name, text in fields.items()}
    if len(known) < len(fields):
        raise TruthError(f"{path}: fields: two names of {source} look the same. Delete one of them.")
    return PageTruth(source, page, known, str(path))


def _read_csv(path: Path) -> list[PageTruth] | None:
    """None if its columns are others."""
    text = _read_text(path)
    # Excel separates by semicolons where the comma is the sign for decimals.
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not set(_COLUMNS) <= set(reader.fieldnames):
            return None
        return _csv_pages(path, reader)
    except csv.Error as error:
        raise TruthError(
            f"{path}, line {reader.line_num}: is not valid CSV ({error}). Is a quote missing before it?"
        ) from None


def _csv_pages(path: Path, reader: "csv.DictReader[str]") -> list[PageTruth]:
    pages: dict[PageName, dict[str, str]] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        source, name, text = (row[column] for column in _COLUMNS)
        number = row.get("page") or "1"
        if not source or not _parts(source) or not name or text is None:
            raise TruthError(f"{where}: is not complete. Every line needs source, field and text.")
        if not number.isdecimal() or int(number) < 1:
            raise TruthError(f"{where}: page {number!r} is no page number. Pages count from 1.")
        fields = pages.setdefault((source, int(number)), {})
        text = composed(text)
        if fields.setdefault(composed(name), text) != text:
            raise TruthError(f"{where}: field {name} of {source} stands twice. Delete one of the lines.")
    return [PageTruth(source, page, fields, str(path)) for (source, page), fields in pages.items()]


_READERS = {".json": _read_json, ".csv": _read_csv}


def _read_reference(path: Path) -> PageTruth:
    fields = {}
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _REFERENCE_LINE.fullmatch(line.strip())
        if not match:
            raise TruthError(f"{path}, line {number}: {line!r} is not like `fld 3 0123456789`. Correct it.")
        if match[2]:
            fields[f"fld_{int(match[1]):02d}"] = composed(match[2].strip())
    return PageTruth("", 1, fields, str(path))


def _reference_for(source: str, references: Mapping[str, PageTruth]) -> PageTruth | None:
    digits = _PAGE_OF_FORM.search(PurePosixPath(source).stem)
    return references.get(digits[1]) if digits else None


def _parts(source: str) -> tuple[str, ...]:
    return tuple(part for part in composed(source).replace("\\", "/").split("/") if part not in ("", "."))
