"""A model that was trained further, as a file with its card: what it came from, how sure it is."""

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs import scoring
from jobs.exporting import NAME
from model.alphabets import charset_mask
from model.calibration import calibration_error
from model.classifier import LiteRtClassifier, log_softmax, read_model
from model.datasets.corrections import Corrections
from model.evaluation import compare, fit_temperature

ENOUGH = 400  # characters held back from which on half of them fit the temperature
_KEPT = ("name", "classes", "input", "data", "held_out", "field_calibration")
_OWN = {"name": "corrections", "what": "characters that people corrected or confirmed", "licence": "your own"}


@dataclass(frozen=True)
class Parent:
    """The model that was trained further: its ``.tflite`` bytes and card."""

    name: str
    content: bytes
    card: dict[str, Any]

    @staticmethod
    def of_network(network: Any, path: Path) -> "Parent":
        """A keras.Model as its export, so that its batch norms are folded; with the card beside its file."""
        from jobs.anchors import rendered_crops
        from model.export import export_network

        content, _ = export_network(network, rendered_crops(500, seed=0)[0])
        beside = path.with_suffix(".tflite")
        return Parent(path.stem, content, read_model(beside).card if beside.is_file() else {})

    @property
    def temperature(self) -> float:
        """By which its logits are divided."""
        return float(self.card.get("calibration", {}).get("temperature", 1.0))

    def network(self) -> Any:
        """Its network, to be trained; see ``model.restoring``."""
        from model.restoring import restore_content

        # Without dropout: its noise moved the readings of other hands more than fifty corrections did.
        return restore_content(self.content, self.name, dropout=0.0)


def write_tuned(network: Any, parent: Parent, held: Corrections, out: Path, about: dict[str, Any]) -> None:
    """Exports to ``out``: ``model.tflite``, its card ``model.json`` and ``model.keras``.

    Raises:
        ExportError: the exported model reads otherwise than the network.
    """
    from model.export import export_network, write_model

    content, export = export_network(network, held.crops.images[:1000])
    temperature, calibration = calibrate(content, held, parent.temperature)
    classifier = LiteRtClassifier(NAME, content, temperature)
    scores = score(classifier, held)
    card = {key: parent.card[key] for key in _KEPT if key in parent.card}
    card |= {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": int(network.count_params()),
        "date": datetime.date.today().isoformat(),
        "data": [*card.get("data", []), _OWN],
        "calibration": calibration,
        "scores": scores,
        "export": export,
        "started_from": {
            "sha256": hashlib.sha256(parent.content).hexdigest(),
            "scores": parent.card.get("scores", {}),
        },
        "notes": [
            "field_calibration is that of the model it started from; `python -m jobs.calibrate` fits it anew."
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    write_model(content, card | about, out / f"{NAME}.tflite")
    network.save(out / f"{NAME}.keras")
    for key, value in scores.items():
        print(f"{key:40} {100 * value['accuracy']:6.2f} %  of {value['count']}")
    print(f"temperature {temperature:.4f}: {calibration['fitted_on']}")
    print(f"model and card: {out / NAME}.tflite, {out / NAME}.json")


def calibrate(content: bytes, held: Corrections, before: float) -> tuple[float, dict[str, Any]]:
    """The temperature and the card's entry; every second character held back may raise it, if they are many.

    Args:
        content: the exported model.
        held: what was not trained on.
        before: the temperature of the model it came from, which is kept otherwise.
    """
    logits = np.where(held.masks, LiteRtClassifier("tuned", content).classify(held.crops.images), -np.inf)
    logits = logits.astype(np.float32)
    fit = np.arange(len(held)) % 2 == 0
    temperature, measured = before, np.full(len(held), True)
    told = f"kept from the model before; {len(held)} characters held back are too few to fit it"
    if len(held) >= ENOUGH:
        fitted, measured = fit_temperature(logits[fit], held.crops.labels[fit], held.masks[fit]), ~fit
        # Never surer than before: what is held back is of the hands that were taught, other fields are not.
        temperature = max(before, fitted)
        what = "fitted on" if temperature == fitted else "kept from the model before, modest enough for"
        told = f"{what} {int(fit.sum())} corrections held back; errors are of {int(measured.sum())} others"

    def error(value: float) -> float:
        probabilities = np.exp(log_softmax(logits[measured] / np.float32(value)))
        right = probabilities.argmax(axis=1) == held.crops.labels[measured]
        return round(calibration_error(probabilities.max(axis=1), right), 5)

    return temperature, {
        "temperature": round(temperature, 4),
        "fitted_on": told,
        "expected_calibration_error_corrections": error(temperature),
        "expected_calibration_error_with_the_temperature_before": error(before),
    }


def score(classifier: LiteRtClassifier, held: Corrections) -> dict[str, Any]:
    """Accuracy and calibration error of each kind of character held back, the field's charset known."""
    log_probs = classifier.classify(held.crops.images)
    scores = {}
    for group in scoring.GROUPS:
        inside = charset_mask(group)[held.crops.labels]
        if inside.any():
            result = compare(log_probs[inside], held.crops.labels[inside], None, held.masks[inside])
            scores[f"corrections_held_back/{group}"] = {
                "count": result.count,
                "accuracy": round(result.accuracy, 5),
                "expected_calibration_error": round(result.calibration_error, 5),
            }
    return scores
