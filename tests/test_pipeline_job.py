"""The whole graph with fakes of segmentation and model: nothing is lost, bad pages cost only themselves."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pyarrow.dataset as ds
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from pipeline_fakes import STAGES, options_for, write_forms

from pipeline import transforms, writing
from pipeline.build import build
from pipeline.options import JobOptions
from pipeline.records import ClassifiedPage, DecodedPage, PageRows, PageToClassify
from pipeline.schemas import TABLES

TestPipeline.__test__ = False  # a pipeline for tests, and no test
ONE_PROCESS = PipelineOptions(["--runner=FnApiRunner"])
FATES = {
    "undecodable": ("decode", "truncated"),
    "explode": ("segment", "internal_error"),
    "memory": ("segment", "out_of_memory"),
    "elsewhere": ("segment", "form_not_found"),
    "nan": ("classify", "invalid_model_output"),
    "shape": ("classify", "invalid_model_output"),
    "refuse": ("classify", "classification_failed"),
    "unread": ("read", "internal_error"),
}


def run_job(options: JobOptions):
    with TestPipeline(options=ONE_PROCESS) as pipeline:
        build(pipeline, options, STAGES)
    return pipeline.result


def table(output: Path, name: str, run: str) -> list[dict]:
    return ds.dataset(output / name / f"run={run}", format="parquet").to_table().to_pylist()


def record(output: Path, run: str) -> dict:
    return json.loads((output / "_runs" / f"{run}.json").read_text())


def counters(result) -> dict[str, int]:
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("formscribe"))["counters"]
    sums: Counter[str] = Counter()
    for counter in found:  # one for each step that counts
        sums[counter.key.metric.name] += counter.committed
    return sums


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """One run over everything that can happen to a page."""
    folder = tmp_path_factory.mktemp("mixed")
    scans, output = folder / "scans", folder / "out"
    write_forms(scans, a="good", b="doubtful good long", c="empty", **{kind: kind for kind in FATES})
    write_forms(scans / "below", d=" ".join(["good", *FATES, "good"]))
    (scans / "text.PNG").write_text("no picture")
    (scans / "empty.tiff").write_bytes(b"")
    (scans / "nopage.jpg").write_text("FORM")
    (scans / "notes.txt").write_text("not a scan at all")
    Path(os.fsdecode(os.fsencode(scans) + b"/caf\xe9.png")).write_text("FORM good")
    (scans / "gone.png").symlink_to(scans / "nowhere.png")
    options = options_for(
        scans, output, inputs=(str(scans), str(scans / "a.png"), str(scans / "*.bmp"), f"{scans}/caf*g")
    )
    return options, output, run_job(options)


def test_pages_in_are_forms_and_failures(mixed):
    options, output, _ = mixed
    counts = record(output, options.run_id)
    forms, failures = (table(output, name, options.run_id) for name in ("forms", "failures"))
    assert len(forms) == 1 + 3 + 1 + 2
    assert (
        len(failures) == 2 * len(FATES) + 4 + 1 + 1
    )  # pages; bad files and the dangling link; the pattern; the name
    assert counts["pages_in"] == counts["forms"] + counts["failures"] == len(forms) + len(failures)
    keys = [(row["source"], row["page"]) for row in forms + failures]
    assert len(keys) == len(set(keys))


def test_every_bad_page_is_a_row_with_its_stage_and_code(mixed):
    options, output, _ = mixed
    failures = {(Path(r["source"]).name, r["page"]): r for r in table(output, "failures", options.run_id)}
    for number, (kind, (stage, code)) in enumerate(FATES.items(), start=2):
        for row in (failures[f"{kind}.png", 1], failures["d.png", number]):
            assert (row["stage"], row["code"]) == (stage, code)
            assert row["sha256"] == hashlib.sha256(Path(row["source"]).read_bytes()).hexdigest()
    assert failures["explode.png", 1]["message"] == "ZeroDivisionError: nobody expected this"
    assert failures["text.PNG", None]["code"] == "not_an_image"
    assert failures["empty.tiff", None]["code"] == "not_an_image"
    assert failures["nopage.jpg", None]["code"] == "no_pages"
    assert failures["gone.png", None]["code"] == "file_not_found"
    assert failures["*.bmp", None]["code"] == "no_match"
    assert failures["caf\\xe9.png", None]["code"] == "bad_file_name"


def test_fields_carry_text_status_and_place(mixed):
    options, output, _ = mixed
    rows = {
        (Path(r["source"]).name, r["page"], r["field"]): r for r in table(output, "fields", options.run_id)
    }
    good = rows["a.png", 1, "number"]
    assert (good["text"], good["status"], good["ordinal"]) == ("12", "accepted", 0)
    assert good["confidence"] == pytest.approx(0.95)
    assert (good["box_x"], good["box_y"], good["box_width"], good["box_height"]) == (1, 2, 3, 4)
    assert good["runners_up"] == [{"text": "72", "confidence": pytest.approx(0.03)}]
    blank = rows["a.png", 1, "unused"]
    assert (blank["text"], blank["status"]) == ("", "blank")
    assert blank["confidence"] > 0.99
    story = rows["a.png", 1, "story"]
    assert (story["text"], story["status"], story["runners_up"]) == ("12\n12", "review", [])
    assert rows["b.png", 1, "number"]["status"] == "review"  # not confident enough
    assert rows["b.png", 3, "number"]["status"] == "review"  # three digits where two must stand
    assert rows["c.png", 1, "number"]["status"] == "blank"


def test_characters_carry_their_crop_and_alternatives(mixed):
    options, output, _ = mixed
    rows = [
        r
        for r in table(output, "characters", options.run_id)
        if Path(r["source"]).name == "b.png" and r["page"] == 1
    ]
    assert [(r["field"], r["position"], r["label"]) for r in rows] == [
        ("number", 0, "1"),
        ("number", 1, "2"),
        *(("story", i, label) for i, label in enumerate("1212")),
    ]
    assert rows[1]["crop"] == bytes([1]) * 784
    assert (rows[1]["box_x"], rows[1]["box_width"]) == (11, 6)
    assert [a["label"] for a in rows[0]["alternatives"]] == ["7", "4"]


def test_forms_say_how_they_were_read(mixed):
    options, output, _ = mixed
    row = next(r for r in table(output, "forms", options.run_id) if r["source"].endswith("a.png"))
    assert row["transform"] == [1, 0, 5, 0, 1, 6]
    assert (row["fields"], row["fields_accepted"], row["fields_review"], row["fields_blank"]) == (3, 1, 1, 1)
    assert (row["template"], row["template_sha256"]) == ("tiny", options.template.sha256)
    assert (row["width"], row["height"], row["characters"], row["status"]) == (300, 200, 6, "review")
    assert min(row[f"{stage}_ms"] for stage in ("decode", "segment", "classify", "read")) > 0


def test_counters_agree_with_the_record(mixed):
    options, output, result = mixed
    counts, metrics = record(output, options.run_id), counters(result)
    assert metrics["pages_read"] == counts["forms"]
    assert metrics["pages_failed"] == counts["failures"]
    assert metrics["pages_in"] == counts["pages_in"]
    assert metrics["fields_accepted"] == counts["fields"]["accepted"]
    assert {c: metrics[f"failed_{c}"] for c in counts["failure_codes"]} == counts["failure_codes"]


def test_an_operator_sees_batches_and_times(mixed):
    _, _, result = mixed
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("formscribe"))["distributions"]
    distributions = {metric.key.metric.name: metric.committed for metric in found}
    assert {"decode_ms", "segment_ms", "classify_ms", "read_ms"} <= set(distributions)
    assert distributions["crops_per_batch"].sum == 9 * (1 + 3 + 4 + 6)  # crops of the pages with ink
    assert distributions["pages_per_batch"].max <= 8


def test_files_have_the_schemas_and_nothing_temporary_stays(mixed):
    options, output, _ = mixed
    for name, schema in TABLES.items():
        (part,) = (output / name / f"run={options.run_id}").iterdir()
        assert part.name == "part-00000-of-00001.parquet"
        assert ds.dataset(part).schema.equals(schema)
    assert not [
        path for path in output.rglob("*") if "temp" in str(path.relative_to(output)) and path.is_file()
    ]


def test_a_job_without_a_page_leaves_empty_tables(tmp_path):
    write_forms(tmp_path / "scans", a="explode")
    options = options_for(tmp_path / "scans", tmp_path / "out")
    run_job(options)
    for name in ("forms", "fields", "characters"):
        assert table(tmp_path / "out", name, options.run_id) == []
    assert record(tmp_path / "out", options.run_id)["pages_in"] == 1


def test_pixels_and_rows_are_never_serialised(tmp_path, monkeypatch):
    def refuse(self, protocol):
        raise TypeError(f"{type(self).__name__} was pickled")

    for kind in (DecodedPage, PageToClassify, ClassifiedPage, PageRows):
        monkeypatch.setattr(kind, "__reduce_ex__", refuse)
    write_forms(tmp_path / "scans", a="good nan explode", b="good")
    options = options_for(tmp_path / "scans", tmp_path / "out")
    run_job(options)
    assert record(tmp_path / "out", options.run_id)["forms"] == 2


@pytest.mark.parametrize("step", ["finish", "commit"])
def test_a_run_that_dies_leaves_nothing_visible(tmp_path, monkeypatch, step):
    write_forms(tmp_path / "scans", a="good")

    def die(*args, **kwargs):
        raise OSError("no space left on device")

    if step == "finish":
        monkeypatch.setattr(writing.TableWriter, "finish", die)
    else:
        monkeypatch.setattr(writing, "_write_record", die)
    with pytest.raises(Exception, match="no space left"):
        run_job(options_for(tmp_path / "scans", tmp_path / "out"))
    assert not list((tmp_path / "out").glob("_runs/*"))


def test_a_lost_page_is_noticed(tmp_path, monkeypatch):
    write_forms(tmp_path / "scans", a="good good")
    monkeypatch.setattr(transforms._ReadFieldsFn, "process", lambda self, page: iter(()), raising=True)
    with pytest.raises(Exception, match="2 pages came in, but 0 forms"):
        run_job(options_for(tmp_path / "scans", tmp_path / "out"))


def test_building_does_not_run(tmp_path):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    build(pipeline, options_for(tmp_path / "none", tmp_path / "out"), STAGES)
    assert not (tmp_path / "out").exists()
