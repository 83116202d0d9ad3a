"""What the benchmarks that write in held-out hands have in common: their flags, the hands, the stages."""

import argparse
import os
from pathlib import Path

import cv2

from jobs.composing import Source, held_out_sources
from model.datasets import DatasetError
from pipeline.options import JobOptions
from pipeline.stages import Stages, real_stages
from segmentation.templates import load_template


def flags(description: str | None) -> argparse.ArgumentParser:
    """A parser with ``--data``, ``--half``, ``--model`` and ``--seed``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FORMSCRIBE_DATA"),
        metavar="FOLDER",
        help="characters/*.npz (default: FORMSCRIBE_DATA)",
    )
    parser.add_argument("--half", choices=("test", "calibration"), default="test", help="of the hands")
    parser.add_argument("--model", metavar="FILE", help="a .tflite file (default: the one that ships)")
    parser.add_argument("--seed", type=int, default=6)
    return parser


def sources(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Source]:
    """The held-out characters that the flags ask for; ends the command if there are none.

    OpenCV is given one thread, as in a worker.
    """
    cv2.setNumThreads(1)
    if args.data is None:
        parser.error("--data: name the folder with characters/, or set FORMSCRIBE_DATA")
    try:
        return held_out_sources(Path(args.data), args.half)
    except DatasetError as error:
        parser.error(f"--data: {error}")


def hsf_stages(args: argparse.Namespace) -> tuple[JobOptions, Stages]:
    """A job on HSF forms with the model that the flags ask for."""
    options = JobOptions(
        inputs=("page",), output="none", template=load_template("hsf"), model_path=args.model
    )
    return options, real_stages(options)
