"""Makes the network that the training of another shape begins with, from a model that is trained already.

``python -m jobs.imitate --data DATA --model larger.tflite --layers 0 2 2 3 4 5 --out start.keras`` gives each
layer of the shape that ships the weights by which it comes nearest to a layer of ``larger.tflite``;
``formscribe train --from-model start.keras --teacher larger.tflite`` goes on from there.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from jobs.recipe import EpochShape, Recipe
from model.classifier import ClassifierError
from model.datasets import DatasetError
from model.network import NetworkShape

CROPS = 3000
DROPOUT = 0.1  # of a network that learns from a teacher and begins near its end; see docs/model-shapes.md


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the network, and prints how much of each layer it could imitate."""
    parser = argparse.ArgumentParser(prog="python -m jobs.imitate", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORMSCRIBE_DATA"), metavar="FOLDER")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .tflite file (default: the shipped one)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write, .keras")
    parser.add_argument(
        "--layers",
        type=int,
        nargs="+",
        action="extend",
        metavar="N",
        help="for each convolution of the new network which one of the model it imitates, from 0 (default: "
        "the same)",
    )
    args = parser.parse_args(argv)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from model.imitation import imitate
    from model.restoring import restore_network

    cv2.setNumThreads(1)
    shape = NetworkShape(dropout=DROPOUT)
    layers = args.layers or list(range(len(shape.trunk)))
    try:
        crops, _ = Recipe(Path(args.data), shape=EpochShape(share=0.02)).open().make(0)
        network, explained = imitate(restore_network(args.model), shape, layers, crops[:CROPS])
    except (ClassifierError, DatasetError, ValueError) as error:
        parser.error(str(error))
    network.save(args.out)
    shares = ", ".join(f"{100 * share:.1f}" for share in explained)
    print(f"{args.out}: {shares} % of the variance of the layers imitated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
