"""The composed test: fields built from characters that no model was trained on, read as on a form.

``python -m jobs.composed --data FOLDER`` prints for each length and source how many fields are read right in
full, what the cuts and what the labels cost, and how many must be checked by people for few errors.

Digits come from ``sd19_digits_val`` (about five of a hand; longer strings go on with a next one),
``mnist_test10k`` (hands unknown) and the strokes of the 40 held-out writers of UNIPEN (one hand a field);
letters from these writers and from the held-out third of ``sd19_cleaned`` (hands unknown, no ``d``). Half of
it, by writers where they are known, is measured here; the other half serves ``jobs.calibrate`` and the tuning
of the decoder. The pictures of ``sd19_digits_val`` are trained on nowhere, but other digits of nearly all of
its hands are. Composed rows are not pages: no scanner, no form, no slip of the pen was between them and the
segmenter.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jobs.composed_fields import KINDS, ComposedField, make_fields
from jobs.composed_pictures import draw_worst
from jobs.composing import LineComposer, held_out_sources
from jobs.exit_codes import CommandError, ExitCode
from jobs.models import quietly
from model.alignment import EditCounts, add_counts, align
from model.calibration import (
    FIELD_TYPES,
    Calibration,
    CalibrationError,
    acceptance_threshold,
    calibration_error,
    review_share,
)
from model.classifier import ClassifierError, model_card
from model.datasets import DatasetError
from model.decoding import DEFAULT_OPTIONS, DecodingOptions, Reading, decode
from model.networks import load_networks

LINES = 2000
SEED = 1
MAX_ERROR = 0.005
CAUSES = ("cut", "path", "label")


@dataclass(frozen=True, eq=False)
class Outcome:
    """A field and how it was read.

    Attributes:
        field: what was given.
        reading: with calibrated confidences.
        free_text: what was read without being told the length; None where it never is.
        permuted_text: what was read knowing that no letter stands twice; None but for alphabets.
    """

    field: ComposedField
    reading: Reading
    free_text: str | None
    permuted_text: str | None

    @property
    def right(self) -> bool:
        """Whether all of it was read right."""
        return self.reading.text == self.field.truth

    @property
    def counts(self) -> EditCounts:
        """How its characters fared."""
        return align(self.field.truth, self.reading.text).counts

    @property
    def cause(self) -> str | None:
        """What a wrong reading fails on.

        ``cut``: the lattice has no path of whole characters. ``path``: it has one, but another was taken.
        ``label``: the cuts are right.
        """
        if self.right:
            return None
        if not self.field.whole:
            return "cut"
        taken = [int(self.field.verdict[c.candidate]) for c in self.reading.characters]
        return "label" if taken == list(range(len(self.field.truth))) else "path"

    def character_verdicts(self) -> list[tuple[float, bool]]:
        """Confidence of each character read, and whether it is right."""
        pairs = align(self.field.truth, self.reading.text).pairs
        right = [truth == read for truth, read in pairs if read]
        return [(c.confidence, ok) for c, ok in zip(self.reading.characters, right, strict=True)]


def read_fields(
    fields: Sequence[ComposedField],
    calibration: Calibration,
    options: DecodingOptions = DEFAULT_OPTIONS,
) -> list[Outcome]:
    """Decodes fields."""
    outcomes = []
    for field in fields:
        raw = decode(field.lattice, field.constraint(), options=options)
        free = permuted = None
        if field.kind.layout == "string" and field.kind.known_length:
            free = decode(field.lattice, field.constraint(known_length=False), 1, options).text
        if field.kind.layout == "alphabet":
            permuted = decode(field.lattice, field.constraint(permutation=True), 1, options).text
        reading = calibration.apply(raw, field.kind.charset, field.lattice)
        outcomes.append(Outcome(field, reading, free, permuted))
    return outcomes


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of some fields, shares 0..1; what no field has is None."""
    count = len(outcomes)
    confidence = np.array([outcome.reading.confidence for outcome in outcomes])
    right = np.array([outcome.right for outcome in outcomes], bool)
    verdicts = [verdict for outcome in outcomes for verdict in outcome.character_verdicts()]
    stated, true = np.array(verdicts, np.float64).reshape(-1, 2).T
    counts = add_counts(outcome.counts for outcome in outcomes)
    causes = [outcome.cause for outcome in outcomes]
    return {
        "fields": count,
        "exact": float(right.mean()),
        "characters": counts.accuracy,
        "edits_per_character": counts.error_rate,
        "whole_path": float(np.mean([outcome.field.whole for outcome in outcomes])),
        "wrong": {cause: causes.count(cause) / count for cause in CAUSES},
        "exact_length_unknown": _share([(o.free_text, o.field.truth) for o in outcomes]),
        "exact_permutation": _share([(o.permuted_text, o.field.truth) for o in outcomes]),
        "calibration_error_fields": calibration_error(confidence, right),
        "calibration_error_characters": calibration_error(stated, true > 0),
        "review_share_in_hindsight": review_share(confidence, right, MAX_ERROR),
    }


