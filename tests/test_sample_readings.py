"""What the shipped model reads on the sample forms with combs, ticks and a single strip."""

import json
from pathlib import Path

import cv2
import pytest

from model.decoding import decode
from model.networks import load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.reading import page_rows
from pipeline.records import PageKey, PageToClassify
from segmentation.segmenting import segment_page
from segmentation.templates import load_template

SAMPLES = Path(__file__).resolve().parent.parent / "sample_forms"
FORMS = {"comb": "membership.toml", "strip": "strip.toml"}


@pytest.fixture(scope="module")
def networks():
    return load_networks()


def decode_each(lattices, constraints):
    return [decode(*row) for row in zip(lattices, constraints, strict=True)]


@pytest.mark.parametrize("kind", FORMS)
def test_readings(kind, networks):
    template = load_template(str(SAMPLES / kind / FORMS[kind]))
    options = JobOptions(inputs=("a",), output="o", template=template)
    charsets = {spec.name: spec.charset for spec in template.fields if spec.layout != "mark"}
    right = total = 0
    for path in sorted(SAMPLES.glob(f"{kind}/form_*.truth.json")):
        truth = json.loads(path.read_text())
        page = segment_page(cv2.imread(str(path.with_name(truth["source"])), cv2.IMREAD_GRAYSCALE), template)
        (classified,) = classify_pages([PageToClassify(PageKey("a", 1), "h", page, {})], networks)
        rows = page_rows(classified.page, classified.log_probs, options, decode_each)
        texts = {row["field"]: row["text"] for row in rows.fields}
        assert list(texts) == list(truth["fields"])
        for name, expected in truth["fields"].items():
            if name not in charsets or not expected:
                assert texts[name] == expected, (path.name, name)
                continue
            # Where the writing stands is no matter of the model: cells and spaces are all right.
            assert [c == " " for c in texts[name]] == [c == " " for c in expected], (path.name, name)
            total += len(expected)
            right += sum(a == b for a, b in zip(texts[name], expected, strict=True))
    assert total >= 36
    assert right >= 0.95 * total
