"""A job that a service runs: shown to people, and ended when they press Ctrl-C."""

from contextlib import suppress
from typing import Any, TextIO

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from jobs.dataflow.defaults import is_dataflow
from jobs.exit_codes import CommandError, ExitCode

CONSOLE = "https://console.cloud.google.com/dataflow/jobs/{region}/{job}?project={project}"


def written_graph(flags: PipelineOptions) -> str | None:
    """Where the job's graph goes instead of being run, as the launcher of a Flex Template wants it."""
    google = flags.view_as(GoogleCloudOptions)
    return google.template_location if is_dataflow(flags.get_all_options()["runner"]) else None


def show_job(result: Any, flags: PipelineOptions, stream: TextIO) -> None:
    """Says where to watch a job of Dataflow; nothing for other runners."""
    if getattr(result, "has_job", False):
        stream.write(f"job {result.job_id()}: {_console(result, flags)}\n")
        stream.flush()


def check_ended(result: Any, flags: PipelineOptions) -> None:
    """Sees, after an error, whether a job of Dataflow has ended: what a living one writes must stay.

    Raises:
        CommandError: it goes on, as far as is known.
    """
    if getattr(result, "has_job", False) and not result.is_in_terminal_state():
        region = flags.view_as(GoogleCloudOptions).region
        raise CommandError(
            ExitCode.JOB_FAILED,
            f"lost sight of job {result.job_id()}, which may go on. See {_console(result, flags)}, or end "
            f"it: gcloud dataflow jobs cancel {result.job_id()} --region {region}",
        )


def _console(result: Any, flags: PipelineOptions) -> str:
    google = flags.view_as(GoogleCloudOptions)
    return CONSOLE.format(region=google.region, job=result.job_id(), project=google.project)


def cancel_job(result: Any) -> None:
    """Ends a job of Dataflow, which would go on and cost money; others end with this process."""
    if getattr(result, "has_job", False):
        with suppress(Exception):  # it has ended, or the service does not answer
            result.cancel()
