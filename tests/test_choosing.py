"""Of several forms a page goes to the one that fits it best."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_forms import membership, random_form, renamed

from jobs import cli
from jobs.exit_codes import ExitCode
from segmentation import rule_finding
from segmentation.choosing import load_templates, segment_best
from segmentation.finding import register_best
from segmentation.registration import RegistrationError
from segmentation.rendering import render_blank
from segmentation.scanner import random_settings, scan
from segmentation.templates import TemplateError, load_template

COMB = Path(__file__).parent.parent / "sample_forms" / "comb"
FORMS = (load_template("hsf"), membership(), renamed(random_form(np.random.default_rng(5)), "other"))


def scanned(template, seed=0, level="normal"):
    chance = np.random.default_rng(seed)
    return scan(render_blank(template), template.dpi, random_settings(level, chance), chance)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("order", [1, -1])
def test_each_page_goes_to_its_own_form(form, order):
    page, matrix = scanned(form)
    template, found = register_best(page, FORMS[::order])
    assert template.name == form.name
    corners = np.array([[0, 0, 1], [form.width, 0, 1], [0, form.height, 1]], float)
    assert np.abs(corners @ (found.matrix - matrix).T).max() < 6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_pages_too(turns):
    page = np.ascontiguousarray(np.rot90(scanned(FORMS[1])[0], turns))
    assert register_best(page, FORMS)[0].name == "membership"


@pytest.mark.parametrize("turns", [1, 3])
def test_a_turned_page_is_not_taken_upside_down(turns):
    """Of a comb more than half of the rules fit the wrong way round."""
    form = load_template(str(COMB / "membership.toml"))
    upright = cv2.imread(str(COMB / "form_0001.png"), cv2.IMREAD_GRAYSCALE)
    page = np.ascontiguousarray(np.rot90(upright, turns))
    alone, among = register_best(page, [form])[1], register_best(page, [form, FORMS[0]])[1]
    assert abs(alone.skew - among.skew) < 1
    assert among.matched == alone.matched


def test_a_form_of_few_rules_that_fit_by_chance_does_not_win():
    form = FORMS[0]
    part = replace(form, name="part", fields=form.fields[:4])
    assert register_best(scanned(form)[0], (part, form))[0].name == "hsf"


def test_the_same_as_registering_alone():
    page, _ = scanned(FORMS[1])
    alone = register_best(page, [FORMS[1]])[1]
    _, found = register_best(page, FORMS)
    assert np.allclose(found.matrix, alone.matrix)
    assert (found.matched, found.landmarks) == (alone.matched, alone.landmarks)


def test_a_page_that_fits_none_fails_with_its_code():
    page = np.full((1400, 1700), 255, np.uint8)
    with pytest.raises(RegistrationError, match="'hsf', 'membership', 'other'") as told:
        register_best(page, FORMS)
    assert told.value.code == "form_not_found"
    with pytest.raises(RegistrationError, match="'hsf' is not on this page"):
        register_best(page, FORMS[:1])


def test_rules_are_found_once_for_forms_of_one_width(monkeypatch):
    calls = []
    real = rule_finding.find_rules
    monkeypatch.setattr(rule_finding, "find_rules", lambda *a: calls.append(1) or real(*a))
    page, _ = scanned(FORMS[1])
    register_best(page, [renamed(FORMS[1], f"form {i}") for i in range(5)])
    assert len(calls) == 1


def test_the_page_is_cut_as_the_form_it_is():
    page = segment_best(scanned(FORMS[1])[0], FORMS)
    assert page.template == "membership"
    assert [found.name for found in page.fields] == [spec.name for spec in FORMS[1].fields]
    assert page.seconds["register"] > 0


def write_template(path, name):
    path.write_text(
        f'[form]\nname = "{name}"\ndpi = 300\nwidth = 900\nheight = 900\n'
        '[[field]]\nname = "a"\nbox = [100, 100, 600, 90]\n'
    )
    return str(path)


def test_names_files_and_folders(tmp_path):
    folder = tmp_path / "forms"
    folder.mkdir()
    write_template(folder / "b.toml", "two")
    write_template(folder / "a.toml", "one")
    (folder / "notes.txt").write_text("no template")
    single = write_template(tmp_path / "c.toml", "three")
    assert [t.name for t in load_templates([str(folder), single, "hsf"])] == ["one", "two", "three", "hsf"]


def test_two_forms_of_one_name_and_empty_folders_are_refused(tmp_path):
    a, b = write_template(tmp_path / "a.toml", "same"), write_template(tmp_path / "b.toml", "same")
    with pytest.raises(TemplateError, match=r"'same' is also the name of .*a\.toml"):
        load_templates([a, b])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TemplateError, match=r"no \.toml file"):
        load_templates([str(tmp_path / "empty")])
    words = ["run", "--input", a, "--output", str(tmp_path / "out"), "--template", a, b]
    assert cli.main(words) == ExitCode.BAD_TEMPLATE
