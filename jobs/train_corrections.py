"""``formscribe train --dataset corrections:OUT``: a trained model taught what people corrected."""

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.anchors import rendered_crops
from jobs.corrections import UNSETTLED, open_corrections
from jobs.exit_codes import CommandError, ExitCode
from jobs.told_datasets import open_told
from jobs.tuned_model import Parent, write_tuned
from model.augmentation import Augmenter
from model.classifier import SHIPPED, ClassifierError, read_model
from model.datasets import LabelledCrops, available_splits
from model.finetuning import Lesson, TuningOptions, finetune
from model.restoring import read_layers
from model.training import TrainingError, load_network
from segmentation.normalization import normalize_glyph

Images = NDArray[np.uint8]

RENDERED = 8000  # anchors drawn with the fonts that ship; each is shown as it is and bent
REHEARSED = 4000  # anchors at most of each data set of --rehearse
BENT = 0.25
# Anchors are bent far beyond what hands do: the network is to stay as it is for writing of every kind.
STRENGTH = 1.8


@dataclass(frozen=True, eq=False)
class Anchors:
    """Crops that are to be read as before, and how many there are of each source."""

    images: Images
    sources: dict[str, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for corrections."""
    parser.add_argument(
        "--rehearse",
        action="append",
        metavar="NAME",
        help="corrections: a data set that the model is to go on reading as it does now, by its name; may be "
        "repeated (rendered writing always is one)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="corrections: where `formscribe review --database` keeps what people say (default: in OUT)",
    )


def train_corrections(args: argparse.Namespace) -> None:
    """Trains ``args.from_model`` (the shipped one) further, and writes model and card into ``args.out``.

    Raises:
        CommandError: a flag does not go with corrections, or there is nothing to learn from.
        TrainingError, DatasetError: the model or a data set cannot be used.
    """
    for name in ("resume", "export_only", "patience", "judge", "harvested"):
        if getattr(args, name) not in (None, False):
            flag = name.replace("_", "-")
            raise CommandError(ExitCode.USAGE, f"--{flag}: does not go with corrections. Leave it out.")
    cv2.setNumThreads(1)
    corrections = open_corrections(args.dataset, args.database)
    taught, held = corrections.split()
    if not len(taught) or not len(held):
        raise CommandError(
            ExitCode.NO_INPUT,
            f"--dataset {args.dataset}: the {len(corrections)} characters are of one field; some are "
            "held back to measure on. Correct more fields.",
        )
    options = tuning_options(args)
    parent = open_parent(args.from_model)
    anchors = collect_anchors(args, options.seed)
    print(
        f"{args.dataset}: {len(taught):,} characters to learn from, {int(taught.corrected.sum()):,} of them "
        f"read as something else; {len(held):,} held back; {len(anchors.images):,} crops to read as before",
        flush=True,
    )
    if not corrections.settled:
        print(UNSETTLED, flush=True)
    network = tune(parent, taught.crops, taught.masks, taught.corrected, anchors, options)
    about = {
        "corrections": {
            "dataset": args.dataset,
            "taught": len(taught),
            "read_as_something_else": int(taught.corrected.sum()),
            "held_back": len(held),
        },
        "read_as_before": anchors.sources,
        "training": asdict(options),
    }
    write_tuned(network, parent, held, args.out, about)


def tuning_options(args: argparse.Namespace) -> TuningOptions:
    """What the flags say."""
    options = TuningOptions(seed=args.seed)
    if args.epochs is not None:
        options = replace(options, epochs=args.epochs)
    return options if args.rate is None else replace(options, learning_rate=args.rate)


def open_parent(path: Path | None) -> Parent:
    """The model to start from, with its card; None is the one that ships.

    Raises:
        TrainingError: it is missing or none of ours.
    """
    try:
        if path is None or str(path) == SHIPPED:
            model = read_model(None)
        elif path.suffix == ".tflite":
            model = read_model(path)
        else:
            return Parent.of_network(load_network(path), path)
        read_layers(model.content, model.name)  # before work is spent on anything else
    except ClassifierError as error:
        raise TrainingError(f"--from-model: {error}") from None
    return Parent(model.name, model.content, model.card)


def collect_anchors(args: argparse.Namespace, seed: int) -> Anchors:
    """Rendered crops, and up to 4,000 of each data set to rehearse.

    Raises:
        DatasetError: a data set cannot be used.
    """
    rng = np.random.default_rng([seed, 1])
    parts, sources = [rendered_crops(RENDERED, seed)[0]], {"rendered": RENDERED}
    for name in args.rehearse or ():
        split = "train" if "train" in available_splits(name) else "all"
        crops = open_told(name, split, args.data, args.download)
        chosen = rng.permutation(len(crops))[:REHEARSED]
        parts.append(crops.images[chosen])
        sources[name] = len(chosen)
    return Anchors(np.concatenate(parts), sources)


def tune(
    parent: Parent,
    crops: LabelledCrops,
    masks: NDArray[np.bool_],
    corrected: NDArray[np.bool_],
    anchors: Anchors,
    options: TuningOptions,
) -> Any:
    """The network that has learnt; prints a line an epoch."""
    rng = np.random.default_rng([options.seed, 2])
    mild, strong = (Augmenter(rng, normalize_glyph, strength) for strength in (1.0, STRENGTH))

    def vary(images: Images) -> Images:
        return np.stack([mild.bend(one) if rng.random() < BENT else mild.nudge(one) for one in images])

    bent = np.stack([strong.bend(one) for one in anchors.images])
    shown = np.concatenate([anchors.images, bent])
    lesson = Lesson(crops.images, crops.labels, masks, corrected, shown, len(anchors.sources))
    network = parent.network()
    finetune(network, lesson, vary, options)
    return network
