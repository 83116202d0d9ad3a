"""What the reader of pairs is worth: digit fields read with and without it, the same fields both times.

    python -m benchmarks.pairs --data DATA [--spacing touching] [--model pairs.tflite]

Fields are composed as for ``python -m jobs.composed``, of the half of the held-out characters that is
reported on; with ``--half calibration`` of the other one, which thresholds are chosen on.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from jobs.composed import Outcome, figures, read_fields
from jobs.composed_fields import KINDS, SPACING_SHARES, make_fields
from jobs.composing import SPACINGS, LineComposer, held_out_sources
from model.calibration import Calibration
from model.classifier import load_classifier, model_card
from model.networks import Networks
from model.pairs import load_pairs

DIGIT_KINDS = tuple(kind for kind in KINDS if kind.charset == "digits")
FIGURES = (
    "exact",
    "characters",
    "exact_length_unknown",
    "calibration_error_fields",
    "review_share_in_hindsight",
)


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
    characters, calibration = load_classifier(), Calibration.of_card(model_card())
    before, after = (
        read_fields(
            make_fields(composer, Networks(characters, pairs), DIGIT_KINDS, args.lines, args.seed, shares),
            calibration,
        )
        for pairs in (None, load_pairs(args.model))
    )
    report(before, after)


if __name__ == "__main__":
    main()
