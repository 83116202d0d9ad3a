"""``formscribe train`` on one data set by name: split, augment, train, and report on its test part."""

import argparse
import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jobs.evaluate_dataset import write_figures
from jobs.exit_codes import CommandError, ExitCode
from jobs.exporting import export_and_score
from jobs.told_datasets import open_told
from model.augmentation import Augmenter
from model.classifier import log_softmax
from model.datasets import DATASETS, LabelledCrops, available_splits, split_by_writer
from model.epochs import BackgroundEpochs, Epoch
from model.evaluation import compare, format_report
from model.export import why_not_exported
from model.network import build_network
from segmentation.normalization import normalize_glyph

BENT = 0.25  # share of crops that are bent and normalised anew; the others are nudged as they are
VALIDATION_SHARE = 0.08
TEST_SHARE = 0.2
PATIENCE = 4
FEWEST = 20  # characters; with less there is nothing to hold out


@dataclass(frozen=True)
class Splits:
    """A data set in three parts: to train on, to stop and calibrate by, to report on."""

    train: LabelledCrops
    validation: LabelledCrops
    test: LabelledCrops


def open_splits(name: str, folder: Path | None, download: bool, seed: int) -> Splits:
    """Opens a data set; its own test part if it has one, else a fifth, by writer where writers are known.

    Raises:
        DatasetError: it is not there, damaged or too small.
    """
    open_part = functools.partial(open_told, name, folder=folder, download=download)
    if {"train", "test"} <= set(available_splits(name)):
        rest, test = open_part("train"), open_part("test")
    else:
        rest, test = split_by_writer(open_part("all"), TEST_SHARE, seed)
    train, validation = split_by_writer(rest, VALIDATION_SHARE, seed)
    if min(len(train), len(validation), len(test)) < 1 or len(train) < FEWEST:
        count = len(train) + len(validation) + len(test)
        raise CommandError(
            ExitCode.NO_INPUT, f"--dataset {name}: {count} characters are too few to train on; add more."
        )
    return Splits(train, validation, test)


@dataclass(frozen=True)
class AugmentedEpochs:
    """Every crop of a set once an epoch, nudged or bent anew each time."""

    crops: LabelledCrops
    seed: int

    def open(self) -> "AugmentedEpochs":
        """Itself: there is nothing to load."""
        return self

    def make(self, epoch: int) -> Epoch:
        """One epoch, shuffled; see ``model.epochs.EpochSource``."""
        rng = np.random.default_rng([self.seed, epoch])
        augmenter = Augmenter(rng, normalize_glyph)
        order = rng.permutation(len(self.crops))
        images = np.empty((len(order), 28, 28), np.uint8)
        for i, row in enumerate(order):
            change = augmenter.bend if rng.random() < BENT else augmenter.nudge
            images[i] = change(self.crops.images[row])
        return images, self.crops.labels[order]


def train_dataset(args: argparse.Namespace) -> None:
    """Trains on ``args.dataset`` and writes model, card, report and confusion matrix into ``args.out``."""
    from jobs.train import new_shape, training_options
    from model.teachers import load_teacher
    from model.training import AVERAGED, TrainingOptions, train

    teachers = [load_teacher(path) for path in args.teacher]
    splits = open_splits(args.dataset, args.data, args.download, args.seed)
    options = training_options(args, TrainingOptions(patience=PATIENCE))
    print(
        f"{args.dataset}: {len(splits.train):,} to train on, {len(splits.validation):,} to validate, "
        f"{len(splits.test):,} to test; {len(np.unique(splits.train.labels))} classes",
        flush=True,
    )
    cv2.setNumThreads(1)
    with BackgroundEpochs(AugmentedEpochs(splits.train, args.seed).open, args.processes) as epochs:
        model, history = train(
            functools.partial(epochs.get, last=args.epochs - 1),
            functools.partial(_validate, crops=splits.validation),
            args.out,
            options,
            build=functools.partial(build_network, new_shape(args)),
            teachers=teachers,
            start_from=args.from_model,
            resume=args.resume,
            report=functools.partial(print, flush=True),
            live=sys.stdout.isatty(),
        )
    if reason := why_not_exported(model):
        print(f"{args.out / AVERAGED}: trained, not exported. {reason}")
        return
    about = {
        "data": [_source(args.dataset)],
        "held_out": {"validation": len(splits.validation), "test": len(splits.test)},
        "training": dataclasses.asdict(options),
        "teachers": [teacher.sha256 for teacher in teachers],
        "epochs_trained": len(history),
    }
    sets = {"validation": splits.validation, "test": splits.test}
    classifier = export_and_score(model, sets, args.out, about, calibrated_on=("validation",))
    result = compare(classifier.classify(splits.test.images), splits.test.labels, None)
    print(format_report(result))
    write_figures(result, args.out / "test.json", args.out / "confusion.png")


def _validate(model: Any, crops: LabelledCrops) -> dict[str, float]:
    inputs = crops.images[..., None].astype(np.float32) / 255
    log_probs = log_softmax(model.predict(inputs, batch_size=512, verbose=0))
    accuracy = compare(log_probs, crops.labels, None).accuracy
    return {"validation": accuracy, "score": accuracy}


def _source(name: str) -> dict[str, str]:
    if name not in DATASETS:
        return {"name": name, "what": "local files", "licence": "not stated"}
    info = DATASETS[name]
    return {"name": name, "what": info.description, "licence": info.licence}
