"""Fakes of segmentation and model with the real signatures, for tests of the plumbing.

A fake file is text: the line ``FORM``, then a line for each page that says what becomes of it.
"""

from pathlib import Path

import numpy as np

from model.alphabets import CLASS_COUNT
from model.decoding import CharacterReading, Reading
from model.networks import Networks
from pipeline.options import JobOptions
from pipeline.stages import Stages
from segmentation.page import GlyphLine, SegmentedField, SegmentedPage
from segmentation.registration import Registration
from segmentation.templates import parse_template

TEMPLATE_TOML = b"""
    [form]
    name = "tiny"
    dpi = 100
    width = 300
    height = 200

    [[field]]
    name = "number"
    box = [10, 10, 100, 20]
    charset = "digits"
    length = 2

    [[field]]
    name = "unused"
    box = [10, 50, 100, 20]
    charset = "digits"
    length = 2

    [[field]]
    name = "story"
    box = [10, 80, 200, 100]
    layout = "paragraph"
    """
TEMPLATE = parse_template(TEMPLATE_TOML, "tiny.toml")
KINDS = ["good", "doubtful", "long", "explode", "memory", "elsewhere", "nan", "shape", "refuse", "unread"]
KINDS += ["undecodable", "empty"]
CANDIDATES = 3


class CodedError(ValueError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FakePage:
    def __init__(self, kind: str) -> None:
        self.gray = np.full((200, 300), KINDS.index(kind), np.uint8)


class FakeDocument:
    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.page_count = len(kinds)

    def read(self, number: int) -> FakePage:
        kind = self.kinds[number - 1]
        if kind == "undecodable":
            raise CodedError("truncated", "the page ends too early")
        return FakePage(kind)

    def close(self) -> None:
        self.kinds = []


def fake_open(data: bytes) -> FakeDocument:
    lines = data.decode("latin-1").split()
    if not lines or lines[0] != "FORM":
        raise CodedError("not_an_image", "the file is no picture")
    return FakeDocument(lines[1:])


def fake_line(kind: str) -> GlyphLine:
    numbers = np.arange(CANDIDATES)
    boxes = np.stack([10.0 + numbers, numbers, 5 + numbers, 7 + numbers], axis=1).astype(np.float32)
    return GlyphLine(
        starts=numbers.astype(np.int16),
        stops=(numbers + 1).astype(np.int16),
        crops=np.full((CANDIDATES, 28, 28), KINDS.index(kind), np.uint8),
        boxes=boxes,
        bounds=boxes,
        piece_bounds=boxes,
        piece_ink=np.ones(CANDIDATES, np.float32),
    )


def fake_segment(gray, template) -> SegmentedPage:
    kind = KINDS[gray[0, 0]]
    if kind == "explode":
        raise ZeroDivisionError("nobody expected this")
    if kind == "memory":
        raise MemoryError("too large")
    if kind == "elsewhere":
        raise CodedError("form_not_found", "this is not the form")
    lines = {"number": 1, "unused": 0, "story": 2}
    if kind == "empty":
        lines = dict.fromkeys(lines, 0)
    box = np.array([1, 2, 3, 4], np.float32)
    fields = tuple(
        SegmentedField(spec.name, box, tuple(fake_line(kind) for _ in range(lines[spec.name])), 0.25)
        for spec in template.fields
    )
    matrix = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 6.0]])
    return SegmentedPage(300, 200, Registration(matrix, 0.5, 9, 10), fields, {})


class FakeClassifier:
    name, sha256 = "fake", "f" * 64

    def __init__(self) -> None:
        self.calls: list[int] = []

    def classify(self, crops):
        self.calls.append(len(crops))
        kinds = {KINDS[value] for value in np.unique(crops[:, 0, 0])}
        if "refuse" in kinds:
            raise RuntimeError("tensor arena is full")
        if "shape" in kinds:
            return np.zeros((len(crops), 3), np.float32)
        log_probs = np.full((len(crops), CLASS_COUNT), np.log(1 / CLASS_COUNT), np.float32)
        log_probs[:, 0] = -0.001 * crops[:, 0, 0]  # the kind travels on, so that a mix-up would show
        log_probs[crops[:, 0, 0] == KINDS.index("nan")] = np.nan
        return log_probs


def fake_decode(lattice, constraint) -> Reading:
    kind = KINDS[round(float(-1000 * lattice.log_probs[0, 0]))]
    if kind == "unread":
        raise AssertionError("the decoder is confused")
    confidence = {"doubtful": 0.5}.get(kind, 0.95)
    text = "123" if kind == "long" else "12"
    characters = tuple(
        CharacterReading(label, confidence, i, (("7", 0.03), ("4", 0.01))) for i, label in enumerate(text)
    )
    return Reading(text, confidence, characters, (("72", 0.03),))


def fake_read(lattices, constraints) -> list[Reading]:
    return [fake_decode(*row) for row in zip(lattices, constraints, strict=True)]


def fake_networks() -> Networks:
    return Networks(FakeClassifier())


STAGES = Stages(fake_open, fake_segment, fake_networks, fake_read)


def write_forms(folder: Path, **files: str) -> None:
    """Writes fake files: ``write_forms(tmp, a="good nan")`` makes ``a.png`` of two pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kinds in files.items():
        (folder / f"{name}.png").write_text(f"FORM {kinds}")


def options_for(scans: Path, output: Path, **changes) -> JobOptions:
    return JobOptions(
        **{"inputs": (str(scans),), "output": str(output), "template": TEMPLATE, "model_sha256": "f" * 64}
        | changes
    )
