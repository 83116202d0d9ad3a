import json

import cv2
import numpy as np
import pytest
from PIL import Image

from jobs import cli


def seven(side=120):
    canvas = np.full((side, side), 235, np.uint8)
    points = (np.array([[0.3, 0.25], [0.68, 0.25], [0.45, 0.8]]) * side).astype(np.int32)
    cv2.polylines(canvas, [points], False, 30, max(2, side // 14), cv2.LINE_AA)
    return canvas


@pytest.fixture
def pictures(tmp_path):
    Image.fromarray(seven()).save(tmp_path / "dark.png")
    Image.fromarray(255 - seven()).save(tmp_path / "light.png")
    Image.fromarray(seven(28)).save(tmp_path / "small.png")
    Image.fromarray(seven(900)).convert("RGB").save(tmp_path / "photo.jpg")
    return tmp_path


def test_reads_any_size_and_polarity(pictures, capsys):
    names = ["dark.png", "light.png", "small.png", "photo.jpg"]
    files = [str(pictures / name) for name in names]
    assert cli.main(["predict", *files, "--charset", "digits", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in rows] == files
    assert [row["label"] for row in rows] == ["7"] * 4
    assert all(0.5 < row["confidence"] <= 1 for row in rows)


def test_charset_holds_and_alternatives_follow_in_order(pictures, capsys):
    file = str(pictures / "dark.png")
    assert cli.main(["predict", file, "--charset", "upper", "--top", "5", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    labels = [row["label"], *(entry["label"] for entry in row["alternatives"])]
    values = [row["confidence"], *(entry["confidence"] for entry in row["alternatives"])]
    assert all(label.isupper() for label in labels)
    assert len(set(labels)) == 6
    assert values == sorted(values, reverse=True)


def test_table_has_a_line_for_each_picture(pictures, capsys):
    files = [str(pictures / "dark.png"), str(pictures / "light.png")]
    assert cli.main(["predict", *files, "--charset", "digits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[file, "7"] for file in files]


def test_a_bad_picture_costs_only_itself(pictures, capsys):
    (pictures / "text.png").write_text("no picture")
    files = [str(pictures / name) for name in ("text.png", "absent.png", "dark.png")]
    assert cli.main(["predict", *files, "--charset", "digits", "--json"]) == 0
    printed = capsys.readouterr()
    assert [row["label"] for row in json.loads(printed.out)] == ["7"]
    assert "text.png" in printed.err
    assert "absent.png" in printed.err


def test_no_picture_at_all_is_an_error(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path / "absent.png")]) == 3
    assert "absent.png" in capsys.readouterr().err


def test_an_empty_picture_has_no_label(tmp_path, capsys):
    Image.fromarray(np.full((90, 90), 255, np.uint8)).save(tmp_path / "empty.png")
    assert cli.main(["predict", str(tmp_path / "empty.png"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["label"], row["confidence"], row["not_a_character"]) == ("", 0.0, 1.0)
    assert cli.main(["predict", str(tmp_path / "empty.png")]) == 0
    assert "no ink" in capsys.readouterr().out


def test_a_wrong_model_is_named(pictures, capsys):
    assert cli.main(["predict", str(pictures / "dark.png"), "--model", str(pictures / "dark.png")]) == 5
    assert "dark" in capsys.readouterr().err


def test_runs_by_itself(pictures, capsys):
    assert cli.main(["predict", str(pictures / "dark.png"), "--charset", "digits"]) == 0
    assert "7" in capsys.readouterr().out
