"""Reads the one character on each picture: its label, how sure that is, and what else it may be."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from jobs.streams import tell
from jobs.visible import visible
from model.alphabets import CHARACTERS, CHARSETS
from pipeline.prediction import Prediction, crop_of, predict
from segmentation.images import ImageError

EPILOG = """examples:
  formscribe predict digit.png --charset digits
  formscribe predict scans/*.png --json
A picture shows one character, dark on light or light on dark, of any size; a photo of paper will do.
"""


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
            crops.append(crop_of(Path(file).read_bytes()))
            files.append(file)
        except (ImageError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            tell(f"{file}: {reason}")
    if not files:
        raise CommandError(ExitCode.NO_INPUT, "predict: not one of the pictures could be read.")
    predictions = list(zip(files, predict(classifier, np.stack(crops), args.charset, args.top), strict=True))
    print(_as_json(predictions) if args.json else _as_table(predictions))
    return int(ExitCode.OK)


def _as_json(predictions: Sequence[tuple[str, Prediction]]) -> str:
    rows = [
        {"file": file}
        | asdict(p)
        | {"alternatives": [{"label": label, "confidence": value} for label, value in p.alternatives]}
        for file, p in predictions
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _as_table(predictions: Sequence[tuple[str, Prediction]]) -> str:
    named = [(visible(file), p) for file, p in predictions]
    width = max(len(file) for file, _ in named)
    lines = []
    for file, p in named:
        if not p.label:
            lines.append(f"{file:{width}}  (no ink found)")
            continue
        others = "  ".join(f"{character} {100 * value:.1f} %" for character, value in p.alternatives)
        doubt = f"  perhaps no character ({100 * p.not_a_character:.0f} %)" if p.not_a_character > 0.5 else ""
        lines.append(f"{file:{width}}  {p.label}  {100 * p.confidence:5.1f} %   else {others}{doubt}")
    return "\n".join(lines)
