"""The parts of the benchmarks that could be wrong without anybody seeing it."""

import csv
import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import robustness, scale, soak, soak_report
from benchmarks.commands import FIELDS_PER_PAGE, QUERIES, write_results
from benchmarks.page import SAMPLES, PageReader, bare_decode, decode_and_label
from benchmarks.page_figures import STAGES
from benchmarks.runs import linked, pages_in
from benchmarks.timing import Spread, in_rounds, ratio, table
from jobs.query import execute, open_results
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.stages import real_stages
from segmentation.templates import load_template

STRIP = Path(__file__).parent.parent / "sample_forms" / "strip"


def test_ratios_are_taken_round_by_round():
    assert ratio([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread(3.0, 2.0, 4.0).text(" ms", 0) == "3 ms (2-4)"


def test_things_compared_take_turns_and_the_first_round_does_not_count():
    order = []
    taken = in_rounds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(times) for name, times in taken.items()} == {"a": 2, "b": 2}


def test_tables_are_markdown():
    assert table(["x", "y"], [["1", "2"]]).splitlines() == ["| x | y |", "| --- | --- |", "| 1 | 2 |"]


def test_made_up_results_can_be_queried_like_real_ones(tmp_path: Path):
    write_results(tmp_path / "out", 340)
    connection = open_results(tmp_path / "out")
    counted = list(execute(connection, QUERIES["count by field and status"])[1])
    assert sum(count for *_, count in counted) == 340
    assert {status for _, status, _ in counted} == {"accepted", "review"}
    assert len(list(execute(connection, QUERIES["fields of one page"])[1])) == FIELDS_PER_PAGE


@pytest.fixture(scope="module")
def reader() -> PageReader:
    options = JobOptions(inputs=("page",), output="none", template=load_template("hsf"))
    stages = real_stages(options)
    return PageReader(options, stages, stages.load_networks())


def test_the_stages_of_a_page_add_up_to_the_page(reader):
    data = (SAMPLES / "form_0004.png").read_bytes()
    page = reader.read(data)
    assert page.seconds.keys() == {*STAGES, "page"}
    assert 0.7 * page.seconds["page"] < sum(page.seconds[name] for name in STAGES)
    assert sum(page.seconds[name] for name in STAGES) <= 1.001 * page.seconds["page"]
    assert page.candidates == len(reader.crops(data))
    assert page.crops > 100
    assert len(page.rows.fields) == len(reader.options.template.fields)
    assert bare_decode(data).ndim == 2
    decode_and_label(data)


def test_the_cuts_of_the_second_look_are_no_work_of_the_model(reader, monkeypatch):
    data = (SAMPLES / "form_0004.png").read_bytes()

    def slow(pages, model):
        times = {"segment": pages[0].milliseconds["segment"] + 5000.0}
        return [
            replace(one, page=replace(one.page, milliseconds=times)) for one in classify_pages(pages, model)
        ]

    monkeypatch.setattr("benchmarks.page.classify_pages", slow)
    seconds = reader.read(data).seconds
    assert seconds["cut"] > 5
    assert seconds["classify"] < 0


def test_a_model_of_many_pages():
    inputs = scale.Inputs(seconds_a_page=0.36, start=100, tail=1.0, rename=0.1)
    one = scale.forecast(1_000_000, 10, inputs, 5_000)
    assert one.work == 36_000
    assert one.listing == 400
    assert one.files == 30_000
    assert one.hours == (100 + 400 + 36_000 + 3_000) / 3600
    assert one.first_bottleneck(inputs) == "reading pages"
    assert scale.forecast(1_000_000, 200, inputs, 5_000).first_bottleneck(inputs) == "renaming files"
    assert "13 GB" in scale.forecast(10**8, 10, inputs, 13_000).first_bottleneck(inputs)
    assert 1_000 < scale.memory_of_a_bundle(100) < 100_000


def test_the_start_is_taken_out_of_what_a_page_costs():
    told = soak.costs({1: [3.0, 5.0, 4.0], 100: [13.9, 13.9, 13.9]}, 4.0 + 9_999 * 0.11, 10_000)
    assert told["cpu_seconds_a_page_at_100"] == pytest.approx(0.1)
    assert told["ratio"] == pytest.approx(1.1)


def test_a_soak_is_told_by_its_greatest_worker(tmp_path: Path):
    with open(tmp_path / "samples.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(soak.Sample)])
        writer.writeheader()
        for pages in range(0, 1001, 10):
            for process, megabytes in ((1, 250.0), (2, 260.0 + pages / 100), (3, 2.0)):
                role = "launcher" if process == 1 else "worker"
                sample = soak.Sample(pages / 10, pages, role, process, megabytes, 0, 16, 23, 0, 0)
                writer.writerow(asdict(sample))
    summary = {"template": "x.toml", "pages": 1000, "workers": 1, "ratio": 1.02}
    summary |= {"cpu_seconds_a_page_at_100": 0.05, "cpu_seconds_a_page_at_1000": 0.051}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    row = soak_report.figures(tmp_path)
    name = "x, 1,000 pages, 1 workers"
    assert row == [name, "261 / 269", "270", "16 / 16", "23 / 23", "50.0 / 51.0", "1.020"]
    soak_report.draw([tmp_path], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_a_soak_lists_pages_under_many_names_and_sees_this_process(tmp_path: Path):
    (tmp_path / "rendered").mkdir()
    for name in ("a.png", "b.png", "a.truth.json"):
        (tmp_path / "rendered" / name).write_text(name)
    folder = linked(pages_in(tmp_path / "rendered"), tmp_path / "scans", 5)
    assert [path.read_text() for path in sorted(folder.iterdir())] == ["a.png", "b.png"] * 2 + ["a.png"]
    seen = next(iter(soak.samples(os.getpid(), 7, 1.0)))
    assert (seen.pages, seen.role) == (7, "launcher")
    assert seen.resident_mb > 10


def test_the_states_of_a_page_are_pages_of_different_names():
    template = load_template(str(STRIP / "strip.toml"))
    gray = cv2.imread(str(STRIP / "form_0001.png"), cv2.IMREAD_GRAYSCALE)
    made = list(robustness.variants(gray, template.dpi, template))
    assert len({variant.name for variant in made}) == len(made) > 20
    for variant in made:
        assert (variant.gray.ndim, variant.gray.dtype) == (2, np.uint8), variant.name
        assert variant.gray.shape[0] > 500
        assert variant.gray.max() > variant.gray.min() + 20
    as_it_is, *changed = made
    assert as_it_is.gray is gray
    for variant in changed:
        differs = variant.gray.shape != gray.shape or (variant.gray != gray).any()
        assert differs != (variant.name == f"{template.dpi:g} dpi"), variant.name
