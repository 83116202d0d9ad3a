"""Draws what the job sees on one page: where the form lies, how its fields are cut, and what is read."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.exit_codes import CommandError, ExitCode
from jobs.models import quietly
from jobs.remote_results import read_scan
from jobs.tables import write_table
from model.networks import Networks
from pipeline.classifying import classify_pages
from pipeline.options import MAX_PIXELS, MIN_CONFIDENCE, JobOptions
from pipeline.reading import read_classified, segment_decoded
from pipeline.records import DecodedPage, Failure, PageKey, PageRows
from pipeline.stages import Stages, real_stages
from segmentation.choosing import load_templates
from segmentation.page import SegmentedPage
from segmentation.templates import FormTemplate, TemplateError

EPILOG = """examples:
  formscribe preview sample_forms/hsf/form_0001.png --template hsf --out overlay.png
  formscribe preview scan.tif --page 2 --template my_form.toml --out overlay.png
  formscribe preview scan.png --template hsf --out field.png --field fld_03 fld_31

Green fields are accepted, amber ones go to review, grey ones are blank. Blue boxes are the characters that
were chosen, thin lines the finer cuts they were chosen from.
"""
REMEDIES = {
    "form_not_found": "Is --template the form of this page? Is the page whole, and its frames visible?",
    "no_landmarks": "Give the template at least one field with frame = true.",
}


@dataclass(frozen=True, slots=True)
class ReadPage:
    """One page after all stages: its pixels, where its fields lie, and the rows that the job would write."""

    gray: NDArray[np.uint8]
    segmented: SegmentedPage
    rows: PageRows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument("file", metavar="FILE", help="a scan: PNG, JPEG, TIFF, PDF or IHEAD")
    parser.add_argument(
        "--template",
        nargs="+",
        action="extend",
        required=True,
        metavar="FORM",
        help="name of a shipped form (hsf), a TOML file, or a folder of them",
    )
    parser.add_argument("--out", required=True, metavar="PNG", help="the picture to write, .png or .jpg")
    parser.add_argument(
        "--page", type=int, default=1, metavar="N", help="page of the file, from 1 (default: 1)"
    )
    parser.add_argument("--model", metavar="FILE", help="an exported model (default: the one that ships)")
    parser.add_argument(
        "--field",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these fields, and the part of the page they cover",
    )
    parser.add_argument(
        "--min_confidence",
        type=float,
        default=MIN_CONFIDENCE,
        metavar="P",
        help="a field read with less goes to review, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--max_pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="a larger page is refused (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Reads one page, draws it, and prints its fields."""
    options = preview_options(args)
    check_fields(options, args.field)
    stages = real_stages(options)
    data = read_bytes(args.file)
    networks = quietly(stages.load_networks)
    gray = decode_page(args.file, data, args.page, stages)
    page = read_page(args.file, args.page, gray, options, stages, networks)
    template = options.template_named(page.segmented.template)
    wanted = set(args.field or [spec.name for spec in template.fields])
    specs = [spec for spec in template.fields if wanted & {spec.name, spec.row}]
    names = [spec.name for spec in specs]
    write_overlay(Path(args.out), args, template, page, names)
    columns = ["field", "text", "confidence", "status"]
    asked = {spec.row for spec in specs}
    shown = [[row[column] for column in columns] for row in page.rows.fields if row["field"] in asked]
    write_table(sys.stdout, columns, shown)
    print(f"picture: {args.out}")
    return ExitCode.OK


def preview_options(args: argparse.Namespace) -> JobOptions:
    """The options a job over this file would have.

    Raises:
        CommandError: a value is out of range, or the template cannot be used.
    """
    if args.page < 1:
        raise CommandError(ExitCode.USAGE, f"--page {args.page}: pages count from 1.")
    try:
        templates = load_templates(args.template)
    except (TemplateError, OSError) as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None
    try:
        return JobOptions(
            inputs=(args.file,),
            output=args.out,
            template=templates[0],
            more_templates=templates[1:],
            model_path=args.model,
            min_confidence=args.min_confidence,
            max_pixels=args.max_pixels,
        )
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from None


