import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from jobs import cli

SHAPES = {
    "1": [[0.5, 0.0], [0.5, 1.0]],
    "7": [[0.0, 0.0], [0.7, 0.0], [0.3, 1.0]],
    "L": [[0.1, 0.0], [0.1, 1.0], [0.7, 1.0]],
    "V": [[0.0, 0.0], [0.4, 1.0], [0.8, 0.0]],
}


def write_pictures(folder: Path, count: int = 4, hexadecimal: bool = False) -> Path:
    rng = np.random.default_rng(0)
    for label, points in SHAPES.items():
        name = f"{ord(label):02x}" if hexadecimal else label
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture = np.full((90, 90), 255, np.uint8)
            place = np.array(points) * 50 + 20 + rng.uniform(-3, 3, (len(points), 2))
            cv2.polylines(picture, [place.astype(np.int32)], False, 0, int(rng.integers(4, 8)))
            Image.fromarray(picture).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("hexadecimal", [False, True])
def test_figures_report_and_picture_of_a_folder(tmp_path, capsys, hexadecimal):
    folder = write_pictures(tmp_path / "set", hexadecimal=hexadecimal)
    files = ["--json", str(tmp_path / "f.json"), "--confusion", str(tmp_path / "c.png")]
    assert cli.main(["evaluate", "--dataset", f"folder:{folder}", "--charset", "digits", *files]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["count"] == 8
    assert figures["accuracy"] >= 0.75
    assert 0 <= figures["expected_calibration_error"] <= 1
    assert {"1", "7"} <= {row["label"] for row in figures["classes"]} <= set("0123456789")
    assert sum(row["count"] for row in figures["reliability"]) == 8
    assert Image.open(tmp_path / "c.png").width > 50
    assert "accuracy" in capsys.readouterr().out


def test_pictures_that_are_left_out_are_named(tmp_path, capsys):
    folder = write_pictures(tmp_path / "set")
    Image.new("L", (1, 1)).save(folder / "7" / "dot.png")
    (folder / "7" / "folder.png").mkdir()
    for i in range(25):
        (folder / "V" / f"empty{i:02}.png").write_bytes(b"")
    assert cli.main(["evaluate", "--dataset", f"folder:{folder}", "--json", str(tmp_path / "f.json")]) == 0
    assert json.loads((tmp_path / "f.json").read_text())["count"] == 16
    said = capsys.readouterr().err
    assert f"left out: {folder / '7' / 'dot.png'}: shows nothing" in said
    assert "empty18.png: not a readable picture (it is empty)" in said
    assert "empty19.png" not in said
    assert said.count("dot.png") == 1
    assert "left out: 6 more" in said


def test_without_charset_all_are_measured(tmp_path):
    folder = write_pictures(tmp_path / "set")
    assert cli.main(["evaluate", "--dataset", f"folder:{folder}", "--json", str(tmp_path / "f.json")]) == 0
    assert json.loads((tmp_path / "f.json").read_text())["count"] == 16


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--dataset", "nonsense"], 2, "nonsense"),
        (["--dataset", "folder:/nowhere"], 2, "/nowhere"),
        (["--dataset", "folder:SET", "--charset", "lower"], 3, "lower"),
        (["--dataset", "folder:SET", "--model", "/nowhere.tflite"], 5, "/nowhere.tflite"),
        (["--dataset", "folder:SET", "--json", "/nowhere/f.json"], 6, "/nowhere/f.json"),
    ],
)
def test_errors_name_the_flag_or_file(tmp_path, capsys, flags, code, said):
    folder = write_pictures(tmp_path / "set", count=1)
    assert cli.main(["evaluate", *(flag.replace("SET", str(folder)) for flag in flags)]) == code
    assert said in capsys.readouterr().err
