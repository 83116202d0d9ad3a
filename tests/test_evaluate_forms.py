"""`formscribe evaluate OUT`: figures of made-up runs that can be checked by hand, and what is listed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.form_scores import (
    ScoredField,
    by_confidence,
    calibration,
    confusions,
    length_range,
    rejection_curve,
    rejection_for,
    score_field,
)
from jobs.worst_fields import FieldPlace, cut_from_scans, join_crops, worst
from pipeline.schemas import TABLES


def scored(truth: str, read: str, confidence: float | None, charset: str = "digits") -> ScoredField:
    status = "blank" if confidence is None else "accepted" if confidence >= 0.9 else "review"
    row = {"source": "/s/a.png", "page": 1, "field": "n", "charset": charset, "status": status}
    return score_field(row | {"text": read, "confidence": confidence}, truth)


# Ten fields, the wrong ones at the places 4 and 10 by falling confidence.
TEN = [scored("12", "12" if i not in (3, 9) else "17", 0.99 - 0.05 * i) for i in range(10)]


def test_spaces_are_no_characters_but_case_and_commas_are():
    assert scored("We, the", "We,\nthe", 0.5).right
    one = scored("We, the", "we the", 0.5)
    assert not one.right
    assert one.alignment.errors == (("W", "w"), (",", ""))


@pytest.mark.parametrize(("truth", "read"), [("Zoe\u0308", "Zo\u00eb"), ("Zo\u00eb", "Zoe\u0308")])
def test_a_letter_and_its_accent_are_one_character_however_they_are_spelled(truth, read):
    one = scored(truth, read, 0.5)
    assert one.right
    assert one.alignment.counts.characters == 3


def test_rejecting_takes_the_least_confident_first():
    curve = rejection_curve(TEN, (0.0, 0.1, 0.6, 0.7, 1.0))
    assert [(p.accepted, p.wrong) for p in curve] == [(10, 2), (9, 1), (4, 1), (3, 0), (0, 0)]
    assert curve[0].error == 0.2
    assert curve[1].threshold == pytest.approx(0.59)
    assert curve[0].counts.error_rate == 2 / 20
    assert curve[-1].error is None


def test_the_order_of_the_rows_does_not_matter():
    assert rejection_curve(TEN[::-1]) == rejection_curve(TEN)


def test_how_much_must_be_rejected_for_an_error():
    assert rejection_for(TEN, 0.2).accepted == 10
    assert rejection_for(TEN, 0.12).accepted == 9
    assert rejection_for(TEN, 0.01).accepted == 3
    assert rejection_for([scored("1", "2", 0.9)], 0.01) is None
    assert rejection_for([], 0.01) is None


def test_fields_of_one_confidence_are_rejected_together():
    same = [scored("1", "1", 0.9)] * 10 + [scored("1", "7", 0.9)] * 10
    assert rejection_for(same, 0.02) is None
    point = rejection_for([*same, *[scored("1", "1", 0.95)] * 3], 0.02)
    assert (point.threshold, point.accepted, point.wrong) == (0.95, 3, 0)


def test_the_curve_has_no_point_between_fields_of_one_confidence():
    same = [scored("1", "1", 0.9)] * 10 + [scored("1", "7", 0.9)] * 10 + [scored("1", "1", 0.95)] * 5
    curve = rejection_curve(same, (0.0, 0.04, 0.4, 0.8, 0.84, 1.0))
    assert [(p.accepted, p.wrong, p.threshold) for p in curve] == [
        (25, 10, 0.9),
        *[(5, 0, 0.95)] * 3,
        *[(0, 0, None)] * 2,
    ]
    assert curve[1].rejected == 0.8  # told as it is, not as it was asked for


def test_the_curve_ends_at_the_fields_that_cannot_be_rejected():
    curve = rejection_curve([scored("12", "", None), *TEN], (0.0, 1.0))
    assert [(p.accepted, p.wrong) for p in curve] == [(11, 3), (1, 1)]


def test_a_field_called_blank_is_not_rejected_whatever_its_confidence():
    row = {"source": "a", "page": 1, "field": "n", "charset": "digits", "status": "blank", "text": ""}
    missed = score_field(row | {"confidence": 0.8}, "12")
    assert by_confidence([*TEN, missed])[0] is missed
    assert rejection_for([missed, *TEN], 0.01) is None
    assert rejection_curve([missed, *TEN], (10 / 11,))[0].threshold is None


def test_a_missed_field_cannot_be_rejected_and_an_empty_one_does_not_help():
    missed, empty = scored("12", "", None), scored("", "", None)
    assert by_confidence([*TEN, missed, empty])[0] is missed
    assert len(by_confidence([*TEN, empty])) == 10
    assert rejection_for([*TEN, missed], 0.01) is None


def test_calibration_error_of_two_bins():
    fields = [scored("1", "1", 0.95)] * 9 + [scored("1", "2", 0.95)] + [scored("1", "2", 0.41)] * 10
    result = calibration(fields)
    assert result["expected_calibration_error"] == pytest.approx((0.05 + 0.41) / 2)
    assert result["fields"] == 20
    assert calibration([scored("", "", None)])["expected_calibration_error"] is None


def test_confusions_name_the_most_frequent_first():
    fields = [scored("44", "99", 1.0), scored("12", "1", 1.0), scored("1", "17", 1.0)]
    assert confusions(fields) == [("4", "9", 2), ("", "7", 1), ("2", "", 1)]


def test_long_fields_share_a_range():
    assert [length_range(n) for n in (0, 1, 10, 11, 26, 330)] == [
        (0, 0), (1, 1), (10, 10), (11, 20), (21, 40), (41, None),
    ]  # fmt: skip


def test_the_worst_are_those_that_nobody_would_check():
    fields = [*TEN, scored("12", "", None)]
    assert [one.confidence for one in worst(fields, 2)] == [None, pytest.approx(0.84)]
    assert len(worst(fields, 40)) == 3


def field_row(source: str, field: str, text: str, confidence: float | None = 0.95, **changes) -> dict:
    status = "blank" if confidence is None else "accepted" if confidence >= 0.9 else "review"
    row = {"source": source, "page": 1, "field": field, "ordinal": 0, "text": text, "charset": "digits"}
    row |= {"confidence": confidence, "status": status, "ink_ratio": 0.1, "runners_up": []}
    return row | {"box_x": 10.0, "box_y": 20.0, "box_width": 60.0, "box_height": 20.0} | changes


def form_row(source: str, sha256: str = "x") -> dict:
    row = dict.fromkeys(TABLES["forms"].names, 0)
    texts = dict.fromkeys(("status", "template", "template_sha256", "model_sha256"), "x")
    return row | texts | {"source": source, "sha256": sha256, "page": 1, "transform": [1.0] * 6}


def character_row(source: str, field: str, value: int) -> dict:
    row = {"source": source, "page": 1, "field": field, "position": 0, "label": "1", "confidence": 0.9}
    row |= {"box_x": 1.0, "box_y": 1.0, "box_width": 1.0, "box_height": 1.0}
    return row | {"alternatives": [], "crop": bytes([value] * 784)}


def write_run(output: Path, fields: list[dict], forms=(), failures=(), characters=(), run="r1") -> Path:
    forms = list(forms) or [form_row(source) for source in dict.fromkeys(row["source"] for row in fields)]
    rows = {"forms": forms, "fields": fields, "characters": list(characters), "failures": list(failures)}
    for table, content in rows.items():
        folder = output / table / f"run={run}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content, TABLES[table]), folder / "part-00000-of-00001.parquet")
    (output / "_runs").mkdir(exist_ok=True)
    record = {"run": run, "finished": f"2026-01-01T00:00:00-{run}"}
    (output / "_runs" / f"{run}.json").write_text(json.dumps(record))
    return output


def write_truth(folder: Path, source: str, **fields: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{Path(source).stem}.truth.json"
    path.write_text(json.dumps({"source": source, "fields": fields}))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    rows = [
        field_row("/s/a.png", "n", "12"),
        field_row("/s/a.png", "m", "345", 0.5),
        field_row("/s/a.png", "up", "AB", charset="upper"),
        field_row("/s/a.png", "void", "", None),
        field_row("/s/a.png", "unknown", "7"),
        field_row("/s/b.png", "n", "9"),
    ]
    failure = {"source": "/s/c.png", "page": None, "sha256": None, "stage": "decode", "message": "torn"}
    write_truth(tmp_path / "truth", "a.png", n="12", m="3145", up="AX", void="", gone="1")
    write_truth(tmp_path / "truth", "c.png", n="1")
    write_truth(tmp_path / "truth", "d.png", n="1")
    return write_run(tmp_path / "out", rows, failures=[failure | {"code": "truncated"}])


def evaluate(capsys, *words: object) -> str:
    code = main(["evaluate", *map(str, words)])
    captured = capsys.readouterr()
    assert code == ExitCode.OK, captured.err
    return captured.out


def fails(capsys, *words: object) -> tuple[int, str]:
    code = main(["evaluate", *map(str, words)])
    return code, capsys.readouterr().err


def test_figures_of_a_run(capsys, output, tmp_path):
    evaluate(capsys, output, "--truth", tmp_path / "truth", "--json", tmp_path / "f.json")
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["types"]["digits"] | {"field_accuracy": 0.5, "insertions": 0} == figures["types"]["digits"]
    assert (figures["types"]["digits"]["characters"], figures["types"]["digits"]["deletions"]) == (6, 1)
    assert figures["types"]["upper"]["substitutions"] == figures["types"]["upper"]["false_positives"] == 1
    assert figures["types"]["empty"]["fields_right"] == 1
    assert (figures["written"]["fields"], figures["written"]["fields_right"]) == (3, 1)
    lengths = [(row["type"], row["from"], row["fields"]) for row in figures["lengths"]]
    assert lengths == [("digits", 2, 1), ("digits", 4, 1), ("upper", 2, 1)]
    assert figures["decided"]["accepted"]["fields_right"] == 1
    assert {"truth": "B", "read": "", "count": 1} not in figures["confusions"]
    assert {"truth": "X", "read": "B", "count": 1} in figures["confusions"]
    assert [row["field"] for row in figures["wrong_fields"]] == ["m", "up"]


def test_nothing_is_silently_dropped(capsys, output, tmp_path):
    out = evaluate(capsys, output, "--truth", tmp_path / "truth", "--json", tmp_path / "f.json")
    pages = json.loads((tmp_path / "f.json").read_text())["pages"]
    assert pages["compared"] == 1
    assert pages["failed_with_truth"] == [{"source": "/s/c.png", "page": 1, "code": "truncated"}]
    assert pages["without_truth"] == [{"source": "/s/b.png", "page": 1}]
    assert [entry["source"] for entry in pages["truth_without_page"]] == ["d.png"]
    assert pages["fields_not_read"] == [{"source": "/s/a.png", "page": 1, "field": "gone"}]
    for line in (
        "pages with truth that could not be read: 1 (/s/c.png, truncated)",
        "pages read that have no truth: 1 (/s/b.png)",
        "truths without a page in the results: 1 (d.png",
        "fields of the truth that are not in the results: 1 (gone of /s/a.png)",
    ):
        assert f"note: {line}" in out


def test_the_tables_show_the_same(capsys, output, tmp_path):
    lines = evaluate(capsys, output, "--truth", tmp_path / "truth").splitlines()
    assert lines[0].startswith("compared: pages 1, fields 4,")
    table = {line.split("  ")[0]: line.split() for line in lines}
    assert table["digits"][1:4] == ["2", "1", "50.00"]
    assert table["digits 4"][3:] == ["0", "0.00", "4", "3", "75.00", "0", "0", "1"]
    assert table["accepted"] == ["accepted", "2", "1", "50.00"]
    assert any(line.startswith("most confused: 1 as (none) 1x, X as B 1x") for line in lines)


def test_only_one_run(capsys, output, tmp_path):
    write_run(output, [field_row("/s/a.png", "n", "77")], run="r2")
    truth = tmp_path / "truth"
    assert "r2" not in evaluate(capsys, output, "--truth", truth, "--run", "r1")
    newest = evaluate(capsys, output, "--truth", truth, "--json", tmp_path / "f.json")
    assert "fields 1," in newest
    assert json.loads((tmp_path / "f.json").read_text())["written"]["fields_right"] == 0
    assert fails(capsys, output, "--truth", truth, "--run", "r9")[0] == ExitCode.NO_RESULTS


def test_nist_references_and_csv(capsys, tmp_path):
    output = write_run(
        tmp_path / "out",
        [field_row("/s/f0001_10.png", "fld_03", "0123"), field_row("/s/x.png", "n", "7")],
    )
    (tmp_path / "ref_10.txt").write_text("fld 3 0123\nfld 4 99\n")
    (tmp_path / "t.csv").write_text("source,field,text\nx.png,n,8\n")
    out = evaluate(capsys, output, "--truth", tmp_path / "ref_10.txt", tmp_path / "t.csv")
    assert "pages 2, fields 2," in out
    assert "8 as 7 1x" in out
    assert "fld_04 of /s/f0001_10.png" in out


def test_wrong_use_names_the_flag(capsys, output, tmp_path):
    truth = write_truth(tmp_path / "other", "z.png", n="1")
    assert fails(capsys, output) == (2, "formscribe: --truth: name the files or folders of truth.\n")
    assert fails(capsys)[0] == ExitCode.USAGE
    assert fails(capsys, output, "--dataset", "mnist")[0] == ExitCode.USAGE
    code, error = fails(capsys, output, "--truth", truth, "--charset", "digits")
    assert (code, "--charset" in error) == (ExitCode.USAGE, True)
    code, error = fails(capsys, output, "--truth", truth)
    assert (code, "z.png" in error, "/s/b.png" in error) == (ExitCode.NO_INPUT, True, True)
    assert fails(capsys, output, "--truth", tmp_path / "nowhere")[0] == ExitCode.NO_INPUT
    assert fails(capsys, tmp_path, "--truth", truth)[0] == ExitCode.NO_RESULTS
    words = (output, "--truth", tmp_path / "truth", "--json", tmp_path / "no" / "f.json")
    code, error = fails(capsys, *words)
    assert (code, "--json" in error) == (ExitCode.OUTPUT_NOT_WRITABLE, True)


def test_the_worst_fields_are_cut_from_the_scan_if_it_is_the_same_file(tmp_path):
    page = np.full((100, 200), 255, np.uint8)
    page[20:40, 10:70] = 0
    path = tmp_path / "a.png"
    Image.fromarray(page).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    box = (10.0, 20.0, 60.0, 20.0)
    places = [
        FieldPlace(str(path), sha256, 1, box),
        FieldPlace(str(path), "other", 1, box),
        FieldPlace(str(tmp_path / "gone.png"), sha256, 1, box),
        FieldPlace(str(path), sha256, 1, (500.0, 20.0, 60.0, 20.0)),
    ]
    cuts = cut_from_scans(places, margin=0.0)
    assert cuts[0] is not None
    assert cuts[0][:20, :60].max() == 0
    assert cuts[1:] == [None, None, None]


def test_crops_of_characters_stand_side_by_side():
    joined = join_crops([bytes(784), bytes([255] * 784)])
    assert joined is not None
    assert joined.shape == (28, 56)
    assert (joined[:, :28] == 255).all()
    assert (joined[:, 28:] == 0).all()
    assert join_crops([]) is None


def test_the_picture_of_the_worst_fields_shows_their_ink(capsys, tmp_path):
    """One field from its scan (grey 100), one from crops (ink 70 makes grey 185), one without a picture."""
    scan = tmp_path / "a.png"
    Image.fromarray(np.full((100, 200), 100, np.uint8)).save(scan)
    rows = [field_row(str(scan), "n", "1"), field_row("/s/b.png", "n", "2"), field_row("/s/c.png", "n", "3")]
    forms = [form_row(str(scan), hashlib.sha256(scan.read_bytes()).hexdigest())]
    forms += [form_row("/s/b.png"), form_row("/s/c.png")]
    characters = [character_row("/s/b.png", "n", 70)]
    output = write_run(tmp_path / "out", rows, forms, characters=characters)
    for name in "abc":
        write_truth(tmp_path / "truth", f"{name}.png", n="9")
    out = evaluate(capsys, output, "--truth", tmp_path / "truth", "--worst", tmp_path / "w.png")
    assert f"worst fields: {tmp_path / 'w.png'}" in out
    pixels = np.array(Image.open(tmp_path / "w.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == 100).all(axis=1).sum() > 1000
    assert (pixels == 185).all(axis=1).sum() > 500