def _share(pairs: Sequence[tuple[str | None, str]]) -> float | None:
    known = [read == truth for read, truth in pairs if read is not None]
    return sum(known) / len(known) if known else None


def acceptance(outcomes: Sequence[Outcome], card: dict[str, Any], charset: str) -> dict[str, float] | None:
    """What the threshold that the card gives for 0.5 % error does here; None without a card that does."""
    try:
        threshold = acceptance_threshold(card, charset, MAX_ERROR)
    except CalibrationError:
        return None
    accepted = [outcome.right for outcome in outcomes if outcome.reading.confidence >= threshold]
    errors = 1 - sum(accepted) / len(accepted) if accepted else 0.0
    return {
        "threshold": threshold,
        "review_share": 1 - len(accepted) / max(len(outcomes), 1),
        "error_among_accepted": errors,
    }


def measure(outcomes: Sequence[Outcome], card: dict[str, Any]) -> dict[str, Any]:
    """All figures: by kind and source, by spacing, and by type of field."""
    rows: dict[str, Any] = {}
    for kind in KINDS:
        of_kind = [outcome for outcome in outcomes if outcome.field.kind == kind]
        for source in (*dict.fromkeys(kind.sources), "all"):
            chosen = [outcome for outcome in of_kind if source in ("all", outcome.field.source)]
            if chosen:
                rows[f"{kind.name}/{source}"] = figures(chosen)
    spacings: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for name in dict.fromkeys(FIELD_TYPES.values()):
        of_type = [outcome for outcome in outcomes if FIELD_TYPES[outcome.field.kind.charset] == name]
        for spacing in dict.fromkeys(outcome.field.spacing for outcome in of_type):
            spacings[f"{name}/{spacing}"] = figures([o for o in of_type if o.field.spacing == spacing])
        if of_type:
            charset = of_type[0].field.kind.charset
            types[name] = figures(of_type) | {"at_card_threshold": acceptance(of_type, card, charset)}
    return {"kinds": rows, "spacings": spacings, "types": types}


def format_figures(measured: dict[str, Any]) -> str:
    """The figures as a table, in per cent."""
    head = (
        f"{'':22}{'fields':>7}{'exact':>8}{'chars':>8}{'whole':>8}"
        f"{'cut':>7}{'path':>7}{'label':>7}{'free':>8}{'permut.':>9}{'review':>8}"
    )
    lines = []
    for part in ("kinds", "spacings", "types"):
        lines += [head] + [_row(name, row) for name, row in measured[part].items()] + [""]
    for name, row in measured["types"].items():
        lines.append(
            f"{name}: expected calibration error {100 * row['calibration_error_fields']:.2f} points of "
            f"fields, "
            f"{100 * row['calibration_error_characters']:.2f} of characters"
        )
        if given := row["at_card_threshold"]:
            lines.append(
                f"{name}: at the card's threshold for {MAX_ERROR:.1%} error ({given['threshold']:.4f}) "
                f"{given['review_share']:.1%} to review, "
                f"{given['error_among_accepted']:.2%} of the accepted wrong"
            )
    return "\n".join([*lines, "", _LEGEND])


