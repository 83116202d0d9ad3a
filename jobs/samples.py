"""Renders filled sample forms with their truth.

Page N of a seed is always the same, however many pages are made at once and by however many workers.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.exit_codes import CommandError, ExitCode
from segmentation.handwriting import HAND_FONTS, Hand, random_hand
from segmentation.rendering import fill_form
from segmentation.sample_texts import random_texts
from segmentation.scanner import NOISE_LEVELS, ScannerSettings, random_settings, scan
from segmentation.templates import FormTemplate, TemplateError, load_template

SUFFIXES = {"png": ".png", "tiff": ".tif", "jpeg": ".jpg"}
WORTH_A_POOL = 16  # pages; fewer are made sooner than workers start
EPILOG = """examples:
  formscribe samples --out forms --count 20
  formscribe samples --out forms --count 1000 --seed 7 --noise hard --format tiff
  formscribe samples --out forms --count 5 --template my_form.toml --dpi 200
"""


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """What the pages of a run have in common; see the command's help."""

    template: FormTemplate
    seed: int = 1
    noise: str = "normal"
    file_format: str = "png"
    dpi: float | None = None
    skew: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A rendered page.

    Attributes:
        image: uint8 (H, W), 0 = ink, 255 = paper; only these two unless the format is ``jpeg``.
        truth: field name -> text, every field of the template.
        hand: who wrote it.
        settings: how it was scanned.
        matrix: float64 (2, 3), from template pixels to pixels of the image.
    """

    image: NDArray[np.uint8]
    truth: dict[str, str]
    hand: Hand
    settings: ScannerSettings
    matrix: NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of the command."""
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder for form_0001.png, form_0001.truth.json and so on; made if missing, "
        "files of the same names are replaced",
    )
    parser.add_argument(
        "--count", type=_whole(1), default=10, metavar="N", help="pages to make (default: %(default)s)"
    )
    parser.add_argument(
        "--first", type=_whole(1), default=1, metavar="N", help="number of the first page (default: 1)"
    )
    parser.add_argument(
        "--template",
        default="hsf",
        metavar="NAME|FILE",
        help="a form that ships, or a TOML file (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=_whole(0), default=1, metavar="N", help="another seed, other pages (default: 1)"
    )
    parser.add_argument(
        "--noise",
        choices=NOISE_LEVELS,
        default="normal",
        help="clean: straight and spotless; normal: an office scanner, skew up to 3 degrees; hard: up to "
        "5 degrees, specks, broken rules, black edges, faded ink (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=SUFFIXES,
        default="png",
        help="png and tiff (Group 4) are black and white, jpeg is grey (default: %(default)s)",
    )
    parser.add_argument(
        "--dpi",
        type=_number(100, 600),
        metavar="DPI",
        help="resolution of the scans (default: the template's)",
    )
    parser.add_argument(
        "--skew",
        type=_number(-10, 10),
        metavar="DEGREES",
        help="turns every page by as much, positive clockwise (default: by chance)",
    )
    parser.add_argument(
        "--workers",
        type=_whole(1),
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes (default: one a core)",
    )


def run(args: argparse.Namespace) -> int:
    """Makes the pages; returns ``ExitCode.OK``.

    Raises:
        CommandError: the template is wrong, or the folder cannot be written.
    """
    try:
        template = load_template(args.template)
    except TemplateError as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None
    options = SampleOptions(template, args.seed, args.noise, args.format, args.dpi, args.skew)
    folder = Path(args.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = _write_all(options, folder, range(args.first, args.first + args.count), args.workers)
        for _ in _with_progress(written, args.count, sys.stderr):
            pass
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--out {args.out}: cannot be written ({error.strerror or error}). "
            "Name a folder you may write to.",
        ) from None
    print(f"{args.count} pages with their truth in {folder}")
    return ExitCode.OK


