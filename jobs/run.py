"""Reads scanned forms and writes what stands on them as Parquet; bad files cost only themselves."""

import argparse
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from jobs.beam_flags import beam_options
from jobs.cli import stderr_hidden, version
from jobs.exit_codes import CommandError, ExitCode
from jobs.progress import ProgressDisplay
from model.calibration import Calibration, CalibrationError, acceptance_threshold
from model.classifier import ClassifierError, load_classifier, model_card
from pipeline.build import build
from pipeline.matching import absolute, is_local, match_files
from pipeline.options import MAX_PIXELS, MIN_CONFIDENCE, JobOptions, new_run_id
from pipeline.schemas import TABLES
from pipeline.stages import Stages, real_stages
from pipeline.writing import (
    discard_temporary,
    read_record,
    run_record_path,
    table_folder,
    temporary_folder,
)
from segmentation.choosing import load_templates
from segmentation.templates import FormTemplate, TemplateError

PASSES_FLAGS_ON = True
EPILOG = """examples:
  formscribe run --input scans --output out --template hsf
  formscribe run --input 'scans/*.png' 'more/*.tif' --output out --template my_form.toml
  formscribe run --input scans --output out --template my_form.toml hsf
  formscribe run --input scans --output out --template hsf --direct_num_workers=4 \\
      --direct_running_mode=multi_processing
  formscribe run --input gs://bucket/scans/ --output gs://bucket/out --template hsf \\
      --runner DataflowRunner --project my-project --region europe-west1

Every flag of Apache Beam passes through, as --flag=value or --flag value; the runner is FnApiRunner unless
--runner names another. Pages that cannot be read become rows of the table `failures`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="SCANS",
        help="files, patterns in quotes, or folders (every PNG, JPEG, TIFF, PDF or IHEAD file below them)",
    )
    parser.add_argument(
        "--output", required=True, metavar="OUT", help="folder for the tables; earlier runs in it are kept"
    )
    parser.add_argument(
        "--template",
        nargs="+",
        required=True,
        metavar="FORM",
        help="name of a shipped form (hsf), a TOML file, or a folder of them; of several each page goes to "
        "the one that fits it best",
    )
    accepted = parser.add_mutually_exclusive_group()
    accepted.add_argument(
        "--min_confidence",
        type=float,
        default=MIN_CONFIDENCE,
        metavar="P",
        help="a field read with less goes to review, 0 to 1 (default: %(default)s)",
    )
    accepted.add_argument(
        "--max_error_rate",
        type=float,
        metavar="P",
        help="instead: of the accepted fields this share may be wrong, 0 to 1, as the calibration of the "
        "model expects; it knows composed rows, so check a sample of your own forms",
    )
    parser.add_argument("--model", metavar="FILE", help="an exported model (default: the one that ships)")
    parser.add_argument(
        "--max_pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="a larger page fails before it is decoded (default: %(default)s)",
    )
    parser.add_argument(
        "--run_id", metavar="ID", help="name of this run (default: the time and a random suffix)"
    )


def run(args: argparse.Namespace) -> int:
    """Checks everything that can be checked, runs the job, and tells how it went."""
    flags = beam_options(args.rest, _own_flags())
    options = job_options(args)
    files = check_inputs(options.inputs)
    check_output(options)
    return run_job(options, flags, real_stages(options), files, args.verbose)


def _own_flags() -> list[str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return list(parser._option_string_actions)


def job_options(args: argparse.Namespace) -> JobOptions:
    """The job's options from the command line.

    Raises:
        CommandError: a value is out of range, or the template or the model cannot be used.
    """
    templates = read_templates(args.template)
    model_path = os.path.abspath(args.model) if args.model and is_local(args.model) else args.model
    try:
        return JobOptions(
            inputs=tuple(absolute(name) for name in args.input),
            output=absolute(args.output),
            template=templates[0],
            more_templates=templates[1:],
            model_path=model_path,
            model_sha256=_model_sha256(model_path, args.verbose),
            min_confidence=args.min_confidence,
            max_error_rate=args.max_error_rate,
            thresholds=acceptance_thresholds(args.max_error_rate, templates, model_path),
            max_pixels=args.max_pixels,
            run_id=args.run_id or new_run_id(),
            version=version(),
        )
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from None


def acceptance_thresholds(
    rate: float | None, templates: Sequence[FormTemplate], model_path: str | None
) -> dict[str, float]:
    """The least confidence for each charset of the forms that keeps an error rate; none without a rate.

    Raises:
        CommandError: the model's card does not tell.
    """
    if rate is None or not 0 <= rate <= 1:  # the latter is told by JobOptions
        return {}
    fields = [field for template in templates for field in template.fields]
    charsets = sorted({field.charset for field in fields if field.layout in ("line", "comb")})
    try:
        card = model_card(model_path)
        thresholds = {charset: acceptance_threshold(card, charset, rate) for charset in charsets}
    except (ClassifierError, CalibrationError) as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--max_error_rate: {error}") from None
    for charset in (name for name, threshold in thresholds.items() if threshold > 1):
        print(f"--max_error_rate {rate}: not reached by {charset} fields; all go to review.", file=sys.stderr)
    return thresholds


def read_templates(names: Sequence[str]) -> tuple[FormTemplate, ...]:
    """The forms named on the command line.

    Raises:
        CommandError: one of them cannot be used.
    """
    try:
        return load_templates(names)
    except (TemplateError, OSError) as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None


def _model_sha256(path: str | None, verbose: bool) -> str:
    with stderr_hidden(verbose):
        return model_sha256(path)


def model_sha256(path: str | None) -> str:
    """Hash of a model that has been loaded once, so that a bad one is told before the job starts."""
    try:
        Calibration.of_card(model_card(path))
        return load_classifier(path).sha256
    except (ClassifierError, CalibrationError, OSError) as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--model: {error}") from None


def check_inputs(inputs: Sequence[str]) -> int | None:
    """How many files the inputs mean; None if a remote one is among them, which is left to the workers.

    Raises:
        CommandError: a local input matches nothing.
    """
    files: set[str] = set()
    for name in inputs:
        if is_local(name):
            found = list(match_files(name))
            if not found:
                what = "no scan lies in this folder" if Path(name).is_dir() else "no file matches"
                raise CommandError(
                    ExitCode.NO_INPUT,
                    f"--input {name}: {what}. Name files, a folder, or a pattern in quotes.",
                )
            files.update(found)
    return len(files) if all(is_local(name) for name in inputs) else None


def check_output(options: JobOptions) -> None:
    """Makes the output folder, if it is local, and sees whether it can be written.

    Raises:
        CommandError: it cannot, or it already has a run of this name.
    """
    if not is_local(options.output):
        return
    try:
        places = [run_record_path(options.output, options.run_id)]
        places += [table_folder(options.output, table, options.run_id) for table in TABLES]
        if any(Path(place).exists() for place in places):
            raise CommandError(
                ExitCode.USAGE, f"--run_id {options.run_id}: is in {options.output} already; name another."
            )
        folder = Path(temporary_folder(options.output, options.run_id))
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--output {options.output}: cannot be written ({error.strerror}). Name a folder that can.",
        ) from None


def run_job(
    options: JobOptions, flags: PipelineOptions, stages: Stages, files: int | None, verbose: bool = False
) -> int:
    """Runs the job to its end and prints the summary; ``files`` is their number, if known."""
    start = time.monotonic()
    interrupts = Interrupts()
    try:
        with interrupts, stderr_hidden(verbose) as stream, ProgressDisplay(files, stream) as progress:
            options = replace(options, progress_file=progress.path)
            pipeline = beam.Pipeline(options=flags)
            build(pipeline, options, stages)
            state = pipeline.run().wait_until_finish()
        if state not in (None, PipelineState.DONE):
            raise CommandError(ExitCode.JOB_FAILED, f"the runner ended the job as {state}.")
        record = read_record(options.output, options.run_id)
    except CommandError:
        discard_temporary(options.output, options.run_id)
        raise
    except BaseException as error:
        discard_temporary(options.output, options.run_id)
        if interrupts.seen or not isinstance(error, Exception):
            raise KeyboardInterrupt from error
        raise CommandError(
            ExitCode.JOB_FAILED, f"the job failed, and nothing of it is visible: {_last_line(error)}"
        ) from error
    print(summary(record, time.monotonic() - start))
    return ExitCode.ALL_PAGES_FAILED if record["failures"] and not record["forms"] else ExitCode.OK


class Interrupts:
    """Remembers Ctrl-C, which Beam turns into an ordinary error if it falls into the work on an element.

    Attributes:
        seen: whether there was one inside the ``with`` block.
    """

    def __init__(self) -> None:
        """Watches nothing yet."""
        self.seen = False

    def __enter__(self) -> Self:
        """Watches, if this is the thread that may."""
        self._watching = threading.current_thread() is threading.main_thread()
        if self._watching:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        """Puts back what was there."""
        if self._watching:
            signal.signal(signal.SIGINT, self._before)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def summary(record: dict[str, Any], seconds: float) -> str:
    """What a run has done, and what to type next."""
    output, fields = record["options"]["output"], record["fields"]
    shown = os.path.relpath(output) if is_local(output) else output
    quoted = shlex.quote(output if shown.startswith("..") else shown)
    lines = [
        f"{record['forms']:,} of {record['pages_in']:,} pages read in {seconds:.1f} s "
        f"({record['pages_in'] / max(seconds, 1e-9):.1f} pages/s)",
        f"{record['failures']:,} failed"
        + "".join(f"; {code}: {n:,}" for code, n in sorted(record["failure_codes"].items())),
        f"fields: {fields.get('accepted', 0):,} accepted, {fields.get('review', 0):,} to review, "
        f"{fields.get('blank', 0):,} blank",
        f"output: {output}, run {record['run']}",
    ]
    sql = "SELECT source, page, code, message FROM failures"
    if record["forms"]:
        sql = "SELECT source, page, field, text, confidence FROM fields WHERE status = 'review'"
    return "\n".join([*lines, f'next:   formscribe query {quoted} "{sql}"'])
