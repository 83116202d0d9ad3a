"""Tesseract on the pages that we read: what it takes, and how many of the fields it reads right.

Two ways. *Whole page*: ``tesseract PAGE``, as it comes. *Box by box*: the inside of each field's box,
straightened, is a picture of its own, read as one line (a paragraph as one block) with a whitelist of the
characters that the form allows there. Pictures of one whitelist are read by one process, so that its start
counts once for each; finding and cutting the fields, which is our work, does not count.
"""

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Spread, in_rounds, ratio, table
from jobs.form_scores import score_field
from jobs.truth import match_truth, read_truth
from model.alphabets import CHARSETS
from pipeline.records import PageRows
from segmentation.registration import FRAME_INSET
from segmentation.templates import FieldSpec, FormTemplate

KINDS = {
    "digit fields": ("digits",),
    "letter fields": ("upper", "lower", "letters", "alphanumeric"),
    "fields of text": ("text",),
}
# Of the cuts that were tried (tighter ones, and the ink alone, in grey and in black and white) Tesseract
# reads this one best.
INSET = 2.5  # ``FRAME_INSET``: from the outer edge of a frame
BORDER = 1 / 20  # inches of paper around a field, else Tesseract misses what is at its edge
OURS, ANYWHERE = "ours, whole page", "Tesseract, whole page, anywhere"
IN_PLACE, BOXES = "Tesseract, whole page, in place", "Tesseract, box by box"
LAYOUTS = {"line": "7", "comb": "7", "paragraph": "6"}  # --psm
EXPLAINED = f"""\
- *{OURS}*: from the bytes of the file to the fields. A field is right if all of it is, and nothing more.
- *{ANYWHERE}*: `tesseract PAGE`. A field is right if what is written there stands
  anywhere in the output. Where a form prints beside each box what is to be written there, as HSF does, that
  tells of print, not of handwriting.
- *{IN_PLACE}*: the same run. A field is right if what is written there stands in the
  words that Tesseract finds within the field's box.
- *{BOXES}*: the inside of each field's box, cut out and straightened by us, which is
  not timed, read with `--psm 7` (a paragraph with `--psm 6`) and a whitelist of the field's characters, one
  process for each whitelist. Right as ours.

White space is not compared, and fields in which nothing is written are left out. All on one thread.
Tesseract's start is in its time, ours is not."""


class TesseractError(RuntimeError):
    """Tesseract gave something else than was asked for."""


@dataclass(frozen=True)
class Right:
    """How many fields of a kind were read right, of how many in which something is written."""

    right: int
    written: int

    def text(self) -> str:
        return f"{self.right} of {self.written}"


@dataclass(frozen=True)
class Word:
    """A word of Tesseract's, in its order, and its middle in pixels of the page."""

    text: str
    x: float
    y: float


def words_of(tsv: str) -> list[Word]:
    """The words of what ``tesseract ... tsv`` prints."""
    lines = list(csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Word(
            line["text"],
            float(line["left"]) + float(line["width"]) / 2,
            float(line["top"]) + float(line["height"]) / 2,
        )
        for line in lines
        if line["level"] == "5"
    ]


def truth_of(page: Path, files: Sequence[Path]) -> dict[str, str]:
    """What is written on a page, by ``files`` or else by ``PAGE.truth.json`` beside it; {} if unknown.

    Raises:
        TruthError: a file cannot be used.
    """
    beside = page.with_suffix(".truth.json")
    found = list(files) or ([beside] if beside.exists() else [])
    if not found:
        return {}
    name = (str(page), 1)
    return match_truth(read_truth(found), [name]).fields(name)


def squeezed(text: str) -> str:
    """Without white space, which nobody compares."""
    return "".join(text.split())


def count_right(
    truth: Mapping[str, str], charsets: Mapping[str, str], is_right: Callable[[str, str], bool]
) -> dict[str, Right]:
    """Fields read right, by kind.

    Args:
        truth: what is written in each field; those in which nothing is are left out.
        charsets: of each field of the form; fields that it lacks are left out.
        is_right: told the name of a field and what is written in it, without white space.
    """
    written = {name: squeezed(text) for name, text in truth.items() if name in charsets and squeezed(text)}
    counted = {}
    for kind, members in KINDS.items():
        names = [name for name in written if charsets[name] in members]
        counted[kind] = Right(sum(is_right(name, written[name]) for name in names), len(names))
    return counted


def ours_right(rows: PageRows, truth: Mapping[str, str]) -> Callable[[str, str], bool]:
    """Whether we read a field right."""
    named = {row["field"]: row for row in rows.fields}
    right = {name: score_field(named[name], truth[name]).right for name in named.keys() & truth.keys()}
    return lambda name, text: right.get(name, False)


def somewhere_in(output: str) -> Callable[[str, str], bool]:
    """Whether the text of a field stands anywhere in the output."""
    output = squeezed(output)
    return lambda name, text: text in output


def within(words: Sequence[Word], rows: PageRows) -> Callable[[str, str], bool]:
    """Whether the text of a field stands in the words of which the middle lies in the field's box."""
    found: dict[str, str] = {}
    for row in rows.fields:
        left, top = row["box_x"], row["box_y"]
        right, bottom = left + row["box_width"], top + row["box_height"]
        inside = [one.text for one in words if left <= one.x <= right and top <= one.y <= bottom]
        found[row["field"]] = squeezed("".join(inside))
    return lambda name, text: text in found.get(name, "")


def exactly(readings: Mapping[str, str]) -> Callable[[str, str], bool]:
    """Whether the reading of a field is its text."""
    return lambda name, text: squeezed(readings.get(name, "")) == text


