"""Trains the reader of pairs: ``python -m jobs.train_pairs --data DATA --out DIR``.

Composes rows of touching digits from the training part of the characters, harvests from their bodies what
may be two digits, and trains on that, moved and bent a little anew in every epoch. Writes ``pairs.tflite``
and its card ``pairs.json``.
"""

import argparse
import datetime
import functools
import hashlib
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.composing import LineComposer, held_out_sources, training_sources
from jobs.pair_composing import harvest_pairs
from jobs.recipe import SOURCES
from model.classifier import Classifier, load_classifier
from model.pairs import OTHER, PAIR_SHAPE

Crops = NDArray[np.uint8]
Labels = NDArray[np.int16]

ABOUT = "pool.json"
ROWS_AT_ONCE = 500
HELD_OUT_ROWS = 3000
APART_SHARE = 0.05  # rows whose digits stand apart, beside each tight row
USED = ("mnist_train60k", "unipen_62, unipen_62_strokes", "sd19_cleaned", "sd19_digits_train")


def nudge(crop: Crops, rng: np.random.Generator) -> Crops:
    """A crop uint8 (28, 44) turned, slanted, stretched and moved a little, grey values kept."""
    normal = rng.standard_normal(4)
    turn, slant = np.clip(0.05 * normal[0], -0.15, 0.15), np.clip(0.1 * normal[1], -0.3, 0.3)
    stretch, zoom = np.exp(0.06 * normal[2]), np.exp(np.clip(0.04 * normal[3] - 0.02, -0.12, 0.06))
    cos, sin = np.cos(turn), np.sin(turn)
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, -slant], [0, 1]])
    center = (np.array([PAIR_SHAPE[1], PAIR_SHAPE[0]]) - 1) / 2
    shift = center - linear @ center + rng.uniform(-1, 1, 2)
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(crop, matrix, (PAIR_SHAPE[1], PAIR_SHAPE[0]), flags=cv2.INTER_LINEAR)


