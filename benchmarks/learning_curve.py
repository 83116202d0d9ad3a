"""How fast a model learns a new hand from corrections, and what it costs elsewhere.

``python benchmarks/learning_curve.py --data DATA --json curve.json --figure docs/learning-curve.png`` plays
two hands that the shipped model reads badly: the scans of CHoiCe, of which it has never seen any, and the
five writers read worst among the 40 of UNIPEN that it was not trained on. Part of each is kept to measure on.

Of the rest, 50, 200 and 1,000 characters drawn by chance are given as corrected fields give them, those that
were read right among those that were not; the model learns them as ``formscribe train`` does. The last column
of the table has the same 1,000 with ``--rehearse`` of MNIST and UNIPEN.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.compare_models import ComparedSet, calibration, compared
from jobs.recipe import held_out_sets, held_out_unipen_writers
from jobs.scoring import group_masks
from jobs.train_corrections import collect_anchors, open_parent, tune
from jobs.tuned_model import calibrate
from model.alphabets import CHARACTERS
from model.classifier import Classifier, LiteRtClassifier
from model.datasets import LabelledCrops, load_npz
from model.datasets.corrections import Corrections
from model.export import export_network
from model.finetuning import TuningOptions

COUNTS = (50, 200, 1000)
HELD = 1100  # characters of CHoiCe to measure on
WORST_WRITERS = 5
HANDS = {"choice": "CHoiCe, a new source", "writers": "five writers of UNIPEN"}
STANDARD = {
    "mnist_test10k": "MNIST test",
    "sd19_digits_val": "SD19 digits held out",
    "sd19_cleaned_held_out": "SD19 letters and digits held out",
    "unipen_held_out_writers": "UNIPEN, other held-out writers",
}


@dataclass(frozen=True, eq=False)
class Hand:
    """What can be corrected, what is measured on, and what must not get worse."""

    pool: LabelledCrops
    held: ComparedSet
    standard: dict[str, ComparedSet]


def play_hand(name: str, data: Path, base: Classifier) -> Hand:
    """One of ``HANDS``."""
    sets = held_out_sets(data)
    new, rng = sets.pop("choice_v03"), np.random.default_rng(0)
    if name == "writers":
        unipen = sets["unipen_held_out_writers"]
        wrong = ~right(compared("unipen", unipen), base)
        writers = np.unique(unipen.writers)
        rates = [wrong[unipen.writers == writer].mean() for writer in writers]
        chosen = np.isin(unipen.writers, writers[np.argsort(rates)[-WORST_WRITERS:]])
        new, sets["unipen_held_out_writers"] = unipen.select(chosen), unipen.select(~chosen)
    order = rng.permutation(len(new))
    held = HELD if name == "choice" else len(new) // 2
    return Hand(
        new.select(order[held:]),
        compared(name, new.select(order[:held])),
        {key: compared(key, crops) for key, crops in sets.items()},
    )


def right(each: ComparedSet, model: Classifier) -> NDArray[np.bool_]:
    """Which are read right, the kind of character known: bool (N,)."""
    log_probs = np.where(each.masks, model.classify(each.crops.images), np.float32(-np.inf))
    return log_probs.argmax(axis=1) == each.crops.labels


def measure(hand: Hand, model: Classifier) -> dict[str, Any]:
    """Error rates of the hand and the standard sets, kinds of character apart, and the calibration error."""
    rates = {}
    for each in (hand.held, *hand.standard.values()):
        ok = right(each, model)
        rates[each.name] = float(np.mean(~ok))
        rates |= {name: float(np.mean(~ok[inside])) for name, inside in each.parts()}
    return {"error_rates": rates, "calibration_error": calibration(hand.held, model)}


def learn(hand: Hand, count: int, seed: int, rehearse: Sequence[str], base: Classifier) -> dict[str, Any]:
    """Draws corrections, trains, exports and measures, as the commands do."""
    rows = np.random.default_rng([seed, count]).permutation(len(hand.pool))[:count]
    taught = hand.pool.select(rows)
    corrected = ~right(compared("taught", taught), base)
    started, options = time.perf_counter(), TuningOptions(seed=seed)
    parent = open_parent(None)
    names = SimpleNamespace(rehearse=rehearse, data=None, download=False)
    anchors = collect_anchors(names, seed)  # type: ignore[arg-type]  # all that it reads of the arguments
    network = tune(parent, taught, group_masks(taught.labels), corrected, anchors, options)
    content, _ = export_network(network, hand.held.crops.images[:500])
    seconds = time.perf_counter() - started
    temperature, about = calibrate(content, as_corrections(hand.held), parent.temperature)
    return {
        "count": count,
        "read_wrong": int(corrected.sum()),
        "seed": seed,
        "rehearsed": list(anchors.sources),
        "seconds": round(seconds, 1),
        "calibration": about,
    } | measure(hand, LiteRtClassifier("tuned", content, temperature))


def as_corrections(held: ComparedSet) -> Corrections:
    """The crops held back as the commands have them; what was read does not matter there."""
    kinds = np.array(["digits", "upper", "lower"])[np.searchsorted([10, 36], held.crops.labels, side="right")]
    nowhere = np.full(len(kinds), "")
    return Corrections(held.crops, held.crops.labels, kinds, nowhere, nowhere)


def rehearsal_sets(data: Path, folder: Path) -> list[str]:
    """Public sets that the shipped model was trained on, MNIST and UNIPEN without the held-out writers."""
    unipen = load_npz(data / "characters" / "unipen_62.npz")
    trained = unipen.select(~np.isin(unipen.writers, held_out_unipen_writers(unipen.writers)))
    labels = np.array(list(CHARACTERS))[trained.labels]
    np.savez(folder / "unipen.npz", images=trained.images, labels=labels)
    return [f"npz:{folder / 'unipen.npz'}", f"npz:{data / 'characters' / 'mnist_train60k.npz'}"]


def summary(
    results: dict[str, Any], hand: str, key: str, count: int, rehearsed: bool
) -> tuple[float, float, float]:
    """Mean, least and largest error rate in per cent over the draws."""
    if count == 0:
        rate = 100 * results[hand]["before"]["error_rates"][key]
        return rate, rate, rate
    rates = [
        100 * run["error_rates"][key]
        for run in results[hand]["runs"]
        if run["count"] == count and (len(run["rehearsed"]) > 1) == rehearsed
    ]
    return (float(np.mean(rates)), min(rates), max(rates)) if rates else (np.nan, np.nan, np.nan)


def draw(results: dict[str, Any], path: Path) -> None:
    """The error rates over the number of corrections, a panel a hand."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    places = np.arange(len(COUNTS) + 1)
    hands = [hand for hand in HANDS if hand in results]
    for axes, hand in zip(np.atleast_1d(figure.subplots(1, len(hands))), hands, strict=True):
        for key, label in ({hand: f"{HANDS[hand]}: held back"} | STANDARD).items():
            points = np.array([summary(results, hand, key, count, False) for count in (0, *COUNTS)])
            style = {"linewidth": 2.5, "color": "black"} if key == hand else {"linewidth": 1.2}
            spread = np.abs(points[:, 1:] - points[:, :1]).T
            axes.errorbar(places, points[:, 0], spread, label=label, marker="o", capsize=3, **style)
        axes.set(
            xticks=places,
            xticklabels=["0", *(f"{count:,}" for count in COUNTS)],
            xlabel="characters given",
            ylabel="error, %",
            title=HANDS[hand],
            ylim=(0, None),
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def table(results: dict[str, Any]) -> str:
    """The means as a Markdown table, in per cent."""
    lines = ["| set | 0 | " + " | ".join(f"{c:,}" for c in COUNTS) + f" | {COUNTS[-1]:,}, rehearsed |"]
    lines.append("|---" * (len(COUNTS) + 3) + "|")
    for hand in (hand for hand in HANDS if hand in results):
        for key, label in ({hand: f"**{HANDS[hand]}**, held back"} | STANDARD).items():
            cells = [summary(results, hand, key, count, False)[0] for count in (0, *COUNTS)]
            cells.append(summary(results, hand, key, COUNTS[-1], True)[0])
            lines.append(f"| {label} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Learns, measures, draws; goes on with what stands in the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=os.environ.get("FORMSCRIBE_DATA"), required=False)
    parser.add_argument("--json", type=Path, required=True, help="figures; those that are there are kept")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--hands", nargs="+", choices=HANDS, default=list(HANDS), help="default: both")
    parser.add_argument("--draws", type=int, default=3, help="how often each number is drawn anew (3)")
    args = parser.parse_args(argv)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    cv2.setNumThreads(1)
    results = json.loads(args.json.read_text()) if args.json.is_file() else {}
    parent = open_parent(None)
    base = LiteRtClassifier(parent.name, parent.content, parent.temperature)
    with tempfile.TemporaryDirectory() as folder:
        sets = rehearsal_sets(args.data, Path(folder))
        for draw_number in range(1, args.draws + 1):
            for hand_name in args.hands:
                hand = play_hand(hand_name, args.data, base)
                entry = results.setdefault(
                    hand_name, {"pool": len(hand.pool), "before": measure(hand, base), "runs": []}
                )
                rehearsed = [(COUNTS[-1], sets)] if draw_number == 1 else []
                for count, rehearse in [*((count, []) for count in COUNTS), *rehearsed]:
                    known = {(run["count"], run["seed"], len(run["rehearsed"])) for run in entry["runs"]}
                    if (count, draw_number, len(rehearse) + 1) in known:
                        continue
                    entry["runs"].append(learn(hand, count, draw_number, rehearse, base))
                    args.json.write_text(json.dumps(results, indent=1))
                    print(f"{hand_name} {count} draw {draw_number}: {entry['runs'][-1]}", flush=True)
    print(table(results))
    if args.figure:
        draw(results, args.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
