"""A random form is printed, filled, skewed, noised, scanned back: every field lands in its box.

Four seeds by default; FORMSCRIBE_ROUND_TRIPS=100 tries as many.
"""

import os

import numpy as np
import pytest
from own_forms import CAREFUL, random_form

from segmentation.rendering import fill_form
from segmentation.sample_texts import random_texts
from segmentation.scanner import random_settings, scan
from segmentation.segmenting import segment_page
from segmentation.templates import FormTemplate

SEEDS = range(int(os.environ.get("FORMSCRIBE_ROUND_TRIPS", "4")))
TOLERANCE = 4.0  # pixels at 300 dpi


def corners_of(template: FormTemplate):
    """The corners of each field, float64 (fields, 4, 3), as (x, y, 1) in template pixels."""
    return np.array(
        [
            [(x, y, 1.0) for x in (spec.box.x, spec.box.right) for y in (spec.box.y, spec.box.bottom)]
            for spec in template.fields
        ]
    )


def round_trip(seed, level):
    """A filled page of a random form with what is true about it: form, scan, its matrix, texts."""
    chance = np.random.default_rng(1000 + seed)
    template = random_form(chance)
    page, truth = fill_form(template, random_texts(template, chance), CAREFUL, chance)
    image, matrix = scan(page, template.dpi, random_settings(level, chance), chance)
    return template, image, matrix, truth


@pytest.mark.parametrize("level", ["normal", "hard"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_field_lands_in_its_box(seed, level):
    template, image, matrix, truth = round_trip(seed, level)
    segmented = segment_page(image, template)
    corners = corners_of(template)
    error = np.linalg.norm(corners @ (segmented.registration.matrix - matrix).T, axis=2)
    worst = int(error.max(axis=1).argmax())
    assert error.max() <= TOLERANCE * template.dpi / 300, (template.fields[worst].name, error.max())
    for found, spec, true in zip(segmented.fields, template.fields, corners @ matrix.T, strict=True):
        low, high = true.min(axis=0), true.max(axis=0)
        x, y, width, height = found.box
        reach = 2 * TOLERANCE
        assert np.abs([x - low[0], y - low[1], x + width - high[0], y + height - high[1]]).max() <= reach
        if spec.layout != "mark" and truth[spec.name]:
            assert found.lines, spec.name


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_scan_is_is_found_within_a_few_pixels(seed):
    template, image, matrix, _ = round_trip(seed, "clean")
    found = segment_page(image, template).registration
    assert np.linalg.norm(corners_of(template) @ (found.matrix - matrix).T, axis=2).max() <= 2.5
