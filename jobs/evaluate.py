"""Compares readings of forms with their truth, or a model with labelled characters."""

import argparse

from jobs import evaluate_dataset
from jobs.exit_codes import CommandError, ExitCode

EPILOG = f"""examples of forms:
  formscribe evaluate out --truth sample_forms
  formscribe evaluate out --truth truth.csv --json figures.json --worst worst.png

Truth is JSON, {{"source": "a.png", "fields": {{"name": "text"}}}}; or CSV with the columns source, field and
text; or NIST's ref_XX.txt, for pages whose name ends in XX. Fields without truth are not scored; pages
without truth, and truth without pages, are listed.

{evaluate_dataset.EPILOG}"""
_OF_FORMS = ("truth", "run", "worst")
_OF_DATASETS = ("split", "download", "charset", "model", "confusion")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments for forms and for data sets."""
    from jobs import evaluate_forms

    evaluate_forms.add_arguments(parser.add_argument_group("forms"))
    group = parser.add_argument_group("a data set of characters, instead of OUT")
    group.add_argument(
        "--dataset", metavar="NAME", help="a name below, folder:PATH (one folder a class) or npz:PATH"
    )
    evaluate_dataset.add_dataset_arguments(group)  # type: ignore[arg-type]  # a group adds alike


def run(args: argparse.Namespace) -> int:
    """Evaluates forms or a data set, whichever is named.

    Raises:
        CommandError: both or neither are named, or a flag of the other.
    """
    if (args.output is None) == (args.dataset is None):
        raise CommandError(
            ExitCode.USAGE,
            "name either the folder OUT with --truth, or --dataset. Try: formscribe evaluate --help",
        )
    wrong = _OF_FORMS if args.dataset else _OF_DATASETS
    for name in wrong:
        if getattr(args, name):
            other = "--dataset" if args.output else "OUT"
            raise CommandError(ExitCode.USAGE, f"--{name}: goes with {other}. Leave it out.")
    if args.dataset:
        return evaluate_dataset.run(args)
    if not args.truth:
        raise CommandError(ExitCode.USAGE, "--truth: name the files or folders of truth.")
    from jobs import evaluate_forms

    return evaluate_forms.run(args)
