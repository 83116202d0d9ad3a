"""Trains the character model: from a data set to an evaluated, exported model with a card."""

import argparse
import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from jobs import recipe, scoring, train_corrections
from jobs.corrections import is_corrections
from jobs.exit_codes import CommandError, ExitCode
from jobs.exporting import export_and_score
from jobs.make_epochs import EpochFolder
from jobs.train_dataset import train_dataset
from model.classifier import Classifier, ClassifierError, log_softmax
from model.datasets import AbsentError, DatasetError, DownloadError, LabelledCrops, describe_datasets
from model.epochs import BackgroundEpochs
from model.export import ExportError, other_backend, why_not_exported
from model.finetuning import TuningOptions
from model.network import SHAPES, NetworkShape, build_network

if TYPE_CHECKING:
    from model.training import TrainingOptions

EPOCHS, RATE, BATCH = 12, 2e-3, 256
TAUGHT = 0.5  # with a teacher
EPILOG = f"""data sets:
{describe_datasets()}

examples:
  formscribe train --dataset mnist --download --out runs/mnist
  formscribe train --dataset folder:my_letters --out runs/mine --from-model runs/mnist/model.keras
  formscribe train --dataset corrections:out --from-model shipped --out runs/mine
  formscribe train --dataset recipe --data DATA --out runs/shipped --epochs 14
  formscribe train --dataset emnist-balanced --download --out runs/mine --teacher shipped
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="mnist, emnist-balanced (or another split of EMNIST), sd19, folder:PATH (one folder a class), "
        "npz:PATH, corrections:OUT (what people corrected in `formscribe review OUT`; the model of "
        "--from-model learns it and keeps the rest), or recipe (what the shipped model was made of)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the run is kept")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FORMSCRIBE_DATA"),
        metavar="FOLDER",
        help="where data sets lie (default: the environment variable FORMSCRIBE_DATA)",
    )
    parser.add_argument("--download", action="store_true", help="fetch a public data set that is not there")
    parser.add_argument(
        "--epochs",
        type=_positive,
        metavar="N",
        help=f"default: {EPOCHS}; {TuningOptions.epochs} of corrections",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--batch", type=_positive, default=BATCH, metavar="N", help="crops a step (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        metavar="X",
        help=f"peak learning rate (default: {RATE:g}; {TuningOptions.learning_rate:g} of corrections)",
    )
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without a better score"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--from-model",
        type=Path,
        metavar="FILE",
        help="a .keras or .tflite file to start from, or `shipped` (default: a new model; of corrections "
        "`shipped`)",
    )
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="multiply in bfloat16: faster on processors with AMX, slower on others",
    )
    parser.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        default="shipped",
        help="of a new model: the shipped one's, a larger one, or one too large to serve that makes a better "
        "teacher (default: %(default)s)",
    )
    parser.add_argument(
        "--dropout",
        type=_share,
        default=NetworkShape.dropout,
        metavar="X",
        help="share of activations that a new model is trained without (default: %(default)s)",
    )
    parser.add_argument(
        "--processes",
        type=_positive,
        default=1,
        metavar="N",
        help="how many make crops for the next epochs (default: %(default)s)",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="a .tflite or .keras file whose answers to the same crops are learnt beside the labels, or "
        "`shipped`; of several their mean; not of corrections",
    )
    parser.add_argument(
        "--taught",
        type=_share,
        default=TAUGHT,
        metavar="X",
        help="share of the teachers' answers in what is learnt, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="recipe: a .tflite that sorts out fragments"
    )
    parser.add_argument(
        "--harvested",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="recipe: what `python -m jobs.harvest` wrote, .npz",
    )
    parser.add_argument(
        "--epochs-from",
        type=Path,
        metavar="FOLDER",
        help="recipe: epochs that `python -m jobs.make_epochs` made ahead",
    )
    parser.add_argument("--share", type=float, default=1.0, metavar="X", help="recipe: size of an epoch (1)")
    parser.add_argument("--export-only", action="store_true", help="export the checkpoint in --out as it is")
    train_corrections.add_arguments(parser)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def run(args: argparse.Namespace) -> int:
    """Trains as asked.

    Raises:
        CommandError: TensorFlow, the data or the run to go on from is missing.
    """
    if importlib.util.find_spec("tensorflow") is None and not other_backend():
        raise CommandError(
            ExitCode.USAGE, "train needs TensorFlow, which is not installed: pip install '.[train]'"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from model.training import TrainingError, use_bfloat16

    if args.bfloat16:
        use_bfloat16()
    try:
        if is_corrections(args.dataset):
            if args.teacher:
                raise CommandError(
                    ExitCode.USAGE, "--teacher does not go with corrections:OUT. Leave it out."
                )
            train_corrections.train_corrections(args)
        elif args.rehearse or args.database:
            raise CommandError(
                ExitCode.USAGE, "--rehearse and --database go with corrections:OUT. Leave them out."
            )
        elif args.dataset == "recipe":
            _train_recipe(_with_defaults(args))
        else:
            train_dataset(_with_defaults(args))
    except (AbsentError, DownloadError) as error:
        raise CommandError(ExitCode.NO_INPUT, str(error)) from None
    except DatasetError as error:
        raise CommandError(ExitCode.USAGE, f"--dataset {error}") from None
    except ClassifierError as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--teacher or --judge: {error}") from None
    except (TrainingError, ExportError) as error:
        raise CommandError(ExitCode.BAD_MODEL, str(error)) from None
    return int(ExitCode.OK)


def _with_defaults(args: argparse.Namespace) -> argparse.Namespace:
    """The defaults of training from nothing."""
    given = vars(args)
    return argparse.Namespace(
        **given
        | {
            "epochs": EPOCHS if args.epochs is None else args.epochs,
            "rate": RATE if args.rate is None else args.rate,
        }
    )


def new_shape(args: argparse.Namespace) -> NetworkShape:
    """The shape that the flags ask for."""
    return replace(SHAPES[args.shape], dropout=args.dropout)


def training_options(args: argparse.Namespace, default: "TrainingOptions") -> "TrainingOptions":
    """What the flags say about training."""
    options = replace(
        default,
        epochs=args.epochs,
        batch=args.batch,
        seed=args.seed,
        learning_rate=args.rate,
        taught=args.taught if args.teacher else 0.0,
    )
    return options if args.patience is None else replace(options, patience=args.patience)


def _train_recipe(args: argparse.Namespace) -> None:
    from model.teachers import load_teacher
    from model.training import AVERAGED, TrainingOptions, epochs_done, load_network, train

    if args.data is None:
        raise AbsentError("the recipe needs its data sets: --data FOLDER, or set FORMSCRIBE_DATA")
    teachers = [load_teacher(path) for path in args.teacher]
    sets = recipe.held_out_sets(Path(args.data))
    shape = recipe.EpochShape(share=args.share)
    plan = recipe.Recipe(Path(args.data), args.seed, shape, args.judge, tuple(args.harvested or ()))
    options = training_options(args, TrainingOptions())
    ahead = EpochFolder(args.epochs_from) if args.epochs_from else None
    about = recipe_card(plan, options, teachers) | ({"epochs": ahead.about} if ahead else {})
    if args.export_only:
        network = load_network(args.out / AVERAGED)
        card = about | {"epochs_trained": epochs_done(args.out)}
        export_and_score(network, sets, args.out, card, scoring.CALIBRATED_ON)
        return
    cv2.setNumThreads(1)
    with contextlib.ExitStack() as stack:
        if ahead:
            get_epoch = ahead.get
        else:
            made = stack.enter_context(BackgroundEpochs(plan.open, args.processes))
            get_epoch = functools.partial(made.get, last=args.epochs - 1)
        model, history = train(
            get_epoch,
            functools.partial(
                measure_sets, sets={n: sets[n] for n in ("mnist_test10k", *scoring.CALIBRATED_ON)}
            ),
            args.out,
            options,
            build=functools.partial(build_network, new_shape(args)),
            teachers=teachers,
            start_from=args.from_model,
            resume=args.resume,
            report=functools.partial(print, flush=True),
            live=sys.stdout.isatty(),
        )
    if reason := why_not_exported(model):
        print(f"{args.out / AVERAGED}: trained, not exported. {reason}")
        return
    card = about | {"epochs_trained": len(history)}
    export_and_score(model, sets, args.out, card, scoring.CALIBRATED_ON)


def measure_sets(model: Any, sets: dict[str, LabelledCrops]) -> dict[str, float]:
    """Accuracy of a keras.Model on sets, the kind of character known; ``score`` is their mean."""
    log_probs = {}
    for name, crops in sets.items():
        inputs = crops.images[..., None].astype(np.float32) / 255
        log_probs[name] = log_softmax(model.predict(inputs, batch_size=512, verbose=0))
    scores = scoring.score_sets(log_probs, sets)
    figures = {key: float(value["accuracy"]) for key, value in scores.items()}
    return figures | {"score": float(np.mean(list(figures.values())))}


def recipe_card(
    plan: recipe.Recipe, options: "TrainingOptions", teachers: Sequence[Classifier] = ()
) -> dict[str, Any]:
    """What the card says about data and training."""
    return {
        "data": recipe.SOURCES,
        "held_out": {
            "unipen": f"{recipe.HELD_OUT_WRITERS} writers, seed {recipe.HELD_OUT_SEED}",
            "sd19_cleaned": f"a third of each class, seed {recipe.HELD_OUT_SEED}",
            "never trained on": "mnist_test10k, sd19_digits_val, choice_v03",
        },
        "notes": recipe.NOTES,
        "epoch": asdict(plan.shape),
        "training": asdict(options),
        "teachers": [teacher.sha256 for teacher in teachers],
    }
