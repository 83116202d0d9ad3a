"""`formscribe run --max_error_rate`: thresholds from the card of the model, calibrated confidences."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from pipeline_fakes import STAGES, TEMPLATE_TOML, options_for, write_forms

import jobs.run
from jobs.cli import main
from jobs.exit_codes import ExitCode
from model.alphabets import CLASS_COUNT
from model.decoding import Constraint, Lattice, decode
from pipeline.stages import real_stages

ENTRY = {"field_map": {"a": 1, "b": 1, "c": -2.0}, "character_map": {"a": 1, "b": 1, "c": 0}}
CARD = {
    "field_calibration": {"types": {"digits": ENTRY | {"acceptance": [[0.97, 0.2, 0.001], [0.4, 0.9, 0.02]]}}}
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sure and a doubtful page, and a job that uses the fakes."""
    write_forms(tmp_path / "scans", a="good doubtful")
    (tmp_path / "tiny.toml").write_bytes(TEMPLATE_TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs.run, "real_stages", lambda options: STAGES)
    monkeypatch.setattr(jobs.run, "model_sha256", lambda path: "f" * 64)
    monkeypatch.setattr(jobs.run, "model_card", lambda path: CARD)
    return tmp_path


def run(*words: str) -> int:
    return main(["run", "--input", "scans", "--output", "out", "--template", "tiny.toml", *words])


def record() -> dict:
    (path,) = Path("out/_runs").glob("*.json")
    return json.loads(path.read_text("utf-8"))


def test_the_threshold_comes_from_the_card(here: Path) -> None:
    assert run("--max_error_rate", "0.02") == ExitCode.OK
    found = record()
    assert found["options"]["max_error_rate"] == 0.02
    assert found["options"]["thresholds"] == {"digits": 0.4}
    assert found["fields"]["accepted"] == 2  # 0.95 and 0.5, both above 0.4


def test_a_rate_that_no_threshold_keeps_sends_all_to_review(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run("--max_error_rate", "0.0001") == ExitCode.OK
    assert record()["options"]["thresholds"] == {"digits": None}
    assert record()["fields"].get("accepted", 0) == 0
    assert "not reached by digits fields" in capsys.readouterr().err


def test_without_a_rate_nothing_changes(here: Path) -> None:
    assert run() == ExitCode.OK
    assert record()["options"]["thresholds"] == {}
    assert record()["fields"]["accepted"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max_error_rate", "2"], "--max_error_rate: 2.0 is not between 0 and 1"),
        (["--max_error_rate", "0.1", "--min_confidence", "0.5"], "not allowed with argument"),
    ],
)
def test_what_makes_no_sense_is_told(
    here: Path, capsys: pytest.CaptureFixture, words: list[str], told: str
) -> None:
    assert run(*words) == ExitCode.USAGE
    assert told in capsys.readouterr().err


def test_a_model_without_calibration_names_the_remedy(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.run, "model_card", lambda path: {})
    assert run("--max_error_rate", "0.01") == ExitCode.BAD_MODEL
    assert "--min_confidence" in capsys.readouterr().err


def test_the_real_stages_calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.stages.model_card", lambda path: CARD)
    stages = pickle.loads(pickle.dumps(real_stages(options_for(tmp_path, tmp_path / "out"))))
    log_probs = np.full((1, CLASS_COUNT), -6.0, np.float32)
    log_probs[0, 7] = -0.05
    bounds = np.array([[0.1, 0.2, 0.5, 0.9]], np.float32)
    lattice = Lattice(np.array([0]), np.array([1]), log_probs, bounds, bounds, np.array([0.1], np.float32))
    constraint = Constraint("digits", 1, 1)
    raw, (calibrated,) = decode(lattice, constraint), stages.decode([lattice], [constraint])
    assert calibrated.text == raw.text == "7"
    odds = raw.confidence / (1 - raw.confidence) * np.exp(-2.0)
    assert calibrated.confidence == pytest.approx(odds / (1 + odds), rel=1e-3)
