"""Beam's own flags: told from mistyped ones before anything starts, which Beam itself only warns about."""

import os
from collections.abc import Sequence
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser
from apache_beam.runners.runner import create_runner

from jobs.cli import unknown_flag
from jobs.dataflow.defaults import default_flags, is_dataflow, tell
from jobs.exit_codes import CommandError, ExitCode

WORKERS_A_CORE = 4
LEAST_MOST_WORKERS = 16  # are taken by any machine

DEFAULT_RUNNER = "FnApiRunner"  # `DirectRunner` would first try to download a binary, without a time-out

# Understood by the job servers of Flink and Spark, not by the Python SDK, which hands them on.
RUNNER_SIDE = (
    "--parallelism",
    "--max_parallelism",
    "--max_bundle_size",
    "--max_bundle_time_mills",
    "--checkpointing_interval",
    "--object_reuse",
    "--number_of_execution_retries",
    "--execution_retry_delay",
    "--disable_metrics",
    "--execution_mode_for_batch",
    "--use_datastream_for_batch",
    "--files_to_stage",
    "--flink_conf_dir",
)


class _FlagParser(_BeamArgumentParser):  # type: ignore[misc]
    """Beam's parser, with errors that the command can show in one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(ExitCode.USAGE, f"run: {message}")


def beam_options(
    flags: Sequence[str], own_flags: Sequence[str], workers: int | None = None
) -> PipelineOptions:
    """Beam's options from the words that the command itself does not know.

    Args:
        flags: such as ``--runner=FlinkRunner`` or ``--runner FlinkRunner``.
        own_flags: of the command, for the did-you-mean.
        workers: processes of the local runner; None leaves that to the flags.

    Raises:
        CommandError: a word that nobody understands, a wrong value, a runner that does not exist, or workers
            of one that is not local.
    """
    parser = _FlagParser(allow_abbrev=False)
    for kind in {str(kind): kind for kind in PipelineOptions.__subclasses__()}.values():
        kind._add_argparse_args(parser)
    for flag in RUNNER_SIDE:
        if flag not in parser._option_string_actions:
            parser.add_argument(flag)
    known, unknown = parser.parse_known_args(list(flags))
    if unknown:
        candidates = [*own_flags, *parser._option_string_actions]
        raise CommandError(ExitCode.USAGE, unknown_flag(unknown[0], candidates, "run"))
    _check_runner(known)
    chosen = [] if known.runner else [f"--runner={DEFAULT_RUNNER}"]
    chosen += _worker_flags(known, workers)
    if is_dataflow(known.runner):
        chosen += default_flags(known)
        tell(chosen)
    return PipelineOptions([*flags, *chosen])


def worker_processes(options: PipelineOptions) -> bool:
    """Whether the job's workers are other processes of this machine, started by the local runner."""
    known = options.get_all_options()
    local = known["runner"] == DEFAULT_RUNNER
    return local and known["direct_running_mode"] == "multi_processing"


def _worker_flags(known: Any, workers: int | None) -> list[str]:
    if workers is None:
        return []
    if workers < 1:
        raise CommandError(ExitCode.USAGE, f"--workers {workers}: must be at least 1.")
    most = max(LEAST_MOST_WORKERS, WORKERS_A_CORE * (os.cpu_count() or 1))
    if workers > most:
        raise CommandError(
            ExitCode.USAGE,
            f"--workers {workers}: is more than this machine has any use for. Take about one a core, which "
            f"are {os.cpu_count()}; at most {most}.",
        )
    if known.runner not in (None, DEFAULT_RUNNER):
        raise CommandError(
            ExitCode.USAGE,
            f"--workers {workers}: is for the local runner; {known.runner} has flags of its own for that.",
        )
    if known.direct_num_workers != 1 or known.direct_running_mode != "in_memory":
        raise CommandError(ExitCode.USAGE, f"--workers {workers}: leave out the --direct_ flags.")
    if workers == 1:
        return []
    return [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]


def _check_runner(known: Any) -> None:
    try:
        create_runner(known.runner or DEFAULT_RUNNER)
    except (ValueError, ImportError, AttributeError) as error:
        raise CommandError(ExitCode.USAGE, f"--runner {known.runner}: {error}") from None
