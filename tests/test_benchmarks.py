"""The parts of the benchmarks that could be wrong without anybody seeing it."""

from pathlib import Path

from benchmarks.commands import FIELDS_PER_PAGE, QUERIES, write_results
from benchmarks.page import SAMPLES, PageReader, bare_decode, decode_and_label
from benchmarks.timing import Spread, in_rounds, ratio, table
from jobs.query import execute, open_results
from pipeline.options import JobOptions
from pipeline.stages import real_stages
from segmentation.templates import load_template


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


def test_the_stages_of_a_page_add_up_to_the_page():
    options = JobOptions(inputs=("page",), output="none", template=load_template("hsf"))
    stages = real_stages(options)
    reader = PageReader(options, stages, stages.load_classifier())
    data = (SAMPLES / "form_0004.png").read_bytes()
    spent = reader.read(data)
    parts = sum(spent[name] for name in ("decode", "register", "clean", "cut", "classify", "read"))
    assert 0.7 * spent["page"] < parts <= 1.001 * spent["page"]
    assert spent["candidates"] == len(reader.crops(data))
    assert bare_decode(data).ndim == 2
    decode_and_label(data)