_LEGEND = f"""exact: fields read right in full; chars: characters; whole: some path has all characters whole
cut, path, label: share of fields wrong for want of such a path, by taking another, by a wrong label
free: exact without being told the length; permut.: exact if no letter may stand twice (off in the rest)
review: share to check so that at most {MAX_ERROR:.1%} of the accepted are wrong, chosen in hindsight"""


def _row(name: str, row: dict[str, Any]) -> str:
    def percent(value: float | None, width: int) -> str:
        return f"{100 * value:{width}.2f}" if value is not None else " " * width

    wrong = "".join(percent(row["wrong"][cause], 7) for cause in CAUSES)
    return (
        f"{name:22}{row['fields']:7,}{percent(row['exact'], 8)}{percent(row['characters'], 8)}"
        f"{percent(row['whole_path'], 8)}{wrong}{percent(row['exact_length_unknown'], 8)}"
        f"{percent(row['exact_permutation'], 9)}{percent(row['review_share_in_hindsight'], 8)}"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds all options, for use without another command around."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FORMSCRIBE_DATA"),
        metavar="FOLDER",
        help="where the characters lie (default: the environment variable FORMSCRIBE_DATA)",
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .tflite file (default: the one that ships)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    add_composed_arguments(parser)


def add_composed_arguments(parser: argparse._ActionsContainer) -> None:
    """The options that no other evaluation has."""
    parser.add_argument("--lines", type=int, metavar="N", help=f"fields of each kind (default: {LINES})")
    parser.add_argument("--seed", type=int, metavar="N", help=f"of all chance (default: {SEED})")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="draw the surest wrong readings of each type there"
    )
    parser.add_argument(
        "--over-frame",
        action="store_true",
        help="all fields written over their printed frame, which is taken out again",
    )
    parser.add_argument(
        "--spoilt",
        action="store_true",
        help="keep characters of which the data set lost a stroke or tore the picture "
        "(goes with --dataset recipe too)",
    )


def run(args: argparse.Namespace) -> int:
    """Composes, reads, prints, and writes what was asked for.

    Raises:
        CommandError: the data or the model cannot be used.
    """
    if args.data is None:
        raise CommandError(
            ExitCode.USAGE, "--data: name the folder with characters/, or set FORMSCRIBE_DATA."
        )
    lines, seed = LINES if args.lines is None else args.lines, SEED if args.seed is None else args.seed
    if lines < 1:
        raise CommandError(ExitCode.USAGE, f"--lines: {lines} is not 1 or more.")
    cv2.setNumThreads(1)
    try:
        card = model_card(args.model)
        networks = quietly(lambda: load_networks(args.model))
        calibration = Calibration.of_card(card)
        composer = LineComposer(
            held_out_sources(Path(args.data), "test", args.spoilt), float(args.over_frame)
        )
    except (ClassifierError, CalibrationError) as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--model: {error}") from None
    except DatasetError as error:
        raise CommandError(ExitCode.NO_INPUT, f"--data: {error}") from None
    outcomes = read_fields(make_fields(composer, networks, KINDS, lines, seed), calibration)
    measured = measure(outcomes, card)
    print(format_figures(measured))
    if args.json:
        about = {
            "model_sha256": networks.characters.sha256,
            "lines": lines,
            "seed": seed,
            "over_frame": args.over_frame,
        }
        args.json.write_text(json.dumps(about | measured, indent=1) + "\n", "utf-8")
    if args.pictures:
        for path in draw_worst(composer, outcomes, seed, args.pictures):
            print(path)
    return ExitCode.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the test; returns an exit code."""
    parser = argparse.ArgumentParser("python -m jobs.composed", description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except CommandError as error:
        print(error, file=sys.stderr)
        return int(error.code)


if __name__ == "__main__":
    sys.exit(main())
