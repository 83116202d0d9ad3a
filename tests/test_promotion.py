"""Old and new models side by side: chance told from change, and nothing worse is promoted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from jobs import cli, compare_models
from model.classifier import load_classifier, model_card, read_model
from model.promotion import BETTER, SAME, WORSE, Comparison, compare_readings, format_comparisons, tail


@pytest.mark.parametrize("throws", [0, 1, 2, 7, 40])
def test_chances_of_a_fair_coin(throws):
    for heads in range(throws + 1):
        exact = sum(math.comb(throws, k) for k in range(heads, throws + 1)) / 2**throws
        assert tail(heads, throws) == pytest.approx(exact, rel=1e-9)
    assert tail(6000, 10000) < 1e-80
    assert tail(0, throws) == 1


def test_crops_are_compared_one_by_one():
    old = np.array([True, True, True, False, False, True])
    new = np.array([True, False, True, True, False, False])
    found = compare_readings("x", old, new)
    assert found == Comparison("x", 6, old_errors=2, new_errors=3, lost=2, gained=1)
    assert found.change == pytest.approx(1 / 6)
    assert found.chance == pytest.approx(tail(2, 3))


@pytest.mark.parametrize(
    ("count", "lost", "gained", "allowed", "verdict"),
    [
        (10_000, 60, 20, 0.002, WORSE),
        (10_000, 60, 20, 0.01, SAME),  # by 0.4 points, which is allowed
        (10_000, 5020, 4980, 0.002, SAME),  # chance
        (100, 4, 1, 0.002, SAME),  # by 3 points, but so few say nothing
        (100, 20, 3, 0.002, WORSE),
        (10_000, 20, 60, 0.002, BETTER),
        (10_000, 3, 5, 0.002, SAME),
        (0, 0, 0, 0.0, SAME),
    ],
)
def test_verdicts(count, lost, gained, allowed, verdict):
    one = Comparison("x", count, gained + 5, lost + 5, lost, gained)
    assert one.verdict(allowed) == verdict
    assert verdict in format_comparisons([one], allowed)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model as ``same.tflite``, and ``worse.tflite``, which knows no digits."""
    from model.restoring import read_layers

    folder = tmp_path_factory.mktemp("models")
    content, card = read_model().content, read_model().card
    weights = read_layers(content)[-1].weights
    scales = np.abs(weights).max(axis=0) / 127
    stored = np.rint(weights / scales).astype(np.int8).T.tobytes()
    assert content.count(stored) == 1
    spoilt = content.replace(stored, bytes(10 * 128) + stored[10 * 128 :])
    for name, data in (("same", content), ("worse", spoilt)):
        (folder / f"{name}.tflite").write_bytes(data)
        (folder / f"{name}.json").write_text(json.dumps(card | {"name": name}))
    return folder


@pytest.fixture(autouse=True)
def few_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_models, "RENDERED_CROPS", 700)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of rendered capitals, which the spoilt model reads as well as the other."""
    from jobs.anchors import rendered_crops
    from model.alphabets import CHARACTERS

    images, labels = rendered_crops(900, seed=3)
    capitals = (labels >= 10) & (labels < 36)
    path = tmp_path_factory.mktemp("sets") / "capitals.npz"
    np.savez(path, images=images[capitals], labels=np.array(list(CHARACTERS + "-"))[labels[capitals]])
    return f"npz:{path}"


def evaluate(models: Path, letters: str, new: str, *flags: str) -> int:
    model = ["--model", str(models / f"{new}.tflite")]
    return cli.main(["evaluate", "--dataset", letters, *model, *flags])


def test_a_model_that_is_not_worse_is_promoted_with_its_card(models, letters, tmp_path, capsys):
    target = tmp_path / "promoted" / "mine.tflite"
    flags = ["--against", "shipped", "--also", "rendered", "--promote", str(target)]
    assert evaluate(models, letters, "same", *flags, "--json", str(tmp_path / "f.json")) == 0
    assert "promoted" in capsys.readouterr().out
    assert target.read_bytes() == read_model().content
    card = model_card(target)
    assert card["name"] == "same"
    assert {row["set"] for row in card["promotion"]["sets"]} >= {f"{letters}/upper", "rendered/wrong_cuts"}
    assert card["promotion"]["against"] == load_classifier().sha256
    assert json.loads((tmp_path / "f.json").read_text())["sets"] == card["promotion"]["sets"]
    assert load_classifier(target).temperature == load_classifier().temperature


def test_a_model_that_got_worse_elsewhere_is_not(models, letters, tmp_path, capsys):
    target = tmp_path / "mine.tflite"
    against = ["--against", "shipped", "--promote", str(target)]
    assert evaluate(models, letters, "worse", *against, "--also", "rendered") == 12
    printed = capsys.readouterr().out
    assert "worse on rendered/digits" in printed
    assert "left as it was" in printed
    assert not target.exists()
    assert evaluate(models, letters, "worse", *against) == 0  # on capitals alone nothing is lost
    assert target.exists()


def test_without_promote_the_code_tells(models, letters, capsys):
    assert evaluate(models, letters, "worse", "--against", "shipped", "--also", "rendered") == 12
    both = ["--against", str(models / "worse.tflite"), "--also", "rendered", "--allowed", "0.1"]
    assert evaluate(models, letters, "same", *both) == 0
    assert "better" in capsys.readouterr().out
    assert (
        evaluate(models, letters, "worse", "--against", "shipped", "--also", "rendered", "--allowed", "1")
        == 0
    )


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--promote", "x.tflite"], 2, "--against"),
        (["--also", "mnist"], 2, "--against"),
        (["--against", "shipped", "--promote", "x.keras"], 2, ".tflite"),
        (["--against", "nowhere.tflite"], 5, "nowhere.tflite"),
        (["--against", "shipped", "--allowed", "7"], 2, "7"),
        (["--against", "shipped", "--also", "nonsense"], 2, "nonsense"),
        (["--against", "shipped", "--confusion", "x.png"], 2, "--confusion"),
    ],
)
def test_errors_name_the_flag(models, letters, tmp_path, monkeypatch, capsys, flags, code, told):
    monkeypatch.chdir(tmp_path)
    assert evaluate(models, letters, "same", *flags) == code
    assert told in capsys.readouterr().err
