"""What the reader of pairs is worth: digit fields read with and without it, the same fields both times.

    python -m benchmarks.pairs --data DATA [--spacing touching] [--model pairs.tflite]

Fields are composed as for ``python -m jobs.composed``, of the half of the held-out characters that is
reported on; with ``--half calibration`` of the other one, which thresholds are chosen on.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.composed import Outcome, figures, read_fields
from jobs.composed_fields import FRAMED_SHARE, KINDS, SPACING_SHARES, ComposedField, FieldKind
from jobs.composing import SPACINGS, LineComposer, held_out_sources, spaced_habits
from model.alphabets import CHARACTERS
from model.calibration import Calibration
from model.classifier import Classifier, load_classifier, model_card
from model.decoding import Lattice
from model.pairs import DEFAULT_PAIR_OPTIONS, PairOptions, PairReader, doubtful_runs, load_pairs, mix_pairs
from segmentation.components import find_components
from segmentation.composition import ComposedLine
from segmentation.pairs import find_bodies, pair_crops, pair_windows
from segmentation.pieces import cut_pieces

DIGIT_KINDS = tuple(kind for kind in KINDS if kind.charset == "digits")
FIGURES = (
    "exact",
    "characters",
    "exact_length_unknown",
    "calibration_error_fields",
    "review_share_in_hindsight",
)


@dataclass(frozen=True, eq=False)
class PairedField:
    """A composed field, runs of its pieces that may be pairs, int32 (R, 2), and their readings (R, 101)."""

    field: ComposedField
    runs: NDArray[np.int32]
    readings: NDArray[np.float32]

    def mixed(self, options: PairOptions) -> ComposedField:
        lattice = self.field.lattice
        log_probs = mix_pairs(
            lattice.starts, lattice.stops, lattice.log_probs, self.runs, self.readings, options
        )
        return replace(self.field, lattice=replace(lattice, log_probs=log_probs))


def compose_field(
    composer: LineComposer, kind: FieldKind, number: int, seed: int, shares: Sequence[float]
) -> tuple[ComposedLine, str, str, str]:
    """The same field as ``jobs.composed_fields.compose_field`` makes, with other shares of spacings."""
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    source = kind.sources[number % len(kind.sources)]
    spacing = str(rng.choice(list(SPACINGS), p=shares))
    habits = spaced_habits(spacing, bool(rng.random() < FRAMED_SHARE), rng)
    length = int(rng.integers(kind.shortest, kind.longest + 1))
    row, labels = composer.compose_string(source, kind.kind, length, habits, rng)
    return row, "".join(CHARACTERS[label] for label in labels), source, spacing


def read_pairs(
    row: ComposedLine, lattice: Lattice, reader: PairReader
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The runs of a row that are worth asking for, int32 (R, 2), and what the reader says, (R, 101)."""

    def doubtful(runs: NDArray[np.int32]) -> NDArray[np.int32]:
        return runs[doubtful_runs(lattice.starts, lattice.stops, lattice.log_probs, runs)]

    parts = find_components(row.ink)
    pieces = cut_pieces(parts, row.area.height)
    runs = doubtful(pair_windows(pieces, doubtful(find_bodies(pieces, parts))))
    return runs, reader.read(pair_crops(pieces, runs))


def make_field(
    composer: LineComposer,
    classifier: Classifier,
    reader: PairReader,
    kind: FieldKind,
    number: int,
    seed: int,
    shares: Sequence[float],
) -> PairedField:
    row, truth, source, spacing = compose_field(composer, kind, number, seed, shares)
    line, verdict = row.candidates()
    lattice = Lattice(
        line.starts,
        line.stops,
        classifier.classify(line.crops),
        line.bounds,
        line.piece_bounds,
        line.piece_ink,
    )
    field = ComposedField(kind, source, spacing, number, truth, lattice, verdict)
    return PairedField(field, *read_pairs(row, lattice, reader))


def report(before: Sequence[Outcome], after: Sequence[Outcome]) -> None:
    """Prints both figures of all fields, and of each kind, source and spacing."""
    groups: dict[str, list[int]] = {}
    for i, outcome in enumerate(before):
        field = outcome.field
        for name in ("all", field.kind.name, field.source, field.spacing):
            groups.setdefault(name, []).append(i)
    for name, rows in groups.items():
        old, new = (figures([outcomes[i] for i in rows]) for outcomes in (before, after))
        right = np.array([(before[i].right, after[i].right) for i in rows])
        mended, spoilt = (~right[:, 0] & right[:, 1]).sum(), (right[:, 0] & ~right[:, 1]).sum()
        print(
            f"{name:12}{len(rows):6,} fields {100 * old['exact']:6.2f} -> {100 * new['exact']:6.2f} % right; "
            f"{mended} mended, {spoilt} spoilt; length unknown {100 * old['exact_length_unknown']:.2f} -> "
            f"{100 * new['exact_length_unknown']:.2f} %"
        )
    old, new = figures(before), figures(after)
    for name in FIGURES:
        print(f"{name:26} {old[name]:.4f} -> {new[name]:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("FORMSCRIBE_DATA"))
    parser.add_argument("--lines", type=int, default=500, help="fields of each kind")
    parser.add_argument("--half", choices=["test", "calibration"], default="test")
    parser.add_argument("--spacing", choices=list(SPACINGS), help="of all fields (default: the usual mix)")
    parser.add_argument("--model", type=Path, help="a reader of pairs (default: the one that ships)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    shares = SPACING_SHARES if args.spacing is None else [float(s == args.spacing) for s in SPACINGS]
    composer = LineComposer(held_out_sources(args.data, args.half))
    classifier, reader = load_classifier(), load_pairs(args.model)
    calibration = Calibration.of_card(model_card())
    fields = [
        make_field(composer, classifier, reader, kind, number, args.seed, shares)
        for kind in DIGIT_KINDS
        for number in range(args.lines)
    ]
    asked = np.array([len(field.runs) for field in fields])
    print(
        f"{len(fields):,} fields; {asked.sum():,} crops asked for, {asked.mean():.2f} a field, none in "
        f"{(asked == 0).mean():.0%} of them"
    )
    before = read_fields([field.field for field in fields], calibration)
    after = read_fields([field.mixed(DEFAULT_PAIR_OPTIONS) for field in fields], calibration)
    report(before, after)
    crops = np.zeros((800, 28, 44), np.uint8)
    start = time.perf_counter()
    reader.read(crops)
    print(f"{len(crops) / (time.perf_counter() - start):,.0f} crops a second")


if __name__ == "__main__":
    main()
