"""Flags that a job on Dataflow must have, and those that formscribe sets unless somebody else does.

A worker process reads one page at a time on one thread, because segmentation is Python and the model is given
one thread. Dataflow starts a process for each vCPU, and by itself gives each of them twelve threads.
"""

import re
import sys
from argparse import Namespace
from collections.abc import Iterable

from jobs.exit_codes import CommandError, ExitCode
from pipeline.matching import is_local

RUNNER = "DataflowRunner"
NEEDED = {
    "project": "the id of a Google Cloud project, such as --project my-project",
    "region": "where the workers run, best that of the bucket, such as --region europe-west1",
    "temp_location": "a folder for what is staged, such as --temp_location gs://my-bucket/tmp",
}
DEFAULTS = {
    "machine_type": "e2-standard-4",
    "disk_size_gb": "30",
    "number_of_worker_harness_threads": "1",
}
JOB_NAME_LENGTH = 63


def is_dataflow(runner: str | None) -> bool:
    """Whether a runner is Dataflow's, however it is written."""
    return (runner or "").lower() in ("dataflowrunner", "dataflow")


def default_flags(known: Namespace) -> list[str]:
    """The flags to add to those of the command line.

    Args:
        known: Beam's flags as they were parsed.

    Raises:
        CommandError: one that Dataflow needs is missing or wrong; all of them are told at once.
    """
    missing = [f"--{name} ({told})" for name, told in NEEDED.items() if not getattr(known, name)]
    if missing:
        raise CommandError(ExitCode.USAGE, f"--runner {RUNNER} needs {', '.join(missing)}.")
    for name in ("temp_location", "staging_location"):
        place = getattr(known, name)
        if place and not place.startswith("gs://"):
            raise CommandError(ExitCode.USAGE, f"--{name} {place}: must be a folder of a bucket, gs://...")
    added = [f"--{name}={value}" for name, value in DEFAULTS.items() if not getattr(known, name, None)]
    return added + _package_flags(known)


def _package_flags(known: Namespace) -> list[str]:
    """Workers install formscribe, unless an image is named that has it or somebody stages another package."""
    if known.sdk_container_image or known.setup_file or known.extra_packages:
        return []
    from jobs.dataflow.staging import stage_package

    return [f"--setup_file={stage_package()}"]


def tell(added: Iterable[str]) -> None:
    """Says which flags were added, so that nobody has to look for them."""
    shown = " ".join(flag for flag in added if not flag.startswith("--setup_file"))
    package = any(flag.startswith("--setup_file") for flag in added)
    parts = [f"set {shown}"] if shown else []
    parts += ["workers install this formscribe"] if package else []
    if parts:
        print(f"{RUNNER}: {'; '.join(parts)}", file=sys.stderr)


def job_name(run_id: str) -> str:
    """A name that Dataflow takes, with that of the run: small letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", f"formscribe-{run_id.lower()}")
    return name[:JOB_NAME_LENGTH].rstrip("-")


def check_places(inputs: Iterable[str], output: str) -> None:
    """Sees whether the workers can reach what a job reads and writes.

    Raises:
        CommandError: an input or the output is on this machine.
    """
    for name in inputs:
        if is_local(name):
            raise CommandError(
                ExitCode.USAGE,
                f"--input {name}: is on this machine, where the workers of {RUNNER} cannot read it. Copy it "
                "to a bucket, and name that: gs://BUCKET/FOLDER/",
            )
    if is_local(output):
        raise CommandError(
            ExitCode.USAGE,
            f"--output {output}: is on this machine, where the workers of {RUNNER} cannot write. Name a "
            "folder of a bucket: gs://BUCKET/FOLDER",
        )
