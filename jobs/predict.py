"""Reads the one character on each picture: its label, how sure that is, and what else it may be."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from model.alphabets import CHARACTERS, CHARSETS, NOT_A_CHARACTER
from model.classifier import Classifier
from model.evaluation import restrict
from segmentation.images import ImageError, open_document
from segmentation.normalization import normalize_glyph
from segmentation.snapshot import find_character

EPILOG = """examples:
  formscribe predict digit.png --charset digits
  formscribe predict scans/*.png --json
A picture shows one character, dark on light or light on dark, of any size; a photo of paper will do.
"""


@dataclass(frozen=True)
class Prediction:
    """What stands on one picture.

    Attributes:
        file: the picture.
        label: the likeliest character of the charset.
        confidence: its probability among the charset, 0..1.
        alternatives: the next characters, (character, probability), likeliest first.
        not_a_character: probability that the ink is no character at all, 0..1.
    """

    file: str
    label: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    not_a_character: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures: PNG, JPEG, TIFF")
    parser.add_argument(
        "--charset",
        choices=sorted(CHARSETS),
        default="text",
        help="what may stand there (default: text, all 62)",
    )
    parser.add_argument("--top", type=int, default=3, metavar="N", help="alternatives to show (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON array instead of a table")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .tflite file (default: the one that ships)"
    )


def run(args: argparse.Namespace) -> int:
    """Reads every picture that can be read; a bad one is named on stderr and costs only itself.

    Raises:
        CommandError: the model cannot be used, or not one picture could be read.
    """
    if not 0 <= args.top <= len(CHARACTERS):
        raise CommandError(ExitCode.USAGE, f"--top {args.top} is not from 0 to {len(CHARACTERS)}.")
    classifier = open_model(args.model)
    files, crops = [], []
    for file in args.files:
        try:
            crops.append(load_crop(Path(file)))
            files.append(file)
        except (ImageError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"formscribe: {file}: {reason}", file=sys.stderr)
    if not files:
        raise CommandError(ExitCode.NO_INPUT, "predict: not one of the pictures could be read.")
    predictions = predict(classifier, files, np.stack(crops), args.charset, args.top)
    print(_as_json(predictions) if args.json else _as_table(predictions))
    return int(ExitCode.OK)


def load_crop(path: Path) -> NDArray[np.uint8]:
    """The character on a picture file, first page if it has several: uint8 (28, 28), normalised.

    Raises:
        ImageError: it is no picture that can be read.
        OSError: there is no such file.
    """
    with open_document(path.read_bytes()) as document:
        return normalize_glyph(find_character(document.read(1).gray))


def predict(
    classifier: Classifier, files: list[str], crops: NDArray[np.uint8], charset: str, alternatives: int
) -> list[Prediction]:
    """Classifies crops, uint8 (N, 28, 28); a crop without ink is not a character with certainty."""
    log_probs = classifier.classify(crops)
    chosen = np.exp(restrict(log_probs, charset))
    predictions = []
    for file, crop, log_row, row in zip(files, crops, log_probs, chosen, strict=True):
        order = np.argsort(-row)[: alternatives + 1]
        ranked = [(CHARACTERS[i], round(float(row[i]), 6)) for i in order if row[i] > 0]
        blank = not crop.any()
        nothing = 1.0 if blank else round(float(np.exp(log_row[NOT_A_CHARACTER])), 6)
        label, confidence = ("", 0.0) if blank else ranked[0]
        others = () if blank else tuple(ranked[1:])
        predictions.append(Prediction(file, label, confidence, others, nothing))
    return predictions


def _as_json(predictions: list[Prediction]) -> str:
    rows = [
        asdict(p) | {"alternatives": [{"label": c, "confidence": v} for c, v in p.alternatives]}
        for p in predictions
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _as_table(predictions: list[Prediction]) -> str:
    width = max(len(p.file) for p in predictions)
    lines = []
    for p in predictions:
        if not p.label:
            lines.append(f"{p.file:{width}}  (no ink found)")
            continue
        others = "  ".join(f"{character} {100 * value:.1f} %" for character, value in p.alternatives)
        doubt = f"  perhaps no character ({100 * p.not_a_character:.0f} %)" if p.not_a_character > 0.5 else ""
        lines.append(f"{p.file:{width}}  {p.label}  {100 * p.confidence:5.1f} %   else {others}{doubt}")
    return "\n".join(lines)
