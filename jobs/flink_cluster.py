"""A Flink cluster on one Linux machine, for trials: a job manager, task managers each with a pool of workers.

``python -m jobs.flink_cluster start`` fetches what is missing, starts everything and prints what to add to
``formscribe run``. It listens on localhost only.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from jobs.cli import Parser
from jobs.exit_codes import CommandError, ExitCode
from jobs.flink_parts import OPENED, cache_folder, flink_jars, job_server_jar

HOST = "localhost"
POOL = "worker-pool"  # each task manager finds its own pool under this name
START_SECONDS = 180
STOP_SECONDS = 20
EPILOG = """examples:
  python -m jobs.flink_cluster start
  python -m jobs.flink_cluster flags    for formscribe run
  python -m jobs.flink_cluster status
  python -m jobs.flink_cluster stop

Needs Java 17 and, the first time, Maven and a network: about 400 MB go into ~/.cache/formscribe, or into
$FORMSCRIBE_CACHE.
"""
_NOTES = "cluster.json"
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_SESSION = ("--executionMode", "cluster")
_TASK_MANAGER_MEMORY = ("-Xmx640m", "-XX:MaxDirectMemorySize=512m", "-XX:MaxMetaspaceSize=256m")
_CONFIGURATION = """jobmanager.rpc.address: {host}
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: {host}
rest.address: {host}
rest.bind-address: {host}
rest.port: {rest_port}
taskmanager.host: {host}
taskmanager.bind-host: {host}
taskmanager.numberOfTaskSlots: {slots}
taskmanager.load-balance.mode: SLOTS
taskmanager.cpu.cores: {slots}
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.managed.size: 256m
taskmanager.memory.network.min: 256m
taskmanager.memory.network.max: 256m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 2 s
jobmanager.execution.failover-strategy: region
heartbeat.interval: 2000
heartbeat.timeout: 20000
io.tmp.dirs: {folder}/tmp
"""
_LOGGING = """rootLogger.level = INFO
rootLogger.appenderRef.out.ref = Out
appender.out.name = Out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} %m%n
"""


@dataclass(frozen=True)
class Process:
    """A process of the cluster.

    Attributes:
        name: ``job_manager``, ``task_manager_1`` and so on, or ``worker_pool_1``; its log has this name.
        pid: number of the process.
        started: when, in the system's own units; tells it from a later process of the same number.
    """

    name: str
    pid: int
    started: str

    def lives(self) -> bool:
        """Whether it is still there and no zombie."""
        return self.started == _start_of(self.pid)


@dataclass(frozen=True)
class Cluster:
    """A cluster that has been started.

    Attributes:
        rest_port: of the job manager's web page and REST interface.
        pool_port: where the worker pools listen.
        job_server: the jar for ``--flink_job_server_jar``.
        parallelism: so many slots are left if one task manager is lost.
        processes: all of them.
    """

    rest_port: int
    pool_port: int
    job_server: str
    parallelism: int
    processes: tuple[Process, ...]

    def flags(self) -> list[str]:
        """What ``formscribe run`` needs to read on this cluster."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={HOST}:{self.rest_port}",
            f"--flink_job_server_jar={self.job_server}",
            "--environment_type=EXTERNAL",
            f"--environment_config={POOL}:{self.pool_port}",
            f"--parallelism={self.parallelism}",
        ]

    def ask(self, path: str) -> Any:
        """What the job manager's REST interface answers, as it is documented by Flink; raises OSError."""
        with urllib.request.urlopen(f"http://{HOST}:{self.rest_port}{path}", timeout=10) as answer:
            return json.loads(answer.read())


