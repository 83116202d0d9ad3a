"""Reads scanned forms and writes what stands on them as Parquet; bad files cost only themselves."""

import argparse
import os
import sys
from collections.abc import Sequence

from jobs.beam_flags import beam_options
from jobs.claiming import claim_output
from jobs.cli import stderr_hidden, version
from jobs.exit_codes import CommandError, ExitCode
from jobs.portable_job import check_reachable
from jobs.remote_checks import first_remote, local_copy, open_stores
from jobs.running import run_job
from model.calibration import Calibration, CalibrationError, acceptance_threshold
from model.classifier import ClassifierError, load_classifier, model_card
from pipeline.limits import bytes_of
from pipeline.matching import absolute, is_local, match_files
from pipeline.names import as_text, is_text
from pipeline.options import MAX_PAGES, MAX_PIXELS, MIN_CONFIDENCE, JobOptions, new_run_id
from pipeline.remote import literal_prefix, reason
from pipeline.resume import earlier_runs
from pipeline.stages import real_stages
from segmentation.checking import geometry_problems
from segmentation.choosing import load_templates, template_files
from segmentation.templates import FormTemplate, TemplateError

PASSES_FLAGS_ON = True
_MOST_TOLD = 3  # problems of a template
EPILOG = """examples:
  formscribe run --input scans --output out --template hsf
  formscribe run --input 'scans/*.png' 'more/*.tif' --output out --template my_form.toml
  formscribe run --input scans --output out --template my_form.toml hsf
  formscribe run --input scans --output out --template hsf --workers 4
  formscribe run --input scans --output out --template hsf --resume
  formscribe run --input gs://bucket/scans/ --output gs://bucket/out --template hsf \\
      --runner DataflowRunner --project my-project --region europe-west1 --temp_location gs://bucket/tmp

Every flag of Apache Beam passes through, as --flag=value or --flag value; the runner is FnApiRunner unless
--runner names another. Pages that cannot be read become rows of the table `failures`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command."""
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
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
        action="extend",
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
    _add_limits(parser)
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes on this machine, about one a core (default: 1)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out files that an earlier run into OUT has read, unless they, the templates, the model "
        "or the options have changed",
    )
    parser.add_argument(
        "--run_id", metavar="ID", help="name of this run (default: the time and a random suffix)"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max_pages_per_file",
        type=int,
        default=MAX_PAGES,
        metavar="N",
        help="a file with more fails as a whole (default: %(default)s)",
    )
    parser.add_argument(
        "--max_page_seconds",
        type=float,
        metavar="S",
        help="a page fails once it has taken longer (default: no limit; pages of PDFs 120)",
    )
    parser.add_argument(
        "--max_worker_memory",
        type=size,
        metavar="SIZE",
        help="a page fails for which a worker would need more, such as 1500M or 2G (default: no limit)",
    )
    parser.add_argument(
        "--max_failure_ratio",
        type=float,
        metavar="P",
        help="of the pages this share may fail, 0 to 1; more gives an exit code of its own, and stops a "
        "local job early (default: no limit)",
    )


def size(text: str) -> int:
    """Bytes, as a flag has them."""
    try:
        return bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace) -> int:
    """Checks everything that can be checked, runs the job, and tells how it went."""
    flags = beam_options(args.rest, _own_flags(), args.workers)
    args.template = [local_copy("--template", name, flags) for name in args.template]
    options = job_options(args)
    open_stores(options, flags)
    check_reachable(flags)
    files = check_inputs(options.inputs)
    check_earlier(options)
    stages = real_stages(options)
    return run_job(options, flags, stages, files, claim_output(options), args.verbose)


def _own_flags() -> list[str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return list(parser._option_string_actions)


def job_options(args: argparse.Namespace) -> JobOptions:
    """The job's options from the command line.

    Raises:
        CommandError: a value is out of range, or the template or the model cannot be used.
    """
    if args.model and not is_local(args.model):
        raise CommandError(
            ExitCode.BAD_MODEL, f"--model {args.model}: name a file of this machine; it travels with the job."
        )
    for flag, names in (("--input", args.input), ("--output", [args.output])):
        if not all(name.strip() for name in names):  # a variable of the shell that is not set
            raise CommandError(ExitCode.USAGE, f"{flag}: is an empty word. Name a folder; . is this one.")
    if not is_text(absolute(args.output)):
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--output {as_text(absolute(args.output))}: its name is not valid UTF-8. Name another folder.",
        )
    templates = read_templates(args.template)
    model_path = os.path.abspath(args.model) if args.model else None
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
            max_pages_per_file=args.max_pages_per_file,
            max_page_seconds=args.max_page_seconds,
            max_worker_memory=args.max_worker_memory,
            max_failure_ratio=args.max_failure_ratio,
            resume=args.resume,
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
        templates = load_templates(names)
        files = template_files(names)
    except (TemplateError, OSError) as error:
        raise CommandError(ExitCode.BAD_TEMPLATE, str(error)) from None
    for template, file in zip(templates, files, strict=True):
        _tell_of_problems(list(geometry_problems(template, file)), file)
    return templates


def _tell_of_problems(problems: Sequence[TemplateError], file: str) -> None:
    """Warns of what makes a form read badly though its template can be used; some of it may be meant so."""
    for problem in problems[:_MOST_TOLD]:
        print(f"Warning: {problem}", file=sys.stderr)
    if len(problems) > _MOST_TOLD:
        more = len(problems) - _MOST_TOLD
        print(f"{file}: {more} more; `formscribe template check` tells all.", file=sys.stderr)


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
    """How many files the inputs mean; None if a remote one is among them, whose files are not counted.

    Raises:
        CommandError: an input matches nothing.
    """
    files: set[str] = set()
    for name in inputs:
        found = match_files(name)
        first = next(found, None) if is_local(name) else first_remote(name)
        if first is None:
            told = f"--input {name}: {_why_nothing(name)}. Name files, a folder, or a pattern in quotes."
            raise CommandError(ExitCode.NO_INPUT, told)
        files.update([first, *found] if is_local(name) else ())
    return len(files) if all(is_local(name) for name in inputs) else None


def _why_nothing(name: str) -> str:
    """Why an input means no file: also the folder before its wildcards may be closed to this user."""
    if not is_local(name):
        return "no file matches"
    if os.path.isdir(name):
        return "no scan lies in this folder"
    folder = os.path.dirname(literal_prefix(name))
    try:
        os.stat(name if literal_prefix(name) == name else folder)
        with os.scandir(folder):
            return "no file matches"
    except PermissionError:
        return f"permission denied in {folder}"
    except OSError:
        return "no file matches"


def check_earlier(options: JobOptions) -> None:
    """Sees, for ``--resume``, whether the records of earlier runs can be read.

    Raises:
        CommandError: one cannot.
    """
    if not options.resume:
        return
    try:
        earlier_runs(options)
    except ValueError as error:
        raise CommandError(ExitCode.NO_RESULTS, f"--resume: {error}") from None
    except Exception as error:
        code, message = reason(error)
        if code is None:
            raise
        told = f"the records of {options.output} cannot be read ({message})"
        raise CommandError(ExitCode.NO_RESULTS, f"--resume: {told}.") from None
