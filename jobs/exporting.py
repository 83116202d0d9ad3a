"""A trained network to a calibrated, scored, exported model with its card."""

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jobs import scoring
from model.alphabets import CHARACTERS
from model.classifier import LiteRtClassifier
from model.datasets import LabelledCrops

NAME = "model"
_SAMPLE = 1000


def export_and_score(
    model: Any,
    sets: Mapping[str, LabelledCrops],
    out: Path,
    about: Mapping[str, Any],
    calibrated_on: Sequence[str],
) -> LiteRtClassifier:
    """Exports to ``out``: ``model.tflite``, its card ``model.json``, and ``model.keras`` to go on from.

    Args:
        model: the trained keras.Model.
        sets: held-out sets; the figures of the card are of the exported model on these.
        out: folder.
        about: what else the card says: data, training.
        calibrated_on: the sets whose every second crop the temperature is fitted on.

    Raises:
        ExportError: the exported model is too large or reads otherwise.
    """
    from model.export import export_network, write_model

    sample = np.concatenate([crops.images[:_SAMPLE] for crops in sets.values()])
    content, export = export_network(model, sample)
    temperature, calibration = scoring.calibrate(content, {name: sets[name] for name in calibrated_on})
    classifier = LiteRtClassifier(NAME, content, temperature)
    scores = scoring.score_sets(scoring.classify_sets(classifier, sets), sets)
    card = {
        "name": "formscribe",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": int(model.count_params()),
        "date": datetime.date.today().isoformat(),
        "classes": f"{CHARACTERS} and not-a-character",
        "input": "uint8 (N, 28, 28), ink = 255 on 0, longest side 20, centre of mass in the middle",
        "calibration": calibration,
        "scores": scores,
        "export": export,
    }
    write_model(content, card | dict(about), out / f"{NAME}.tflite")
    model.save(out / f"{NAME}.keras")
    for key, value in scores.items():
        print(f"{key:40} {100 * value['accuracy']:6.2f} %  of {value['count']}")
    print(f"model and card: {out / NAME}.tflite, {out / NAME}.json")
    return classifier
