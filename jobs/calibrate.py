"""Fits what the confidences of a model mean, and writes it into the model's card.

``python -m jobs.calibrate --data FOLDER [--model FILE]`` composes fields of the calibration half of the
held-out characters (``jobs.composed`` measures on the other half), some of them written over their printed
frame, reads them, and stores per type of field the map from stated to true confidence and the table from
which ``formscribe run --max_error_rate`` takes its threshold.

Composed rows are not pages: they know no scanner, form or writer's slip. The card says so, and a sample of
the accepted fields of one's own forms is worth checking.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jobs.composed import Outcome, read_fields
from jobs.composed_fields import KINDS, make_fields
from jobs.composing import LineComposer, held_out_sources
from model.calibration import (
    CARD_KEY,
    FIELD_TYPES,
    Calibration,
    ConfidenceMap,
    acceptance_table,
    calibration_error,
)
from model.calibration_fit import fit_map
from model.classifier import SHIPPED, read_model
from model.evidence import evidence_of
from model.networks import load_networks

# Of text the evidence was tried too: it said nothing that held for other hands.
WITH_EVIDENCE = ("digits", "upper", "lower")
OVER_FRAME = 10  # one field for so many others is written over its printed frame, as a few are on real forms


def fit_types(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The maps, figures and table of each type of field, for the card.

    Args:
        outcomes: read without calibration.
    """
    types: dict[str, Any] = {}
    for name in dict.fromkeys(FIELD_TYPES.values()):
        chosen = [o for o in outcomes if FIELD_TYPES[o.field.kind.charset] == name]
        if not chosen:
            continue
        stated = np.array([o.reading.confidence for o in chosen])
        right = np.array([o.right for o in chosen])
        verdicts = np.array([v for o in chosen for v in o.character_verdicts()], np.float64).reshape(-1, 2)
        lengths = [len(o.reading.characters) for o in chosen]
        evidence = [evidence_of(o.field.lattice, o.reading, o.field.kind.charset) for o in chosen]
        of_fields = fit_map(stated, right, lengths, evidence if name in WITH_EVIDENCE else None)
        of_characters = fit_map(verdicts[:, 0], verdicts[:, 1])
        mapped = np.array(list(map(of_fields, stated, lengths, evidence)))
        mapped_characters = [of_characters(p) for p in verdicts[:, 0]]
        types[name] = {
            "fields": len(chosen),
            "right": round(float(right.mean()), 5),
            "field_map": _rounded(of_fields),
            "character_map": _rounded(of_characters),
            "calibration_error_fields": _before_after(stated, mapped, right),
            "calibration_error_characters": _before_after(verdicts[:, 0], mapped_characters, verdicts[:, 1]),
            "acceptance": [[round(x, 6) for x in row] for row in acceptance_table(mapped, right)],
        }
    return types


def _rounded(confidence_map: ConfidenceMap) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(confidence_map).items()}


def _before_after(before: Any, after: Any, right: Any) -> list[float]:
    return [round(calibration_error(stated, right), 5) for stated in (before, after)]


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Replaces a card, whole or not at all."""
    fresh = path.with_name(f".new-{path.name}")
    fresh.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(fresh, path)


def card_path(model: Path | None) -> Path:
    """The card beside a model; None is the one that ships."""
    if model is not None:
        return model.with_suffix(".json")
    return Path(str(resources.files("model") / "weights" / f"{SHIPPED}.json"))


def main(argv: Sequence[str] | None = None) -> int:
    """Fits and writes."""
    parser = argparse.ArgumentParser("python -m jobs.calibrate", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FORMSCRIBE_DATA"),
        metavar="FOLDER",
        help="characters/*.npz",
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .tflite file (default: the one that ships)"
    )
    parser.add_argument(
        "--lines", type=int, default=2000, metavar="N", help="fields of each kind (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=2, metavar="N", help="default: %(default)s")
    args = parser.parse_args(argv)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    cv2.setNumThreads(1)
    model, networks = read_model(args.model), load_networks(args.model)
    sources = held_out_sources(Path(args.data), "calibration")
    fields = make_fields(LineComposer(sources), networks, KINDS, args.lines, args.seed)
    over = -(-args.lines // OVER_FRAME)
    fields += make_fields(LineComposer(sources, over=1.0), networks, KINDS, over, args.seed + 1)
    types = fit_types(read_fields(fields, Calibration()))
    about = {
        "what": "rows composed of held-out characters, the half that is not measured on, one in "
        f"{OVER_FRAME + 1} written over its printed frame; no real pages",
        "command": f"python -m jobs.calibrate --lines {args.lines} --seed {args.seed}",
        "model_sha256": networks.characters.sha256,
        "pairs_sha256": networks.pairs.sha256 if networks.pairs else None,
        "acceptance_columns": ["threshold", "share accepted", "error rate among accepted"],
    }
    target = card_path(args.model)
    write_card(target, model.card | {CARD_KEY: about | {"types": types}})
    for name, entry in types.items():
        fields_error, characters_error = (
            entry[f"calibration_error_{what}"] for what in ("fields", "characters")
        )
        print(
            f"{name}: {entry['fields']:,} fields, {entry['right']:.2%} right; expected calibration error of "
            f"fields "
            f"{fields_error[0]:.4f} -> {fields_error[1]:.4f}, of characters {characters_error[0]:.4f} -> "
            f"{characters_error[1]:.4f}"
        )
    print(f"card: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
