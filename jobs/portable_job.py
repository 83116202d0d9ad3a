"""A job that a cluster runs through Beam's job service, on Flink or Spark: is it there, and ending it."""

import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PipelineResult
from apache_beam.runners.runner import PipelineState

from jobs.exit_codes import CommandError, ExitCode

CONNECT_SECONDS = 10
CANCEL_SECONDS = 60
_EMBEDDED = ("embed", "[auto]", "[local]")


def check_reachable(flags: PipelineOptions) -> None:
    """Sees whether somebody listens where the job would be sent, which Beam finds out after minutes only.

    Raises:
        CommandError: nobody does.
    """
    known = flags.get_all_options()
    places = {"--job_endpoint": known["job_endpoint"]}
    if known["runner"] == "FlinkRunner" and not known["job_endpoint"]:
        places = {"--flink_master": known["flink_master"]}
    for flag, place in places.items():
        if place and place not in _EMBEDDED:
            _check_listens(flag, place)


def _check_listens(flag: str, place: str) -> None:
    try:
        url = urlsplit(place if "://" in place else f"http://{place}")
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
    except ValueError:
        raise CommandError(ExitCode.USAGE, f"{flag} {place}: is not HOST:PORT.") from None
    try:
        socket.create_connection(address, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(
            ExitCode.JOB_FAILED,
            f"{flag} {place}: nobody answers ({reason}), and nothing was started. Start the cluster, or name "
            "the HOST:PORT where it listens.",
        ) from None


def cancel_job(result: Any) -> None:
    """Ends a job on a cluster, which would go on without this process, and waits until it has ended."""
    if not isinstance(result, PipelineResult):
        return
    with suppress(Exception):  # it has ended, or the job service is gone
        result.cancel()
        deadline = time.monotonic() + CANCEL_SECONDS
        while not PipelineState.is_terminal(result.state) and time.monotonic() < deadline:
            time.sleep(0.2)
