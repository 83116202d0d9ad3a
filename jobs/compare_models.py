"""``formscribe evaluate --against``: a new model beside an old one, and whether it may take its place."""

import argparse
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs import scoring
from jobs.anchors import rendered_crops
from jobs.corrections import is_corrections, open_corrections
from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from jobs.recipe import held_out_sets
from model.alphabets import CLASS_COUNT, NOT_A_CHARACTER, charset_mask
from model.calibration import calibration_error
from model.classifier import SHIPPED, Classifier, read_model
from model.datasets import DatasetError, LabelledCrops, unknown_writers
from model.export import write_model
from model.promotion import WORSE, Comparison, compare_readings, format_comparisons

ALLOWED = 0.002
RENDERED, RECIPE = "rendered", "recipe"
RENDERED_CROPS, RENDERED_SEED = 4000, 20  # no seed that a model is trained with
_NOT_CHARACTERS = "wrong_cuts"


@dataclass(frozen=True, eq=False)
class ComparedSet:
    """Crops with the classes that each is chosen from: ``masks`` bool (N, 63)."""

    name: str
    crops: LabelledCrops
    masks: NDArray[np.bool_]

    def parts(self) -> list[tuple[str, NDArray[np.bool_]]]:
        """Its kinds of character, each by itself: one may get worse while the others get better."""
        inside = {group: charset_mask(group)[self.crops.labels] for group in scoring.GROUPS}
        inside[_NOT_CHARACTERS] = self.crops.labels == NOT_A_CHARACTER
        return [(f"{self.name}/{group}", mask) for group, mask in inside.items() if mask.any()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the comparison."""
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="compare --model with this one, a .tflite file or `shipped`, crop by crop; a set that is read "
        f"worse ends with exit code {ExitCode.MODEL_WORSE.value}",
    )
    parser.add_argument(
        "--also",
        action="append",
        metavar="NAME",
        help="--against: another data set that must not get worse; may be repeated. Besides the names below: "
        f"{RENDERED} (drawn with the fonts that ship, wrong cuts among them; needs no data) and {RECIPE} "
        "(the held-out sets of the shipped model's card, from --data)",
    )
    parser.add_argument(
        "--allowed",
        type=_share,
        metavar="X",
        help="--against: a set is worse if its error rate rises by more than X, a share of 1, and that is no "
        f"chance (default: {ALLOWED})",
    )
    parser.add_argument(
        "--promote",
        type=Path,
        metavar="FILE",
        help="--against: if nothing is worse, copy the model and its card to this .tflite file, for "
        "`formscribe run --model FILE`",
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def run(args: argparse.Namespace, crops: LabelledCrops, masks: NDArray[np.bool_] | None) -> int:
    """Compares on the chosen data set and those of ``--also``, prints the table, and promotes if asked.

    Args:
        args: of ``formscribe evaluate``.
        crops: the chosen set.
        masks: the classes each crop is chosen from; None is its kind of character.

    Raises:
        CommandError: a set or model cannot be used, or the promoted file cannot be written.
    """
    if args.promote and args.promote.suffix != ".tflite":
        raise CommandError(ExitCode.USAGE, f"--promote {args.promote}: name a file that ends with .tflite.")
    new = open_model(args.model)
    old = open_model(None if args.against == SHIPPED else args.against)
    allowed = ALLOWED if args.allowed is None else args.allowed
    sets = [compared(args.dataset, crops, masks)]
    for name in args.also or ():
        sets += other_sets(name, args)
    comparisons: list[Comparison] = []
    for each in sets:
        comparisons += compare_set(each, old, new)
    print(format_comparisons(comparisons, allowed))
    calibrations = {"old": round(calibration(sets[0], old), 5), "new": round(calibration(sets[0], new), 5)}
    figures = {
        "new": new.sha256,
        "against": old.sha256,
        "allowed": allowed,
        "sets": [one.as_dict() | {"verdict": one.verdict(allowed)} for one in comparisons],
        "expected_calibration_error": {"set": sets[0].name} | calibrations,
    }
    print(
        f"expected calibration error on {sets[0].name}: old {calibrations['old']:.4f}, "
        f"new {calibrations['new']:.4f}"
    )
    if args.json:
        write_json(args.json, figures)
    return conclude(comparisons, allowed, args, figures)


def conclude(
    comparisons: Sequence[Comparison], allowed: float, args: argparse.Namespace, figures: dict[str, Any]
) -> int:
    """Says what follows, and copies the model if it may be."""
    worse = [one.name for one in comparisons if one.verdict(allowed) == WORSE]
    if worse:
        kept = f"; {args.promote} is left as it was" if args.promote else ""
        print(f"worse on {', '.join(worse)}{kept}")
        return int(ExitCode.MODEL_WORSE)
    print(f"nothing is worse by more than {100 * allowed:g} points")
    if args.promote:
        promote(args.model, args.promote, figures)
        print(f"promoted: {args.promote}")
    return int(ExitCode.OK)


def compared(name: str, crops: LabelledCrops, masks: NDArray[np.bool_] | None = None) -> ComparedSet:
    """A set whose crops are chosen from their own kind, and wrong cuts from all classes."""
    if masks is None:
        masks = np.ones((len(crops), CLASS_COUNT), bool)
        known = crops.labels != NOT_A_CHARACTER
        masks[known] = scoring.group_masks(crops.labels[known])
    return ComparedSet(name, crops, masks)


def other_sets(name: str, args: argparse.Namespace) -> list[ComparedSet]:
    """What ``--also NAME`` names.

    Raises:
        CommandError: it cannot be opened.
    """
    from jobs.evaluate_dataset import open_crops

    if name == RENDERED:
        images, labels = rendered_crops(RENDERED_CROPS, RENDERED_SEED)
        return [compared(name, LabelledCrops(name, images, labels, unknown_writers(len(labels))))]
    if name == RECIPE:
        if args.data is None:
            raise CommandError(ExitCode.USAGE, f"--also {name}: name the folder with --data.")
        try:
            return [compared(part, crops) for part, crops in held_out_sets(Path(args.data)).items()]
        except DatasetError as error:
            raise CommandError(ExitCode.NO_INPUT, f"--also {name}: {error}") from None
    if is_corrections(name):
        held = open_corrections(name, args.database).split()[1]
        return [compared(name, held.crops, held.masks)]
    return [compared(name, open_crops(argparse.Namespace(**vars(args) | {"dataset": name, "split": None})))]


def compare_set(each: ComparedSet, old: Classifier, new: Classifier) -> list[Comparison]:
    """A comparison for each kind of character in a set."""
    right = [
        np.where(each.masks, model.classify(each.crops.images), np.float32(-np.inf)).argmax(axis=1)
        == each.crops.labels
        for model in (old, new)
    ]
    return [compare_readings(name, right[0][inside], right[1][inside]) for name, inside in each.parts()]


def calibration(each: ComparedSet, model: Classifier) -> float:
    """The expected calibration error of the best label's probability, 0..1."""
    log_probs = np.where(each.masks, model.classify(each.crops.images), np.float32(-np.inf))
    probabilities = np.exp(log_probs)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    right = probabilities.argmax(axis=1) == each.crops.labels
    return calibration_error(probabilities.max(axis=1), right)


def promote(model: Path | None, target: Path, figures: dict[str, Any]) -> None:
    """Copies a model to where runs take it from; its card says how it was compared.

    Raises:
        CommandError: it cannot be written.
    """
    chosen = read_model(model)
    about = {"promotion": {"date": datetime.date.today().isoformat()} | figures}
    try:
        write_model(chosen.content, chosen.card | about, target)
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE, f"--promote {target}: cannot be written ({error.strerror})."
        ) from None


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Writes figures.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        path.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"{path}: {error.strerror}.") from None