def make_epoch(images: Crops, labels: Labels, seed: int, epoch: int) -> tuple[Crops, Labels]:
    """All crops of a pool, shuffled, each nudged anew; the same for the same seed and epoch."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(labels))
    changed = np.stack([nudge(images[row], rng) for row in order])
    return changed, labels[order]


@functools.cache
def _tools(data: Path, part: str) -> tuple[LineComposer, Classifier]:
    cv2.setNumThreads(1)
    held_out = part == "held out"
    sources = held_out_sources(data, "calibration") if held_out else training_sources(data)
    return LineComposer(sources), load_classifier()


def _harvest_part(data: Path, part: str, apart: bool, seed: int, number: int) -> tuple[Crops, Labels]:
    """The windows of ``ROWS_AT_ONCE`` rows, the same for the same arguments."""
    rng = np.random.default_rng([seed, number])
    return harvest_pairs(*_tools(data, part), ROWS_AT_ONCE, apart, rng)


def harvested(
    path: Path, data: Path, part: str, rows: int, seed: int, workers: int, apart: bool = False
) -> tuple[Crops, Labels]:
    """The pool of a run, made once by several processes and kept in its folder.

    Args:
        path: where to keep it.
        data: folder with ``characters/*.npz``.
        part: ``training`` or ``held out``, the calibration half of it.
        rows: how many to compose.
        seed: of all chance.
        workers: how many processes.
        apart: whether the digits of the rows stand apart.
    """
    made = np.array([rows, seed])
    if path.is_file():
        with np.load(path) as arrays:
            if (arrays["made"] == made).all():
                return arrays["images"], arrays["labels"]
    count = -(-rows // ROWS_AT_ONCE)
    parts: list[tuple[Crops, Labels]] = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(functools.partial(_harvest_part, data, part, apart, seed), range(count)):
            parts.append(found)
            done = min(len(parts) * ROWS_AT_ONCE, rows)
            print(f"\r{path.stem}: {done:,} of {rows:,} rows  ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    images = np.concatenate([found[0] for found in parts])
    labels = np.concatenate([found[1] for found in parts])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=images, labels=labels, made=made)
    return images, labels


def score(probabilities: NDArray[np.float32], labels: Labels) -> dict[str, float]:
    """How often pairs are read right, told from the rest, and the rest left alone."""
    read, pairs = probabilities.argmax(axis=1), labels != OTHER
    return {
        "pairs_read": float((read[pairs] == labels[pairs]).mean()),
        "pairs_found": float((read[pairs] != OTHER).mean()),
        "others_left": float((read[~pairs] == OTHER).mean()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Harvests, trains, exports and writes the card."""
    from model.export import why_not_exported, write_model
    from model.pair_network import build_pair_network, export_pairs, predict_pairs
    from model.training import AVERAGED, TrainingOptions, epochs_done, load_network, train, use_bfloat16

    parser = argparse.ArgumentParser("python -m jobs.train_pairs", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder with characters/*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--rows", type=int, default=400_000, help="rows to compose (default 400000)")
    parser.add_argument("--epochs", type=int, default=10, help="default 10")
    parser.add_argument("--batch", type=int, default=256, help="crops a step (default 256)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that compose (default 2)")
    parser.add_argument(
        "--bfloat16", action="store_true", help="multiply in bfloat16: faster on processors with AMX"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--export-only", action="store_true", help="export the run in --out as it is")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    make = functools.partial(harvested, data=args.data, seed=args.seed, workers=args.workers)
    held_out = make(args.out / "held_out.npz", part="held out", rows=HELD_OUT_ROWS)
    options = TrainingOptions(epochs=args.epochs, batch=args.batch, seed=args.seed, smoothing=0.02)
    if args.bfloat16:
        use_bfloat16()
    if not args.export_only:
        tight = make(args.out / "pool.npz", part="training", rows=args.rows)
        apart = make(args.out / "apart.npz", part="training", rows=round(APART_SHARE * args.rows), apart=True)
        pool = np.concatenate([tight[0], apart[0]]), np.concatenate([tight[1], apart[1]])
        about = {"rows": args.rows, "crops": len(pool[1]), "pairs": int((pool[1] != OTHER).sum())}
        (args.out / ABOUT).write_text(json.dumps(about), "utf-8")
        print(f"{len(pool[1]):,} crops, {np.mean(pool[1] != OTHER):.0%} of them pairs", flush=True)
        train(
            functools.partial(make_epoch, *pool, args.seed),
            lambda model: score(predict_pairs(model, held_out[0]), held_out[1]),
            args.out,
            options,
            build=build_pair_network,
            resume=args.resume and epochs_done(args.out) > 0,
            report=functools.partial(print, flush=True),
        )
    model = load_network(args.out / AVERAGED)
    if reason := why_not_exported(model):
        print(f"{args.out / AVERAGED}: trained, not exported. {reason}")
        return 0
    content, figures = export_pairs(model, held_out[0])
    card = {
        "name": "pairs",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": int(model.count_params()),
        "date": datetime.date.today().isoformat(),
        "classes": "00 to 99 and anything else",
        "input": "uint8 (N, 28, 44), ink = 255 on 0, fitted into 24x40, its box in the middle",
        "scores": {
            "composed windows, calibration half of the held-out characters": score(
                predict_pairs(model, held_out[0]), held_out[1]
            )
        },
        "export": figures,
        "data": [source for source in SOURCES if source["name"] in USED],
        "pool": json.loads((args.out / ABOUT).read_text("utf-8")),
        "training": asdict(options),
        "epochs_trained": epochs_done(args.out),
        "command": f"python -m jobs.train_pairs --data DATA --out DIR --rows {args.rows} "
        f"--epochs {args.epochs} --batch {args.batch} --seed {args.seed}" + " --bfloat16" * args.bfloat16,
    }
    write_model(content, card, args.out / "pairs.tflite")
    print(f"{args.out / 'pairs.tflite'}: {len(content):,} bytes, {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
