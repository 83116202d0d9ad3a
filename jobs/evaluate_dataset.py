"""How well the model reads labelled characters: accuracy, report per class, confusion, calibration."""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs import compare_models, evaluate_recipe
from jobs.corrections import is_corrections, open_corrections
from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from jobs.told_datasets import open_told
from model.alphabets import CHARSETS, charset_mask
from model.crop_variants import classify_known
from model.datasets import (
    AbsentError,
    DatasetError,
    DownloadError,
    LabelledCrops,
    available_splits,
    describe_datasets,
)
from model.evaluation import Evaluation, compare, draw_confusion, format_report

EPILOG = f"""data sets:
{describe_datasets()}
recipe           what the training of the shipped model holds out, all its sets in one table (--data)

examples:
  formscribe evaluate --dataset mnist --charset digits
  formscribe evaluate --dataset recipe --data DATA --confusion confusions.png
  formscribe evaluate --dataset folder:my_letters --charset upper --json figures.json --confusion matrix.png

examples of an old and a new model:
  formscribe evaluate --dataset corrections:out --model runs/mine/model.tflite --against shipped
  formscribe evaluate --dataset corrections:out --model runs/mine/model.tflite --against shipped \\
      --also rendered --also mnist --promote models/mine.tflite
"""


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """All options but ``--dataset``, for a command that has that one already."""
    parser.add_argument(
        "--split",
        choices=("train", "test", "all"),
        help="default: test where there is one; of corrections those that are held back",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FORMSCRIBE_DATA"),
        metavar="FOLDER",
        help="where data sets lie",
    )
    parser.add_argument("--download", action="store_true", help="fetch a public data set that is not there")
    parser.add_argument(
        "--charset",
        choices=sorted(CHARSETS),
        help="choose among these characters only, and measure only them",
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .tflite file (default: the one that ships)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--confusion", type=Path, metavar="PNG", help="draw the confusion matrix")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="corrections:OUT: where `formscribe review --database` keeps what people say (default: in OUT)",
    )
    compare_models.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measures, prints the report and writes what was asked for.

    Raises:
        CommandError: the data set or the model cannot be used.
    """
    for name in ("also", "allowed", "promote"):
        if getattr(args, name) is not None and args.against is None:
            raise CommandError(
                ExitCode.USAGE, f"--{name}: goes with --against. Name the model to compare with."
            )
    if args.dataset == evaluate_recipe.NAME:
        return evaluate_recipe.run(args)
    if args.spoilt:
        raise CommandError(
            ExitCode.USAGE, "--spoilt: goes with --composed or --dataset recipe. Leave it out."
        )
    if args.against is not None:
        if args.confusion:
            raise CommandError(ExitCode.USAGE, "--confusion: is drawn of one model. Leave out --against.")
        return compare_models.run(args, *_open_measured(args))
    classifier = open_model(args.model)
    crops, masks = _open_measured(args)
    result = compare(
        classify_known(classifier, crops.images, args.charset), crops.labels, args.charset, masks
    )
    print(format_report(result))
    write_figures(result, args.json, args.confusion, {"dataset": args.dataset, "model": classifier.sha256})
    return int(ExitCode.OK)


def _open_measured(args: argparse.Namespace) -> tuple[LabelledCrops, NDArray[np.bool_] | None]:
    """The crops to measure on, and the classes each is chosen from, where those are known: bool (N, 63).

    Raises:
        CommandError: see ``run``; or there is no such crop.
    """
    masks = None
    if is_corrections(args.dataset):
        corrections = open_corrections(args.dataset, args.database)
        chosen = {"train": ~corrections.held_back, "all": np.full(len(corrections), True)}
        part = corrections.select(chosen.get(args.split, corrections.held_back))
        crops, masks = part.crops, part.masks
    else:
        crops = open_crops(args)
    if args.charset:
        inside = charset_mask(args.charset)[crops.labels]
        crops = crops.select(inside)
        masks = np.tile(charset_mask(args.charset), (len(crops), 1))
    if not len(crops):
        kind = f" of the charset {args.charset}" if args.charset else ""
        raise CommandError(ExitCode.NO_INPUT, f"--dataset {args.dataset}: it has no character{kind}.")
    return crops, masks


def open_crops(args: argparse.Namespace) -> LabelledCrops:
    """The part of the data set that is measured.

    Raises:
        CommandError: see ``run``.
    """
    try:
        splits = available_splits(args.dataset)
        split = args.split or ("test" if "test" in splits else "all")
        return open_told(args.dataset, split, args.data, args.download)
    except (AbsentError, DownloadError) as error:
        raise CommandError(ExitCode.NO_INPUT, str(error)) from None
    except DatasetError as error:
        raise CommandError(ExitCode.USAGE, f"--dataset {error}") from None


def write_figures(
    result: Evaluation, figures: Path | None, confusion: Path | None, about: dict[str, str] | None = None
) -> None:
    """Writes the figures as JSON and the confusion matrix as PNG, where a file is named.

    Raises:
        CommandError: a file cannot be written.
    """
    try:
        if figures:
            figures.write_text(json.dumps((about or {}) | result.as_dict(), indent=1) + "\n", "utf-8")
        if confusion:
            draw_confusion(result, confusion)
    except OSError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"{error.filename}: {error.strerror}.") from None
    except ValueError as error:  # Pillow, of a file name without a known ending
        raise CommandError(ExitCode.USAGE, f"--confusion {confusion}: {error}. Name a .png file.") from None
