"""Accuracy and speed of networks of other shapes than the shipped one's.

python -m benchmarks.shapes --data DATA --work FOLDER --harvested runs/harvest.npz
python -m benchmarks.shapes --data DATA --work FOLDER --only "widths x 1/2" "separable"

All shapes are trained on the same few epochs of the recipe, made once and kept in the work folder, with the
shipped model as teacher; a shape that was trained before is not trained again. Then all are served in turn in
one process on one thread, as exported (8-bit weights) and with 8-bit activations too; what counts is
processor time. Short training ranks shapes, it does not say how good one gets. The accuracy is that of
held-out characters, the kind known: who chooses a shape by it has looked at them. Needs the extra `train`.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.runtimes import converted, processor_time
from benchmarks.timing import Spread, machine, ratio, table
from jobs import recipe, scoring
from jobs.make_epochs import EpochFolder, make_epochs
from model.alphabets import CLASS_COUNT
from model.classifier import LiteRtClassifier, load_classifier
from model.datasets import LabelledCrops
from model.network import LARGER, Convolution, NetworkShape, build_network
from model.training import TrainingOptions, train, use_bfloat16

CROPS = 1024  # served at once, about as many as a page has
TAUGHT = 0.5
REFERENCE = "larger"


def _shape(*trunk: Convolution, **rest: Any) -> NetworkShape:
    return NetworkShape(trunk, **rest)


def _narrower(share: float) -> NetworkShape:
    """The first shape with a share of all its widths."""
    shape = LARGER
    trunk = [replace(layer, width=round(layer.width * share)) for layer in shape.trunk]
    return NetworkShape(tuple(trunk), dense=round(shape.dense * share))


C, R = Convolution, functools.partial(Convolution, residual=True)
STEM, HALVE, LAST = C(24, 5, 2), C(64, 3, 2), C(128, 3, 2)
SHAPES: dict[str, NetworkShape] = {
    REFERENCE: LARGER,
    "widths x 3/4": _narrower(3 / 4),
    "widths x 1/2": _narrower(1 / 2),
    "separable": _shape(
        C(24, 5, 2),
        C(40, separable=True),
        C(64, 3, 2, separable=True),
        C(96, separable=True),
        R(96, separable=True),
        C(128, 3, 2, separable=True),
    ),
    "64 at 7x7": _shape(STEM, C(40), HALVE, C(64), R(64), LAST),
    "2 layers at 7x7": _shape(STEM, HALVE, C(64), R(64), LAST),
    "3 layers at 7x7": NetworkShape(),
    "3, none residual": _shape(STEM, HALVE, C(64), C(64), C(64), LAST),
    "4 layers at 7x7": _shape(STEM, HALVE, R(64), C(64), R(64), R(64), LAST),
    "3, then 1 at 4x4, pooled": _shape(STEM, HALVE, R(64), C(64), R(64), LAST, R(128), pooled=True),
    "3, last 64": _shape(STEM, HALVE, R(64), C(64), R(64), C(64, 3, 2)),
    "stem 7x7, stride 4": _shape(C(64, 7, 4), R(64), C(64), R(64), LAST),
}


def multiply_adds(shape: NetworkShape) -> int:
    """Multiplications of one crop, those of the biases and shortcuts left out."""
    side, width, total = 28, 1, 0
    for layer in shape.trunk:
        side = -(-side // layer.stride)
        kernel = layer.size**2
        each = width * (kernel + layer.width) if layer.separable else width * kernel * layer.width
        total, width = total + side**2 * each, layer.width
    features = width if shape.pooled else width * side**2
    for dense in (shape.dense, CLASS_COUNT):
        if dense:
            total, features = total + features * dense, dense
    return total


@dataclass(frozen=True)
class Trained:
    """A trained shape.

    Attributes:
        dynamic, whole: as exported, and with 8-bit activations too.
        bytes: of the exported file.
        scores, whole_scores: their accuracy on each held-out set and kind, 0..1.
    """

    dynamic: LiteRtClassifier
    whole: LiteRtClassifier
    bytes: int
    scores: Mapping[str, float]
    whole_scores: Mapping[str, float]


def train_shape(name: str, shape: NetworkShape, folder: Path, epochs: int, seed: int) -> Path:
    """Trains a shape unless it is there already; the folder with what was made of it."""
    out = folder / name.replace(" ", "-").replace("/", "-").replace(",", "")
    if (out / "whole.tflite").is_file():
        return out
    options = TrainingOptions(epochs, learning_rate=3e-3, warmup=100, taught=TAUGHT, average=0.95, seed=seed)
    network, _ = train(
        EpochFolder(folder).get,
        lambda model: {},
        out,
        options,
        build=functools.partial(build_network, shape),
        teachers=[load_classifier()],
        report=lambda line: print(f"{name}: {line}", flush=True),
    )
    sample = EpochFolder(folder).get(0)[0][:CROPS]
    (out / "dynamic.tflite").write_bytes(converted(network, "dynamic", sample))
    (out / "whole.tflite").write_bytes(converted(network, "int8", sample))
    return out


def read_trained(folder: Path, sets: Mapping[str, LabelledCrops]) -> Trained:
    """A trained shape with its accuracy; that is measured once and kept beside it."""
    dynamic, whole = (load_classifier(folder / f"{kind}.tflite") for kind in ("dynamic", "whole"))
    kept = folder / "scores.json"
    if not kept.is_file():
        measured = [
            {
                key: row["accuracy"]
                for key, row in scoring.score_sets(scoring.classify_sets(classifier, sets), sets).items()
            }
            for classifier in (dynamic, whole)
        ]
        kept.write_text(json.dumps(measured, indent=1), "utf-8")
    size = (folder / "dynamic.tflite").stat().st_size
    scores, whole_scores = json.loads(kept.read_text("utf-8"))
    return Trained(dynamic, whole, size, scores, whole_scores)


COLUMNS = {
    "digits": ("mnist_test10k/digits", "sd19_digits_val/digits", "unipen_held_out_writers/digits"),
    "capitals": ("unipen_held_out_writers/upper", "sd19_cleaned_held_out/upper"),
    "small letters": ("unipen_held_out_writers/lower", "sd19_cleaned_held_out/lower"),
}


def errors(scores: Mapping[str, float]) -> list[float]:
    """Per cent wrong of digits, capitals and small letters, each the mean over its sets, and their mean."""
    parts = [100 * (1 - float(np.mean([scores[key] for key in keys]))) for keys in COLUMNS.values()]
    return [*parts, float(np.mean(parts))]


def report(trained: Mapping[str, Trained], taken: Mapping[str, Sequence[float]]) -> str:
    """The table: a row a shape."""
    rows = []
    for name, one in trained.items():
        times = taken[name]
        rows.append(
            [
                name,
                f"{multiply_adds(SHAPES[name]) / 1e6:.1f}",
                f"{one.bytes / 1000:.0f}",
                Spread.of([CROPS / t for t in times]).text("", 0),
                ratio(taken[REFERENCE], times).text("", 2),
                ratio(taken[REFERENCE], taken[_whole(name)]).text("", 2),
                *(f"{error:.2f}" for error in errors(one.scores)),
                f"{errors(one.whole_scores)[-1]:.2f}",
            ]
        )
    heads = ["shape", "million multiply-adds", "kB", "crops per second", f"{REFERENCE} = 1"]
    heads.append("the same, 8-bit throughout")
    kinds = [f"{name} wrong, %" for name in (*COLUMNS, "mean")]
    return table([*heads, *kinds, "mean, 8-bit throughout"], rows)


def _whole(name: str) -> str:
    return f"{name}, 8-bit throughout"


def plot(trained: Mapping[str, Trained], taken: Mapping[str, Sequence[float]], path: Path) -> None:
    """Error over speed, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    for number, (name, one) in enumerate(trained.items()):
        speed, error = Spread.of([CROPS / t for t in taken[name]]).median, errors(one.scores)[-1]
        axes.plot(speed, error, "o", color="#b3202a" if name == REFERENCE else "#1f5fa8")
        away = (6, 4) if number % 2 else (6, -11)  # names of neighbours do not cover each other
        axes.annotate(name, (speed, error), away, textcoords="offset points", fontsize=8)
    axes.set(
        xlabel="crops per second, one thread, 8-bit weights",
        ylabel="wrong, %, mean of digits, capitals, small letters",
    )
    axes.margins(x=0.18, y=0.08)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is missing, measures, prints, and writes what was asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks.shapes", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORMSCRIBE_DATA"), metavar="FOLDER")
    parser.add_argument(
        "--work", type=Path, required=True, metavar="FOLDER", help="where epochs and runs lie"
    )
    parser.add_argument(
        "--harvested",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="of `python -m jobs.harvest`",
    )
    parser.add_argument("--judge", type=Path, metavar="FILE", help="as of `formscribe train`")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.1, metavar="X", help="of an epoch (%(default)s)")
    parser.add_argument("--seed", type=int, default=11, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of the timing (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=SHAPES, metavar="SHAPE", help="(default: all)")
    parser.add_argument("--bfloat16", action="store_true", help="as of `formscribe train`")
    parser.add_argument("--train-only", action="store_true", help="do not measure")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the plot, .png")
    args = parser.parse_args(argv)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    cv2.setNumThreads(1)
    if args.bfloat16:
        use_bfloat16()
    args.work.mkdir(parents=True, exist_ok=True)
    shape = recipe.EpochShape(share=args.share)
    plan = recipe.Recipe(Path(args.data), args.seed, shape, args.judge, tuple(args.harvested))
    make_epochs(plan, args.epochs, args.work, processes=1)
    names = list(SHAPES) if args.only is None else [REFERENCE, *(n for n in args.only if n != REFERENCE)]
    folders = {name: train_shape(name, SHAPES[name], args.work, args.epochs, args.seed) for name in names}
    if args.train_only:
        return 0
    sets = recipe.held_out_sets(Path(args.data))
    trained = {name: read_trained(folder, sets) for name, folder in folders.items()}
    crops = EpochFolder(args.work).get(0)[0][:CROPS]
    served = {name: one.dynamic for name, one in trained.items()}
    served |= {_whole(name): one.whole for name, one in trained.items()}
    taken = processor_time(
        {name: functools.partial(one.classify, crops) for name, one in served.items()}, args.rounds
    )
    about = f"{machine()}. {CROPS:,} crops, median (least-greatest) of {args.rounds} rounds, processor time."
    text = f"{about}\n\n{report(trained, taken)}\n"
    print(text)
    if args.markdown:
        args.markdown.write_text(text, "utf-8")
    if args.plot:
        plot(trained, taken, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