def check_fields(options: JobOptions, wanted: Sequence[str] | None) -> None:
    """Raises CommandError if no form has a field of a name that was asked for."""
    specs = [spec for template in options.templates for spec in template.fields]
    known = dict.fromkeys(name for spec in specs for name in (spec.name, spec.row))
    forms = " or ".join(repr(template.name) for template in options.templates)
    for name in wanted or ():
        if name not in known:
            raise CommandError(
                ExitCode.USAGE,
                f"--field {name}: form {forms} has no such field. It has: {', '.join(known)}.",
            )


def read_bytes(file: str) -> bytes:
    """The bytes of a local or remote file.

    Raises:
        CommandError: it cannot be had.
    """
    try:
        return read_scan(file)
    except OSError as error:
        raise CommandError(
            ExitCode.NO_INPUT, f"{file}: cannot be opened ({error.strerror}). Name a scan that exists."
        ) from None


def decode_page(file: str, data: bytes, number: int, stages: Stages) -> NDArray[np.uint8]:
    """One page of a file as grey pixels: uint8 (H, W), 0 = black.

    Raises:
        CommandError: the file or the page cannot be read, or it has fewer pages.
    """
    try:
        document = stages.open_document(data)
        try:
            if number > document.page_count:
                raise CommandError(
                    ExitCode.USAGE,
                    f"--page {number}: {file} has {document.page_count} page(s). Name one of them.",
                )
            return document.read(number).gray
        finally:
            document.close()
    except CommandError:
        raise
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None:
            raise
        raise CommandError(ExitCode.ALL_PAGES_FAILED, f"{file}: {error} ({code})") from None


def read_page(
    file: str, number: int, gray: NDArray[np.uint8], options: JobOptions, stages: Stages, networks: Networks
) -> ReadPage:
    """Takes one page through the stages of the job.

    Args:
        file: named in the rows and in errors.
        number: of the page, from 1.
        gray: uint8 (H, W), 0 = black.
        options: template and threshold.
        stages: see ``pipeline.stages``.
        networks: what ``stages.load_networks`` gave.

    Raises:
        CommandError: the form is not on the page, or it cannot be read; the message says what to do.
    """
    decoded = DecodedPage(PageKey(file, number), "", gray, {})
    page = segment_decoded(decoded, stages.segment_page, options.template)
    if isinstance(page, Failure):
        raise _failed(page)
    (classified,) = classify_pages([page], networks)
    if classified.failure is not None:
        problem = classified.failure.message
        raise CommandError(ExitCode.BAD_MODEL, f"--model: {problem}. Name another, or none.")
    rows = read_classified(classified, options, stages.decode)
    if isinstance(rows, Failure):
        raise _failed(rows)
    return ReadPage(gray, classified.page.segmented, rows)


def write_overlay(
    path: Path, args: argparse.Namespace, template: FormTemplate, page: ReadPage, names: Sequence[str]
) -> None:
    """Draws the page and saves it as PNG.

    Raises:
        CommandError: the picture cannot be written.
    """
    from jobs.overlay import draw_page, page_title

    title = page_title(Path(args.file).name, page.rows.form)
    picture = draw_page(page.gray, page.segmented, page.rows, template, names, title)
    try:
        picture.save(path, compress_level=3)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--out {path}: cannot be written ({reason}). Name a file in a folder that exists.",
        ) from None


def _failed(failure: Failure) -> CommandError:
    remedy = REMEDIES.get(failure.code, "")
    if failure.code == "internal_error":
        remedy = f"Please report it with the page: formscribe preview {shlex.quote(failure.source)} -v"
    place = f"{failure.source}, page {failure.page}"
    text = f"{place}: {failure.message.rstrip('.')} ({failure.code}). {remedy}"
    return CommandError(ExitCode.ALL_PAGES_FAILED, text.rstrip())
