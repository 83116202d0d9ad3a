"""Harvests training crops from the segmenter: rows of writing are composed, cut, and every candidate
labelled.

What the segmenter really hands to the classifier, right cuts and wrong ones, is what the classifier must
know. Where touching digits leave no right cut, the best one counts as right; of letters it does not, since a
large part of a letter often is another letter.

``python -m jobs.harvest --data FOLDER --out harvest.npz`` makes the pool that the recipe mixes into each
epoch.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.composing import LineComposer, training_sources
from model.alphabets import NOT_A_CHARACTER
from segmentation.composition import WRONG_CUT

Ink = NDArray[np.uint8]

DIGITS = 10  # classes below this are digits; a row has one kind of character
MAX_WRONG = 30  # wrong cuts kept of one line, so that long lines do not crowd out others


def harvest(composer: LineComposer, lines: int, rng: np.random.Generator) -> tuple[Ink, NDArray[np.int16]]:
    """Cuts ``lines`` rows: crops uint8 (N, 28, 28) and labels int16 (N,), wrong cuts as not-a-character."""
    crops: list[Ink] = []
    labels: list[NDArray[np.int16]] = []
    for count in range(1, lines + 1):
        row, classes = composer.compose(rng)
        lattice, verdict = row.lessons() if max(classes) < DIGITS else row.candidates()
        right = np.flatnonzero(verdict >= 0)
        wrong = np.flatnonzero(verdict == WRONG_CUT)
        wrong = rng.permutation(wrong)[:MAX_WRONG]
        crops += [lattice.crops[right], lattice.crops[wrong]]
        labels.append(np.array([classes[i] for i in verdict[right]], np.int16))
        labels.append(np.full(len(wrong), NOT_A_CHARACTER, np.int16))
        if count % 200 == 0 or count == lines:
            print(f"\r{count:,} of {lines:,} lines", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return np.concatenate(crops), np.concatenate(labels)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a pool of harvested crops."""
    parser = argparse.ArgumentParser(prog="python -m jobs.harvest", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder with characters/*.npz")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--lines", type=int, default=8000, help="rows of writing to cut (default 8000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--over", type=float, default=0.0, help="share of rows written over their printed frame (default 0)"
    )
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(args.seed)
    images, labels = harvest(LineComposer(training_sources(args.data), args.over), args.lines, rng)
    np.savez_compressed(args.out, images=images, labels=labels)
    print(f"{args.out}: {len(labels):,} crops, {int((labels == NOT_A_CHARACTER).sum()):,} of them wrong cuts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
