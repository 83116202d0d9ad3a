"""Fields of digits in held-out hands, one digit of each crossed out, and what is accepted of them.

python -m benchmarks.crossed_out --data DATA

Composes, cuts and reads fields of two to ten digits. Nothing of a field with a crossed-out digit can be
right, whatever stood there before. Prints for each way of crossing out how many fields are accepted
(confidence 0.9), how many were if ``model.struck_out`` doubted none, and of how many of either the text is
not even what stood there before. The strokes are drawn as those that the network learned from, by other
hands.
"""

import sys
from collections.abc import Sequence

from benchmarks.held_out import flags, hsf_stages, sources
from benchmarks.timing import table
from jobs.composed_fields import KINDS, ComposedField, make_fields
from jobs.composing import LineComposer
from jobs.struck_characters import KINDS as STROKES
from jobs.struck_characters import StrikingSource
from model.calibration import DOUBT
from model.struck_out import shipped, struck_out
from pipeline.stages import Stages

ACCEPTED = 0.9


def measure(name: str, fields: Sequence[ComposedField], stages: Stages) -> list[str]:
    """A row of the table."""
    lattices = [field.lattice for field in fields]
    readings = stages.decode(lattices, [field.constraint() for field in fields])
    told = struck_out(shipped(), lattices, readings, ["digits"] * len(fields))
    now, before = [], []
    for field, reading, struck in zip(fields, readings, told, strict=True):
        if reading.confidence / (DOUBT if struck else 1) >= ACCEPTED:
            before.append(reading.text != field.truth)
            if not struck:
                now.append(reading.text != field.truth)
    return [name, f"{len(fields):,}", *(f"{len(one):,}, {sum(one):,}" for one in (now, before))]


def main() -> int:
    parser = flags(__doc__)
    parser.add_argument(
        "--fields", type=int, default=200, help="of each length and stroke (default: %(default)s)"
    )
    args = parser.parse_args()
    hands = sources(parser, args)
    _, stages = hsf_stages(args)
    networks, kinds = stages.load_networks(), [kind for kind in KINDS if kind.charset == "digits"]
    rows = []
    for stroke in (None, *STROKES):
        drawn = hands if stroke is None else {n: StrikingSource(hand, stroke) for n, hand in hands.items()}
        fields = make_fields(LineComposer(drawn), networks, kinds, args.fields, args.seed)
        rows.append(measure(stroke or "none", fields, stages))
    heads = ["crossed out by", "fields", "accepted, another text", "if none were doubted"]
    print(table(heads, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