def render_sample(options: SampleOptions, number: int) -> Sample:
    """Renders page ``number`` (from 1) of a seed; equal arguments give equal pages."""
    template = options.template
    # Streams of their own, so that noise and format change neither the texts nor the hand.
    seeds = np.random.SeedSequence([options.seed, number]).spawn(3)
    content, pen, scanner = (np.random.default_rng(seed) for seed in seeds)
    # Neighbouring pages are never by the same hand, so that even a few pages show several.
    font = HAND_FONTS[(number + options.seed) % len(HAND_FONTS)]
    hand = random_hand(content, font)
    page, truth = fill_form(template, random_texts(template, content), hand, pen)
    is_binary = options.file_format != "jpeg"
    settings = random_settings(options.noise, scanner, options.dpi, is_binary)
    if options.skew is not None:
        settings = replace(settings, skew_degrees=options.skew)
    image, matrix = scan(page, template.dpi, settings, scanner)
    return Sample(image, truth, hand, settings, matrix)


def write_sample(options: SampleOptions, folder: Path, number: int) -> Path:
    """Renders and writes page ``number`` and its truth; returns the path of the image."""
    sample = render_sample(options, number)
    path = folder / f"form_{number:04d}{SUFFIXES[options.file_format]}"
    dpi = round(options.dpi or options.template.dpi)
    _save_image(sample.image, path, options.file_format, dpi)
    note = (
        f"Rendered: seed {options.seed}, page {number}, noise {options.noise}, hand {sample.hand.font}, "
        f"skew {sample.settings.skew_degrees:.2f} degrees, {dpi} dpi."
    )
    truth = {"source": path.name, "template": options.template.name, "fields": sample.truth, "note": note}
    truth_path = folder / f"{path.stem}.truth.json"
    truth_path.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return path


def _save_image(image: NDArray[np.uint8], path: Path, file_format: str, dpi: int) -> None:
    picture = Image.fromarray(image)
    resolution = (dpi, dpi)
    if file_format == "jpeg":
        picture.save(path, "JPEG", quality=30, optimize=True, dpi=resolution)
        return
    picture = picture.point(lambda value: value, mode="1")
    if file_format == "tiff":
        picture.save(path, "TIFF", compression="group4", dpi=resolution)
    else:
        picture.save(path, "PNG", compress_level=6, dpi=resolution)


def _write_all(options: SampleOptions, folder: Path, numbers: range, workers: int) -> Iterator[Path]:
    if len(numbers) < WORTH_A_POOL or workers == 1:
        yield from map(write_sample, repeat(options), repeat(folder), numbers)
        return
    # Spawned, for a forked child inherits OpenCV's threads in an unknown state.
    with ProcessPoolExecutor(
        min(workers, len(numbers)), get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(write_sample, repeat(options), repeat(folder), numbers, chunksize=4)


def _with_progress(written: Iterator[Path], count: int, stream: TextIO) -> Iterator[Path]:
    """Passes paths on and draws a bar on a terminal; elsewhere a line every tenth of a long run."""
    started, on_terminal = time.monotonic(), stream.isatty()
    for done, path in enumerate(written, start=1):
        yield path
        left = (time.monotonic() - started) / done * (count - done)
        if on_terminal:
            bar = "#" * (30 * done // count)
            end = "\n" if done == count else ""
            print(f"\r[{bar:<30}] {done}/{count} pages, {left:.0f} s left ", end=end, file=stream, flush=True)
        elif count >= 100 and done * 10 // count > (done - 1) * 10 // count:
            print(f"{done}/{count} pages, {left:.0f} s left", file=stream, flush=True)


def _whole(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number not below ``least``."""

    def parse(word: str) -> int:
        if not word.isascii() or not word.isdigit() or int(word) < least:
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from {least} up")
        return int(word)

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number from ``low`` to ``high``."""

    def parse(word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{word!r} is not a number from {low:g} to {high:g}")
        return value

    return parse
