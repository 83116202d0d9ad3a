"""Makes epochs of the recipe ahead of training: ``python -m jobs.make_epochs --data DATA --out FOLDER``.

Where many processors stand beside a GPU, or several networks are trained on the same crops, epochs are made
once and kept: ``formscribe train --dataset recipe --epochs-from FOLDER`` takes them from there, in turn, and
from the first again after the last. It waits for those still in the making. What is there already is not
made again.
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

from jobs.recipe import EpochShape, Recipe
from model.datasets import DatasetError
from model.epochs import BackgroundEpochs, Epoch, epoch_path, load_epoch, save_epoch

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
        """Images uint8 (N, 28, 28) and labels int16 (N,) of an epoch from 0.

        Raises:
            DatasetError: it was not made within the time.
        """
        path = epoch_path(self._folder, epoch % self._count)
        end = time.monotonic() + self._patience_s
        while not path.is_file():
            if time.monotonic() > end:
                raise DatasetError(f"{path}: was not made. Run `python -m jobs.make_epochs` again.")
            time.sleep(_LOOK_AGAIN_S)
        return load_epoch(path)


def make_epochs(plan: Recipe, count: int, folder: Path, processes: int) -> None:
    """Writes the epochs that are not there yet, and what they were made of."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"count": count, "seed": plan.seed, "epoch": asdict(plan.shape)}
    (folder / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")
    with BackgroundEpochs(plan.open, processes) as epochs:
        for number in range(count):
            path = epoch_path(folder, number)
            if not path.is_file():
                save_epoch(epochs.get(number, count - 1), path)
            print(f"\r{number + 1} of {count} epochs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Makes a folder of epochs."""
    parser = argparse.ArgumentParser("python -m jobs.make_epochs", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder with characters/*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=12, help="epochs (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="size of an epoch (1)")
    parser.add_argument("--judge", type=Path, help="a .tflite that sorts out fragments")
    parser.add_argument("--harvested", type=Path, nargs="+", default=[], help="of `python -m jobs.harvest`")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: all processors")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    plan = Recipe(args.data, args.seed, EpochShape(share=args.share), args.judge, tuple(args.harvested))
    try:
        make_epochs(plan, args.count, args.out, args.processes)
    except DatasetError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
