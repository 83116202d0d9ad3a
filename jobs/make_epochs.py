"""Makes epochs of the recipe ahead of training: ``python -m jobs.make_epochs --data DATA --out FOLDER``.

Where many processors stand beside a GPU, or several networks are trained on the same crops, epochs are made
once and kept: ``formscribe train --dataset recipe --epochs-from FOLDER`` takes them from there, in turn, and
from the first again after the last. It waits for those still in the making. What is there already is not
made again.

With ``--teacher`` the epochs are there already, and what teachers answer to them is mixed with their labels
and kept beside them, so that they answer once for all networks that learn from it.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from jobs.recipe import EpochShape, Recipe
from model.alphabets import CLASS_COUNT
from model.classifier import Classifier, ClassifierError
from model.datasets import DatasetError
from model.epochs import BackgroundEpochs, Epoch, epoch_path, load_epoch, save_epoch
from model.teachers import load_teacher, targets_of
from model.training import TrainingError

ABOUT = "epochs.json"
_LOOK_AGAIN_S = 1.0


class EpochFolder:
    """Epochs that ``make_epochs`` wrote, or is writing."""

    def __init__(self, folder: Path, patience_s: float = 600) -> None:
        """Reads how many there are to be; ``patience_s`` is how long one in the making is waited for.

        Raises:
            DatasetError: it is no folder of epochs.
        """
        try:
            self.about = json.loads((folder / ABOUT).read_text("utf-8"))
            self._count = int(self.about["count"])
        except (OSError, ValueError, KeyError):
            raise DatasetError(
                f"{folder}: has no {ABOUT}. Make its epochs with `python -m jobs.make_epochs`."
            ) from None
        self._folder, self._patience_s = folder, patience_s

    def get(self, epoch: int) -> Epoch:
        """Images uint8 (N, 28, 28) of an epoch from 0, and labels int16 (N,) or, if taught, (N, 63).

        Raises:
            DatasetError: it was not made within the time.
        """
        number = epoch % self._count
        images, labels = load_epoch(self._wait_for(epoch_path(self._folder, number)))
        if "teachers" in self.about:
            labels = np.load(self._wait_for(_taught_path(self._folder, number)))
        return images, labels

    def _wait_for(self, path: Path) -> Path:
        end = time.monotonic() + self._patience_s
        while not path.is_file():
            if time.monotonic() > end:
                raise DatasetError(f"{path}: was not made. Run `python -m jobs.make_epochs` again.")
            time.sleep(_LOOK_AGAIN_S)
        return path


def _taught_path(folder: Path, epoch: int) -> Path:
    return folder / f"taught-{epoch}.npy"


def make_epochs(plan: Recipe, count: int, folder: Path, processes: int) -> None:
    """Writes the epochs that are not there yet, and what they were made of.

    Raises:
        DatasetError: those that are there were made of something else; or a data set is missing.
        RuntimeError: a process that makes epochs failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_of = {
        "seed": plan.seed,
        "epoch": asdict(plan.shape),
        "judge": plan.judge.name if plan.judge else None,
        "harvested": [path.name for path in plan.harvested],
    }
    if (folder / ABOUT).is_file():
        before = EpochFolder(folder).about
        if any(before.get(key) != value for key, value in made_of.items()):
            raise DatasetError(f"{folder}: has epochs that were made otherwise. Name another folder.")
    (folder / ABOUT).write_text(json.dumps({"count": count} | made_of, indent=1), "utf-8")
    with BackgroundEpochs(plan.open, processes) as epochs:
        for number in range(count):
            path = epoch_path(folder, number)
            if not path.is_file():
                save_epoch(epochs.get(number, count - 1), path)
            print(f"\r{number + 1} of {count} epochs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def teach(folder: Path, teachers: Sequence[Classifier], taught: float) -> None:
    """Writes, beside each epoch, what is to be learnt of it: float16 (N, 63); see ``targets_of``."""
    about = json.loads((folder / ABOUT).read_text("utf-8"))
    for number in range(about["count"]):
        images, labels = load_epoch(epoch_path(folder, number))
        targets = targets_of(images, labels, CLASS_COUNT, teachers, taught)
        fresh = folder / "new-taught.npy"
        np.save(fresh, targets.astype(np.float16))
        fresh.replace(_taught_path(folder, number))
        print(f"\r{number + 1} of {about['count']} epochs taught", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    about |= {"teachers": [teacher.sha256 for teacher in teachers], "taught": taught}
    (folder / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Makes a folder of epochs."""
    parser = argparse.ArgumentParser("python -m jobs.make_epochs", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, help="folder with characters/*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=12, help="epochs (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="size of an epoch (1)")
    parser.add_argument("--judge", type=Path, help="a .tflite that sorts out fragments")
    parser.add_argument(
        "--harvested",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="of `python -m jobs.harvest`",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: all processors")
    parser.add_argument(
        "--teacher", type=Path, nargs="+", action="extend", help="models that teach the epochs in --out"
    )
    parser.add_argument("--taught", type=float, default=0.5, help="share of their answers (0.5)")
    args = parser.parse_args(argv)
    if args.data is None and not args.teacher:
        parser.error("--data: name the folder with characters/")
    cv2.setNumThreads(1)
    try:
        if args.teacher:
            EpochFolder(args.out)  # so that a folder without epochs is named before teachers are loaded
            teach(args.out, [load_teacher(path) for path in args.teacher], args.taught)
        else:
            shape = EpochShape(share=args.share)
            plan = Recipe(args.data, args.seed, shape, args.judge, tuple(args.harvested))
            make_epochs(plan, args.count, args.out, args.processes)
    except (DatasetError, ClassifierError, TrainingError, RuntimeError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
