"""Finds the weights of the decoder by coordinate search on composed fields.

``python -m benchmarks.tune_decoder --data FOLDER [--model FILE]`` prints the figures of the present defaults,
each step that helped, and the weights found; copy them into ``model.lattice.DecodingOptions``. The fields are
composed of the calibration half of the held-out characters, and so are none of those that ``jobs.composed``
measures.

A field is classified once; each step only decodes. A step is taken if the mean over the kinds of fields of
(exact fields + characters read right) rises and no type of field loses. ``temperature`` and ``wrong_length``
do not change what is read, and are left to calibration.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from jobs.composed_fields import KINDS, ComposedField, make_fields
from jobs.composing import LineComposer, held_out_sources
from model.alignment import align
from model.calibration import FIELD_TYPES
from model.lattice import DEFAULT_OPTIONS, DecodingOptions
from model.networks import load_networks
from model.path_scores import score_lattice
from model.path_search import LengthCounter, PathFinder

WEIGHTS = (
    "segmentation_weight",
    "rejection_floor",
    "skip_cost",
    "width_tolerance",
    "height_tolerance",
    "gap_tolerance",
)
FACTORS = (0.5, 0.71, 1.41, 2.0)
TOLERATED = 0.0005  # a type of field may lose so much of its score, which ends at 2


def best_text(field: ComposedField, options: DecodingOptions) -> str:
    """The text of the best path, without probabilities."""
    constraint = field.constraint()
    scores = score_lattice(field.lattice, constraint, options)
    pieces = len(field.lattice.piece_ink)
    finder = PathFinder(scores, LengthCounter.of(constraint.min_length, constraint.max_length, pieces))
    if not finder.feasible:
        finder = PathFinder(scores, LengthCounter.of(0, pieces, pieces))
    path = next(finder.best_paths(1, 0.0))
    return "".join(scores.characters[label] for label in path.labels)


def score(fields: Sequence[ComposedField], options: DecodingOptions) -> dict[str, tuple[float, float]]:
    """Exact fields and characters read right, 0..1 each, by name of the kind."""
    results: dict[str, list[tuple[bool, float]]] = {}
    for field in fields:
        text = best_text(field, options)
        accuracy = align(field.truth, text).counts.accuracy or 0.0
        results.setdefault(field.kind.name, []).append((text == field.truth, accuracy))
    return {name: tuple(np.mean(values, axis=0).tolist()) for name, values in results.items()}


def by_type(scores: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Mean over the kinds of each type of exact fields + characters, 0..2."""
    sums: dict[str, list[float]] = {}
    charsets = {kind.name: kind.charset for kind in KINDS}
    for name, values in scores.items():
        sums.setdefault(FIELD_TYPES[charsets[name]], []).append(sum(values))
    return {name: float(np.mean(values)) for name, values in sums.items()}


def search(fields: Sequence[ComposedField], options: DecodingOptions, rounds: int) -> DecodingOptions:
    """Coordinate search from ``options``; prints what helped."""
    best = by_type(score(fields, options))
    for _ in range(rounds):
        before = options
        for name in WEIGHTS:
            start = getattr(options, name)
            for factor in FACTORS:
                tried = replace(options, **{name: start * factor})
                found = by_type(score(fields, tried))
                gains = [found[kind] - best[kind] for kind in best]
                if sum(gains) > 0.001 and min(gains) > -TOLERATED:
                    options, best = tried, found
                    print(f"{name} = {start * factor:.4g}: {_shown(found)}", flush=True)
        if options == before:
            break
    return options


def _shown(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def print_scores(title: str, scores: dict[str, tuple[float, float]]) -> None:
    """A row per kind."""
    print(f"{title}: {_shown(by_type(scores))}")
    for name, (exact, characters) in scores.items():
        print(f"  {name:12} exact {100 * exact:6.2f}  characters {100 * characters:6.2f}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the search."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.tune_decoder", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("FORMSCRIBE_DATA"), metavar="FOLDER")
    parser.add_argument("--model", type=Path, metavar="FILE")
    parser.add_argument(
        "--lines", type=int, default=600, metavar="N", help="fields of each kind (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, metavar="N")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="over all weights (%(default)s)")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    composer = LineComposer(held_out_sources(args.data, "calibration"))
    fields = make_fields(composer, load_networks(args.model), KINDS, args.lines, args.seed)
    print_scores("defaults", score(fields, DEFAULT_OPTIONS))
    options = search(fields, DEFAULT_OPTIONS, args.rounds)
    print_scores("found", score(fields, options))
    print(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