def field_picture(
    gray: NDArray[np.uint8], spec: FieldSpec, matrix: NDArray[np.float64], dpi: float
) -> NDArray[np.uint8]:
    """The inside of a field's box, straight and in the resolution of the page, with paper around it.

    Args:
        gray: uint8 (H, W) the page.
        spec: the field, in template pixels of ``dpi``.
        matrix: float64 (2, 3), template to page.
    """
    inset = INSET * FRAME_INSET * dpi if spec.framed else 0.0
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    size = [max(1, round((side - 2 * inset) * scale)) for side in (spec.box.width, spec.box.height)]
    corner = np.array([[1 / scale, 0, spec.box.x + inset], [0, 1 / scale, spec.box.y + inset], [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(gray, matrix @ corner, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.pad(inside, round(BORDER * dpi * scale), constant_values=int(np.percentile(inside, 90)))


def write_pictures(
    gray: NDArray[np.uint8], template: FormTemplate, rows: PageRows, folder: Path
) -> dict[tuple[str, str], list[str]]:
    """A PNG of each field, and lists of these files by charset and ``--psm``.

    Args:
        gray: uint8 (H, W) the page.
        template: its form.
        rows: of the page; they tell where the form lies on it.
        folder: is made.

    Returns:
        By charset and ``--psm`` the names of the fields.
    """
    folder.mkdir(parents=True)
    matrix = np.array(rows.form["transform"], np.float64).reshape(2, 3)
    groups: dict[tuple[str, str], list[str]] = {}
    for spec in template.fields:
        if spec.layout in LAYOUTS:
            cv2.imwrite(str(folder / f"{spec.name}.png"), field_picture(gray, spec, matrix, template.dpi))
            groups.setdefault((spec.charset, LAYOUTS[spec.layout]), []).append(spec.name)
    for (charset, mode), members in groups.items():
        lines = "".join(f"{folder / name}.png\n" for name in members)
        (folder / f"{charset}-{mode}.txt").write_text(lines, "utf-8")
    return groups


def read_boxes(folder: Path, groups: Mapping[tuple[str, str], Sequence[str]]) -> dict[str, str]:
    """Tesseract's reading of each field that ``write_pictures`` has written.

    Raises:
        TesseractError: it gave more or fewer texts than there are pictures.
    """
    readings: dict[str, str] = {}
    for (charset, mode), names in groups.items():
        words = [str(folder / f"{charset}-{mode}.txt"), "stdout", "--psm", mode]
        if charset != "text":  # which has punctuation that no whitelist knows
            words += ["-c", f"tessedit_char_whitelist={CHARSETS[charset]}"]
        readings |= dict(zip(names, texts_of(tesseract(*words), len(names)), strict=True))
    return readings


def texts_of(output: str, count: int) -> list[str]:
    """The texts of ``count`` pictures; form feeds stand between them, in older versions after the last too.

    Raises:
        TesseractError: there are more or fewer.
    """
    texts = output.split("\f")
    if len(texts) == count + 1 and not texts[-1].strip():
        texts.pop()
    if len(texts) != count:
        raise TesseractError(f"Tesseract gave {len(texts)} texts for {count} pictures of fields.")
    return texts


def tesseract(*words: str, data: bytes | None = None) -> str:
    """What it prints, on one thread.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(["tesseract", *words], input=data, check=True, capture_output=True, env=one_thread)
    return done.stdout.decode("utf-8", "replace")


def measure_tesseract(
    read: Callable[[bytes], PageRows],
    decode: Callable[[bytes], NDArray[np.uint8]],
    template: FormTemplate,
    pages: Mapping[Path, Mapping[str, str]],
    rounds: int,
    scratch: Path,
) -> str:
    """Time and fields right of ours and of both ways, taking turns, as Markdown; or that it is not there.

    Args:
        read: our page.
        decode: a file to grey pixels.
        template: the form of all pages.
        pages: files, and what is written on each.
        rounds: how often each is timed.
        scratch: a folder for pictures of fields.
    """
    if shutil.which("tesseract") is None:
        return "Not installed, so not compared (`apt-get install tesseract-ocr`)."
    charsets = {spec.name: spec.charset for spec in template.fields}
    rows = []
    for number, (path, truth) in enumerate(pages.items()):
        data, folder = path.read_bytes(), scratch / f"boxes{number}"
        ours = read(data)
        groups = write_pictures(decode(data), template, ours, folder)
        work: dict[str, Callable[[], object]] = {
            OURS: lambda data=data: read(data),
            ANYWHERE: lambda data=data: tesseract("stdin", "stdout", "tsv", data=data),
            BOXES: lambda folder=folder, groups=groups: read_boxes(folder, groups),
        }
        taken = in_rounds(work, rounds)
        taken[IN_PLACE] = taken[ANYWHERE]
        words = words_of(tesseract("stdin", "stdout", "tsv", data=data))
        ways = {
            OURS: ours_right(ours, truth),
            ANYWHERE: somewhere_in("".join(word.text for word in words)),
            IN_PLACE: within(words, ours),
            BOXES: exactly(read_boxes(folder, groups)),
        }
        for way, is_right in ways.items():
            counted = count_right(truth, charsets, is_right)
            cells = [one.text() if one.written else "unknown" for one in counted.values()]
            spread = Spread.of([1000 * one for one in taken[way]]).text()
            rows.append([path.name, way, spread, ratio(taken[way], taken[OURS]).text(), *cells])
    version = tesseract("--version").splitlines()[0]
    heads = ["page", "read by", "ms", ": ours", *(f"{kind} right" for kind in KINDS)]
    return f"{version}, median (least-greatest) of {rounds} rounds.\n\n{EXPLAINED}\n\n{table(heads, rows)}"
