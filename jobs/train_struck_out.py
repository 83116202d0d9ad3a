"""Trains what tells crossed-out digits: ``python -m jobs.train_struck_out --data FOLDER``.

Composes fields of the calibration half of the held-out characters, as the classifier answers otherwise to
what it was trained on; in half of the fields a digit is crossed out. All are cut, classified and read as on
a page. The threshold is the score that a share ``--doubted`` of fields without crossed-out digits passes, of
those that are read right; they are others than those trained on.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from jobs.composed_fields import KINDS, ComposedField, FieldKind, make_fields
from jobs.composing import LineComposer, Source, held_out_sources
from jobs.struck_characters import StrikingSource
from model.decoding import decode
from model.lattice import Reading
from model.networks import Networks, load_networks
from model.struck_out import FEATURES, WEIGHTS, Features, StruckOutNetwork, digit_features
from model.struck_out_fit import fit_network

DIGITS = [kind for kind in KINDS if kind.charset == "digits"]


def read_digits(fields: Sequence[ComposedField]) -> list[Reading]:
    """What the decoder reads of fields."""
    return [decode(field.lattice, field.constraint()) for field in fields]


def lessons(fields: Sequence[ComposedField]) -> Features:
    """Features of all digits of fields that are read right: of what is meant as it is written."""
    pairs = zip(fields, read_digits(fields), strict=True)
    return np.concatenate(
        [
            digit_features([field.lattice], [reading])
            for field, reading in pairs
            if reading.text == field.truth
        ]
    )


def struck_lessons(
    sources: dict[str, Source], networks: Networks, kind: FieldKind, count: int, seed: int
) -> Features:
    """Features of the crossed-out digits of ``count`` fields, where they were cut as one character."""
    found = [np.zeros((0, FEATURES), np.float32)]
    striking = {name: StrikingSource(source) for name, source in sources.items()}
    fields = make_fields(LineComposer(striking), networks, [kind], count, seed)
    places = {name: iter(source.places) for name, source in striking.items()}
    for field, reading in zip(fields, read_digits(fields), strict=True):
        chosen = [character.candidate for character in reading.characters]
        whole = field.verdict[chosen] == next(places[field.source])
        if whole.any():
            found.append(digit_features([field.lattice], [reading])[whole])
    return np.concatenate(found)


def threshold(network: StruckOutNetwork, fields: Sequence[ComposedField], doubted: float) -> float:
    """The score that a share ``doubted``, 0..1, of the fields that are read right passes."""
    pairs = zip(fields, read_digits(fields), strict=True)
    worst = [
        float(network.scores(digit_features([field.lattice], [reading])).max())
        for field, reading in pairs
        if reading.text == field.truth
    ]
    return float(np.quantile(worst, 1 - doubted))


def main(argv: Sequence[str] | None = None) -> int:
    """Composes, trains, chooses the threshold and writes."""
    parser = argparse.ArgumentParser(
        "python -m jobs.train_struck_out", description=__doc__, allow_abbrev=False
    )
    data = os.environ.get("FORMSCRIBE_DATA")
    parser.add_argument("--data", type=Path, default=data, metavar="FOLDER", help="characters/*.npz")
    parser.add_argument(
        "--fields", type=int, default=4000, metavar="N", help="of each length and half (default: %(default)s)"
    )
    parser.add_argument(
        "--doubted", type=float, default=0.001, metavar="SHARE", help="0..1 (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=11, metavar="N", help="default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the weights of this package")
    args = parser.parse_args(argv)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    cv2.setNumThreads(1)
    sources, networks = held_out_sources(Path(args.data), "calibration"), load_networks()
    meant = lessons(make_fields(LineComposer(sources), networks, DIGITS, args.fields, args.seed))
    struck = np.concatenate(
        [struck_lessons(sources, networks, kind, args.fields, args.seed) for kind in DIGITS]
    )
    print(f"{len(meant):,} digits that are meant, {len(struck):,} that are crossed out")
    network = fit_network(meant, struck, args.seed)
    others = make_fields(LineComposer(sources), networks, DIGITS, args.fields // 2, args.seed + 1)
    network = replace(
        network,
        threshold=threshold(network, others, args.doubted),
        classifier=networks.characters.sha256,
    )
    target = args.out or Path(str(resources.files("model") / "weights" / WEIGHTS))
    np.savez(target, allow_pickle=False, **network.arrays())
    print(f"{target}: crossed out above {network.threshold:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
