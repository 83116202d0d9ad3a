"""How well a model reads the characters that the recipe holds out: one row for each set and kind."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from jobs import scoring
from jobs.exit_codes import CommandError, ExitCode
from jobs.models import open_model
from jobs.recipe import held_out_sets
from model.alphabets import charset_mask
from model.classifier import Classifier
from model.datasets import DatasetError, LabelledCrops
from model.evaluation import Evaluation, compare

NAME = "recipe"
# Flags that mean nothing here: every set has its own part, kinds and place.
_NOT_HERE = ("split", "charset", "download", "database", "against")
_CONFUSIONS = 5
_BARS = 12


def run(args: argparse.Namespace) -> int:
    """Measures, prints a table and writes what was asked for.

    Raises:
        CommandError: a flag means nothing here, the data or the model cannot be used, or a file cannot be
            written.
    """
    for name in _NOT_HERE:
        if getattr(args, name) not in (None, False):
            raise CommandError(ExitCode.USAGE, f"--{name}: means nothing to --dataset {NAME}. Leave it out.")
    if args.data is None:
        raise CommandError(
            ExitCode.USAGE, "--data: name the folder with characters/, or set FORMSCRIBE_DATA."
        )
    classifier = open_model(args.model)
    try:
        sets = held_out_sets(Path(args.data), args.spoilt)
    except DatasetError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--data: {error}") from None
    results = measure(classifier, sets)
    print(format_table(results))
    try:
        if args.json:
            rows = {name: result.as_dict() for name, result in results.items()}
            about = {"dataset": NAME, "model": classifier.sha256, "spoilt": args.spoilt}
            args.json.write_text(json.dumps(about | {"sets": rows}, indent=1) + "\n", "utf-8")
        if args.confusion:
            draw_confusions(results, args.confusion)
    except OSError as error:
        raise CommandError(ExitCode.OUTPUT_NOT_WRITABLE, f"{error.filename}: {error.strerror}.") from None
    except ValueError as error:  # matplotlib, of a file name with another ending
        raise CommandError(ExitCode.USAGE, f"--confusion {args.confusion}: {error}.") from None
    return int(ExitCode.OK)


def measure(classifier: Classifier, sets: Mapping[str, LabelledCrops]) -> dict[str, Evaluation]:
    """The figures of every set and kind of character in it, as ``set/kind``, the kind known."""
    results = {}
    for name, log_probs in scoring.classify_sets(classifier, sets).items():
        labels = sets[name].labels
        for group in scoring.GROUPS:
            inside = charset_mask(group)[labels]
            if inside.any():
                results[f"{name}/{group}"] = compare(log_probs[inside], labels[inside], group)
    return results


def format_table(results: Mapping[str, Evaluation]) -> str:
    """One line for each set and kind: how many, how many of a hundred are right, what is confused most."""
    lines = [f"{'set':32} {'characters':>10} {'right, %':>9} {'calibration':>12}  most confused"]
    for name, result in results.items():
        worst = ", ".join(f"{truth} as {read} {count}x" for truth, read, count in result.worst(_CONFUSIONS))
        figures = f"{100 * result.accuracy:9.2f} {100 * result.calibration_error:12.2f}"
        lines.append(f"{name:32} {result.count:10,} {figures}  {worst or 'nothing'}")
    return "\n".join([*lines, "", "calibration: expected calibration error, points"])


def draw_confusions(results: Mapping[str, Evaluation], path: Path) -> None:
    """Draws the most frequent confusions of each set and kind as bars, in the order of ``results``."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    shown = {name: result for name, result in results.items() if len(result.worst(_BARS)) > 1}
    columns = min(3, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(4.2 * columns, 3.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    for panel, (name, result) in zip(panels, shown.items(), strict=False):
        worst = result.worst(_BARS)
        panel.bar(range(len(worst)), [count for *_, count in worst], color="#b5533c")
        panel.set_xticks(range(len(worst)), [f"{truth}→{read}" for truth, read, _ in worst], fontsize=8)
        wrong = result.count - round(result.accuracy * result.count)
        panel.set_title(f"{name}: {wrong} of {result.count:,} wrong", fontsize=9)
        panel.set_ylabel("characters", fontsize=8)
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=90)
