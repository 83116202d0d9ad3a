"""How well a model reads the characters that the recipe holds out: one row for each set and kind."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from jobs import scoring
from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from jobs.recipe import held_out_sets
from model.alphabets import CLASS_COUNT, charset_mask
from model.classifier import Classifier
from model.crop_variants import classify_known
from model.datasets import DatasetError, LabelledCrops
from model.evaluation import Evaluation

NAME = "recipe"
# Flags that mean nothing here: every set has its own part, kinds and place.
_NOT_HERE = ("split", "charset", "download", "database", "against")
_CONFUSIONS = 5
_BARS, _BAR_WIDTH, _BAR_GAP = 12, 20, 8  # drawn of each set; pixels of one, and of the space beside it
_COLUMNS, _PANEL = 3, (368, 230)  # side by side; pixels of one set


def run(args: argparse.Namespace) -> int:
    """Measures, prints a table and writes what was asked for.

    Raises:
        CommandError: a flag means nothing here, the data or the model cannot be used, or a file cannot be
            written.
    """
    for name in _NOT_HERE:
        if getattr(args, name) not in (None, False):
            raise CommandError(ExitCode.USAGE, f"--{name}: means nothing to --dataset {NAME}. Leave it out.")
    if args.data is None:
        raise CommandError(
            ExitCode.USAGE, "--data: name the folder with characters/, or set FORMSCRIBE_DATA."
        )
    classifier = open_model(args.model)
    try:
        sets = held_out_sets(Path(args.data), args.spoilt)
    except DatasetError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--data: {error}") from None
    results = scoring.compare_sets(read_sets(classifier, sets), sets)
    print(format_table(results))
    try:
        if args.json:
            rows = {name: result.as_dict() for name, result in results.items()}
            about = {"dataset": NAME, "model": classifier.sha256, "spoilt": args.spoilt}
            args.json.write_text(json.dumps(about | {"sets": rows}, indent=1) + "\n", "utf-8")
        if args.confusion:
            draw_confusions(results, args.confusion)
    except OSError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"{error.filename}: {error.strerror}.") from None
    except ValueError as error:  # Pillow, of a file name without a known ending
        raise CommandError(
            ExitCode.USAGE, f"--confusion {args.confusion}: {error}. Name a .png file."
        ) from None
    return int(ExitCode.OK)


def read_sets(classifier: Classifier, sets: Mapping[str, LabelledCrops]) -> dict[str, NDArray[np.float32]]:
    """Log-probabilities of every set, the kind of each character known, as in a field."""
    read = {}
    for name, crops in sets.items():
        digits = charset_mask("digits")[crops.labels]
        read[name] = np.empty((len(crops), CLASS_COUNT), np.float32)
        for rows, charset in ((digits, "digits"), (~digits, None)):
            read[name][rows] = classify_known(classifier, crops.images[rows], charset)
    return read


def format_table(results: Mapping[str, Evaluation]) -> str:
    """One line for each set and kind: how many, how many of a hundred are right, what is confused most."""
    lines = [f"{'set':32} {'characters':>10} {'right, %':>9} {'calibration':>12}  most confused"]
    for name, result in results.items():
        worst = ", ".join(f"{truth} as {read} {count}x" for truth, read, count in result.worst(_CONFUSIONS))
        figures = f"{100 * result.accuracy:9.2f} {100 * result.calibration_error:12.2f}"
        lines.append(f"{name:32} {result.count:10,} {figures}  {worst or 'nothing'}")
    return "\n".join([*lines, "", "calibration: expected calibration error, points"])


def draw_confusions(results: Mapping[str, Evaluation], path: Path) -> None:
    """Draws the most frequent confusions of each set as bars: how often, the truth, what was read."""
    shown = [(name, result) for name, result in results.items() if result.worst(1)]
    rows = max(1, -(-len(shown) // _COLUMNS))
    picture = Image.new("RGB", (_COLUMNS * _PANEL[0], rows * _PANEL[1]), "white")
    for place, (name, result) in enumerate(shown):
        corner = place % _COLUMNS * _PANEL[0], place // _COLUMNS * _PANEL[1]
        _draw_bars(ImageDraw.Draw(picture), corner, name, result)
    picture.save(path)


def _draw_bars(draw: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, result: Evaluation) -> None:
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)
    left, top = corner[0] + 12, corner[1] + 8
    wrong = result.count - round(result.accuracy * result.count)
    draw.text((left, top), f"{name}: {wrong:,} of {result.count:,} wrong", "black", font)
    worst = result.worst(_BARS)
    base, tallest = corner[1] + _PANEL[1] - 44, _PANEL[1] - 100
    for bar, (truth, read, count) in enumerate(worst):
        x = left + bar * (_BAR_WIDTH + _BAR_GAP)
        height = max(1, round(tallest * count / worst[0][2]))
        draw.rectangle((x, base - height, x + _BAR_WIDTH, base), "#b5533c")
        middle = x + _BAR_WIDTH / 2
        draw.text((middle, base - height - 3), str(count), "black", small, "md")
        draw.text((middle, base + 12), truth, "black", font, "mm")
        draw.text((middle, base + 29), read, "#b5533c", font, "mm")
