"""The pure functions between bytes and rows."""

from enum import StrEnum

import numpy as np
import pytest
from pipeline_fakes import TEMPLATE, CodedError, FakeDocument, fake_decode, fake_line, fake_open, options_for

from model.decoding import CharacterReading, Reading
from pipeline.options import JobOptions
from pipeline.reading import decode_pages, failure_of, field_confidence, field_status, lattice_of, page_rows
from pipeline.records import DecodedPage, Failure, PageKey, PageToClassify
from segmentation.page import SegmentedField, SegmentedPage
from segmentation.registration import Registration

NUMBER, STORY = TEMPLATE.field("number"), TEMPLATE.field("story")


def reading(text: str, confidence: float) -> Reading:
    characters = tuple(CharacterReading(c, confidence, 0, ()) for c in text)
    return Reading(text, confidence, characters, ())


@pytest.mark.parametrize(
    ("spec", "text", "confidence", "status"),
    [
        (NUMBER, "12", 0.95, "accepted"),
        (NUMBER, "1 2", 0.95, "accepted"),  # spaces do not count
        (NUMBER, "12", 0.9, "accepted"),
        (NUMBER, "12", 0.89, "review"),
        (NUMBER, "123", 0.99, "review"),
        (NUMBER, "1", 0.99, "review"),
        (NUMBER, "", None, "blank"),
        (NUMBER, "", 0.99, "blank"),
        (NUMBER, "", 0.5, "review"),
        (STORY, "anything", 0.99, "review"),
        (STORY, "", None, "blank"),
    ],
)
def test_status(spec, text, confidence, status):
    assert field_status(spec, text, confidence, 0.9) == status


def test_confidence_of_a_paragraph_is_the_mean_weighted_by_length():
    assert field_confidence([]) is None
    assert field_confidence([reading("12", 0.8)]) == 0.8
    assert field_confidence([reading("123", 0.9), reading("1", 0.5)]) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="no number"):
        field_confidence([reading("12", float("nan"))])


class Codes(StrEnum):
    DAMAGED = "damaged"


def test_failures_keep_a_code_or_are_internal():
    failure = failure_of(CodedError(Codes.DAMAGED, "it is"), "a.png", 2, "hash", "decode")
    assert failure == Failure("a.png", 2, "hash", "decode", "damaged", "it is")
    assert type(failure.code) is str  # an enum would not survive everywhere
    assert failure_of(OSError(5, "Input/output error"), "a", None, None, "x").code == "internal_error"


def test_pages_are_decoded_one_by_one_and_the_document_is_closed():
    opened: list[FakeDocument] = []

    def open_document(data: bytes) -> FakeDocument:
        opened.append(fake_open(data))
        return opened[0]

    pages = decode_pages("f", b"FORM good undecodable long", "hash", open_document)
    first = next(pages)
    assert isinstance(first, DecodedPage)
    assert first.key == PageKey("f", 1)
    rest = list(pages)
    assert isinstance(rest[0], Failure)
    assert (rest[0].page, rest[0].code) == (2, "truncated")
    assert rest[1].key.page == 3
    assert opened[0].kinds == []


def test_the_lattice_is_the_line_with_its_classes():
    line, log_probs = fake_line("good"), np.zeros((3, 63), np.float32)
    lattice = lattice_of(line, log_probs)
    assert lattice.log_probs is log_probs
    for name in ("starts", "stops", "bounds", "piece_bounds", "piece_ink"):
        assert getattr(lattice, name) is getattr(line, name)


def test_every_line_gets_the_classes_of_its_own_candidates(tmp_path):
    """Three lines in two fields: candidate k of the page has log-probability -k for the class 0."""
    options = options_for(tmp_path, tmp_path)
    box = np.zeros(4, np.float32)
    counts = {"number": 1, "unused": 0, "story": 2}
    fields = tuple(
        SegmentedField(spec.name, box, tuple(fake_line("good") for _ in range(counts[spec.name])), 0.1)
        for spec in TEMPLATE.fields
    )
    segmented = SegmentedPage(9, 9, Registration(np.eye(2, 3), 0.0, 1, 1), fields, {})
    log_probs = np.repeat(-np.arange(9, dtype=np.float32)[:, None], 63, axis=1)
    seen, constraints = [], []

    def decode(lattices, own):
        seen.extend(lattice.log_probs[:, 0].tolist() for lattice in lattices)
        constraints.extend((c.charset, c.min_length, c.max_length) for c in own)
        return [reading("12", 0.95)] * len(lattices)

    page_rows(PageToClassify(PageKey("f", 1), "h", segmented, {}), log_probs, options, decode)
    assert seen == [[0, -1, -2], [-3, -4, -5], [-6, -7, -8]]
    assert constraints == [("digits", 2, 2), ("text", 0, 600), ("text", 0, 600)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": ()}, "--input"),
        ({"output": ""}, "--output"),
        ({"min_confidence": float("nan")}, "--min_confidence"),
        ({"max_pixels": 0}, "--max_pixels"),
        ({"run_id": "a/b"}, "--run_id"),
    ],
)
def test_options_out_of_range_are_named(changes, told):
    with pytest.raises(ValueError, match=told):
        JobOptions(**{"inputs": ("a",), "output": "o", "template": TEMPLATE} | changes)


def test_the_fake_decoder_reads():
    assert fake_decode(lattice_of(fake_line("good"), np.zeros((3, 63), np.float32)), None).text == "12"
