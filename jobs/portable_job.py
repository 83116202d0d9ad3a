"""A job that a cluster runs through Beam's job service, on Flink or Spark: is it there, and ending it."""

import json
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.portability.job_server import StopOnExitJobServer
from apache_beam.runners.portability.portable_runner import PipelineResult
from apache_beam.runners.runner import PipelineState

from jobs.dataflow.defaults import job_name
from jobs.exit_codes import CommandError, ExitCode

CONNECT_SECONDS = 10
CANCEL_SECONDS = 60
_ENDED = ("FINISHED", "CANCELED", "FAILED")
_INSIDE = ("[auto]", "[local]")  # Flink within the job service


def check_reachable(flags: PipelineOptions) -> None:
    """Sees whether somebody listens where the job would be sent, which Beam finds out after minutes only.

    Raises:
        CommandError: nobody does.
    """
    known = flags.get_all_options()
    places = {
        "--job_endpoint": known["job_endpoint"],
        "--flink_master": _flink(flags) and known["flink_master"],
    }
    for flag, place in places.items():
        if place and place not in _INSIDE:
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


def name_job(flags: PipelineOptions, run_id: str) -> None:
    """Gives a job on a Flink cluster a name by which it is found again; a name of the user's own stays."""
    google = flags.view_as(GoogleCloudOptions)
    if _flink(flags) and not google.job_name:
        google.job_name = job_name(run_id)


def cancel_job(result: Any, flags: PipelineOptions) -> None:
    """Ends a job on a cluster, which would go on without this process, and waits until it has ended.

    Args:
        result: of the runner, None if it had not come to that.
        flags: of Beam, with the job's name.
    """
    with suppress(Exception):  # it has ended, or the cluster is gone
        if _flink(flags):
            # Beam's job service forgets the job on a cancel, and Flink goes on with it.
            _cancel_on_flink(_flink(flags), flags.view_as(GoogleCloudOptions).job_name)
        elif isinstance(result, PipelineResult):
            result.cancel()
            _wait_until(lambda: PipelineState.is_terminal(result.state))


def stop_service(handler: object) -> None:
    """Ends a job service that Beam has started for this process.

    Args:
        handler: of Ctrl-C, as the runner has left it: Beam ends its service there, and nowhere else if the
            process is ended by another signal.
    """
    server = getattr(handler, "__self__", None)
    if isinstance(server, StopOnExitJobServer):
        with suppress(Exception):
            server.stop()


def _flink(flags: PipelineOptions) -> str:
    """The address of the Flink cluster that the flags name, or nothing."""
    known = flags.get_all_options()
    master = known["flink_master"]
    if known["runner"] != "FlinkRunner" or known["job_endpoint"] or master in _INSIDE:
        return ""
    return master if "://" in master else f"http://{master}"


def _cancel_on_flink(address: str, name: str) -> None:
    def ask(path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{address.rstrip('/')}{path}", method=method)
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")

    def living() -> list[str]:
        jobs = ask("/jobs/overview")["jobs"]
        return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in _ENDED]

    for job in living():
        ask(f"/jobs/{job}?mode=cancel", "PATCH")
    _wait_until(lambda: not living())


def _wait_until(ended: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CANCEL_SECONDS
    while not ended() and time.monotonic() < deadline:
        time.sleep(0.2)