@dataclass(frozen=True)
class Plan:
    """What to start; ports are of localhost.

    Attributes:
        folder: absolute; for configuration, logs, temporary files and what is noted down.
        task_managers: how many.
        slots: of each.
        rest_port: of the job manager's web page and REST interface.
        pool_port: of the worker pools, each on an address of its own.
    """

    folder: Path
    task_managers: int = 2
    slots: int = 2
    rest_port: int = 8081
    pool_port: int = 50000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one action; returns an ``ExitCode``."""
    try:
        args = _parser().parse_args(argv)
        folder = Path(args.folder).absolute() if args.folder else cache_folder() / "flink" / "cluster"
        if args.action == "start":
            cluster = start(Plan(folder, args.task_managers, args.slots, args.port, args.pool_port))
            print(f"Flink runs on http://{HOST}:{cluster.rest_port}. To read on it, add to formscribe run:")
            print("  " + " \\\n  ".join(shlex.quote(flag) for flag in cluster.flags()))
        elif args.action == "stop":
            print(f"{stop(folder)} processes stopped")
        elif args.action == "flags":
            print(shlex.join(_load(folder).flags()))
        else:
            return _status(_load(folder), folder)
    except CommandError as error:
        print(f"flink_cluster: {error}", file=sys.stderr)
        return int(error.code)
    return ExitCode.OK


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jobs.flink_cluster",
        description=(__doc__ or "").partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = "start; stop; status, which exits with 8 if a part is missing; flags for formscribe run"
    parser.add_argument("action", choices=["start", "stop", "status", "flags"], help=actions)
    parser.add_argument("--folder", help="for logs and notes (default: flink/cluster in the cache folder)")
    numbers = {
        "--task_managers": (2, "how many"),
        "--slots": (2, "of each task manager; if one is lost, the others need room for its work"),
        "--port": (8081, "of the web page"),
        "--pool_port": (50000, "of the worker pools"),
    }
    for flag, (default, told) in numbers.items():
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{told} (default: %(default)s)"
        )
    return parser


def start(plan: Plan) -> Cluster:
    """Starts a cluster and waits until all of it answers.

    Raises:
        CommandError: something is missing, a port is taken, one runs already, or it did not come up.
    """
    _check(plan)
    jars, job_server = flink_jars(cache_folder()), job_server_jar(cache_folder())
    _configure(plan)
    processes = []
    for name, words in _commands(plan, jars).items():
        processes.append(_spawn(plan.folder, name, words))
        spare = max(plan.task_managers - 1, 1) * plan.slots
        cluster = Cluster(plan.rest_port, plan.pool_port, str(job_server), spare, tuple(processes))
        (plan.folder / _NOTES).write_text(json.dumps(asdict(cluster), indent=2))
    try:
        _wait_until_up(plan, cluster)
    except BaseException:
        stop(plan.folder)
        raise
    return cluster


def stop(folder: Path) -> int:
    """Ends all processes of a cluster, its workers with them; returns how many there were."""
    alive = [process for process in _load(folder).processes if process.lives()]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.lives() for process in alive) and time.monotonic() < deadline:
            time.sleep(0.1)
    (folder / _NOTES).unlink()
    return len(alive)


def _status(cluster: Cluster, folder: Path) -> ExitCode:
    for process in cluster.processes:
        state = "runs" if process.lives() else "is gone"
        print(f"{process.name} (process {process.pid}) {state}; log: {folder / 'log' / process.name}.log")
    try:
        found = cluster.ask("/overview")
    except OSError as error:
        raise CommandError(ExitCode.JOB_FAILED, f"the job manager does not answer: {error}.") from None
    print(
        f"http://{HOST}:{cluster.rest_port}: {found['taskmanagers']} task managers, "
        f"{found['slots-available']} of {found['slots-total']} slots free, "
        f"{found['jobs-running']} jobs running"
    )
    return ExitCode.OK if all(process.lives() for process in cluster.processes) else ExitCode.JOB_FAILED


def _check(plan: Plan) -> None:
    if min(plan.task_managers, plan.slots) < 1:
        raise CommandError(ExitCode.USAGE, "--task_managers and --slots must be at least 1.")
    if shutil.which("java") is None:
        raise CommandError(ExitCode.USAGE, "java is missing: sudo apt install openjdk-17-jre-headless.")
    if (plan.folder / _NOTES).exists() and any(process.lives() for process in _load(plan.folder).processes):
        raise CommandError(
            ExitCode.USAGE, f"a cluster of {plan.folder} runs already: stop it, or name another --folder."
        )
    places = {"--port": (HOST, plan.rest_port), "--pool_port": (_machine(1), plan.pool_port)}
    for flag, (host, port) in places.items():
        if _answers(host, port):
            raise CommandError(ExitCode.USAGE, f"{flag} {port}: is taken by another program; name another.")


def _configure(plan: Plan) -> None:
    for name in ("conf", "log", "tmp"):
        (plan.folder / name).mkdir(parents=True, exist_ok=True)
    configuration = _CONFIGURATION.format(
        host=HOST, rpc_port=free_port(), rest_port=plan.rest_port, slots=plan.slots, folder=plan.folder
    )
    (plan.folder / "conf" / "config.yaml").write_text(configuration)
    (plan.folder / "conf" / "log4j.properties").write_text(_LOGGING)
    for number in range(1, plan.task_managers + 1):
        hosts = f"127.0.0.1 {HOST} {socket.gethostname()}\n{_machine(number)} {POOL}\n"
        (plan.folder / "conf" / f"hosts_{number}").write_text(hosts)


def _commands(plan: Plan, jars: Sequence[Path]) -> dict[str, list[str]]:
    conf = plan.folder / "conf"
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
    logging = f"-Dlog4j.configurationFile=file:{conf / 'log4j.properties'}"
    class_path = ["-cp", os.pathsep.join(map(str, jars))]
    start = [*opened, logging, *class_path]
    job_manager = ["java", "-Xmx512m", *start, _JOB_MANAGER, "--configDir", str(conf), *_SESSION]
    commands = {"job_manager": job_manager}
    for number in range(1, plan.task_managers + 1):
        hosts = f"-Djdk.net.hosts.file={conf / f'hosts_{number}'}"
        commands[f"task_manager_{number}"] = [
            "java",
            *_TASK_MANAGER_MEMORY,
            hosts,
            *start,
            _TASK_MANAGER,
            "--configDir",
            str(conf),
            f"-Dtaskmanager.resource-id=task_manager_{number}",
        ]
        pool = [sys.executable, "-m", "jobs.flink_pool"]
        commands[f"worker_pool_{number}"] = [*pool, f"--address={_machine(number)}:{plan.pool_port}"]
    return commands


def _spawn(folder: Path, name: str, words: Sequence[str]) -> Process:
    """Starts a process in a group of its own, so that it outlives the terminal and ends with its children."""
    # The pool starts workers as `python`, whatever it was started with itself.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with open(folder / "log" / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"PATH": path, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    return Process(name, process.pid, _start_of(process.pid))


def _wait_until_up(plan: Plan, cluster: Cluster) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for process in cluster.processes:
            if not process.lives():
                _did_not_come_up(plan, process.name)
        with suppress(OSError):
            registered = cluster.ask("/overview")["taskmanagers"]
            pools = range(1, plan.task_managers + 1)
            if registered == plan.task_managers and all(
                _answers(_machine(number), plan.pool_port) for number in pools
            ):
                return
        time.sleep(0.5)
    _did_not_come_up(plan, "job_manager")


def _did_not_come_up(plan: Plan, name: str) -> NoReturn:
    log = plan.folder / "log" / f"{name}.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    causes = [
        line for line in lines if line.startswith("Caused by:")
    ]  # the last is the first thing to happen
    told = (causes or lines or ["it said nothing"])[-1]
    raise CommandError(ExitCode.JOB_FAILED, f"{name} did not come up: {told} (all of it: {log})")


def _load(folder: Path) -> Cluster:
    try:
        notes = json.loads((folder / _NOTES).read_text())
    except OSError:
        raise CommandError(
            ExitCode.USAGE, f"no cluster was started in {folder}: python -m jobs.flink_cluster start"
        ) from None
    processes = tuple(Process(**process) for process in notes.pop("processes"))
    return Cluster(**notes, processes=processes)


def free_port() -> int:
    """A port of localhost that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _machine(number: int) -> str:
    """The address at which a task manager has its worker pool, as if it were a machine of its own."""
    return f"127.0.0.{number + 1}"


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _start_of(pid: int) -> str:
    """When a process started; empty if it is gone, or dead and not yet cleared away."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


if __name__ == "__main__":
    sys.exit(main())
