"""Dataflow without Google: the job that would be sent, what is staged for it, and the Flex Template."""

import base64
import bz2
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import zlib
from argparse import Namespace
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_packaging import setup_values

from jobs.cli import main
from jobs.dataflow import template
from jobs.dataflow.defaults import DEFAULTS, check_places, default_flags, job_name
from jobs.dataflow.job import cancel_job, check_ended
from jobs.dataflow.staging import PACKAGES, requirements, stage_package
from jobs.exit_codes import CommandError, ExitCode

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "jobs" / "dataflow"
PLACES = ["--project", "my-project", "--region", "europe-west1", "--temp_location", "gs://bucket/tmp"]
RUN = ["--input", "gs://bucket/scans/", "--output", "gs://bucket/out", "--template", "hsf"]
GIVEN = {"project": "p", "region": "r", "temp_location": "gs://b/tmp", "staging_location": None}
IMAGE = {"sdk_container_image": "image", "setup_file": None, "extra_packages": None}


def known(**changes) -> Namespace:
    return Namespace(**(GIVEN | IMAGE | dict.fromkeys(DEFAULTS) | changes))


def test_what_is_missing_is_told_at_once():
    with pytest.raises(CommandError) as error:
        default_flags(known(project=None, region=None, temp_location=None))
    assert error.value.code == ExitCode.USAGE
    assert all(flag in str(error.value) for flag in ("--project", "--region", "--temp_location"))


@pytest.mark.parametrize("flag", ["temp_location", "staging_location"])
def test_what_is_staged_goes_to_a_bucket(flag):
    with pytest.raises(CommandError, match=f"--{flag} /tmp/x: must be a folder of a bucket"):
        default_flags(known(**{flag: "/tmp/x"}))


def test_defaults_are_set_unless_they_are_given():
    assert default_flags(known()) == [f"--{name}={value}" for name, value in DEFAULTS.items()]
    given = dict.fromkeys(DEFAULTS, "7")
    assert default_flags(known(**given)) == []


def test_workers_install_the_package_unless_something_else_is_named():
    (added,) = [flag for flag in default_flags(known(sdk_container_image=None)) if "setup_file" in flag]
    assert Path(added.partition("=")[2]).is_file()
    for name in ("sdk_container_image", "setup_file", "extra_packages"):
        given = default_flags(known(**{"sdk_container_image": None, name: "x"}))
        assert not any("setup_file" in flag for flag in given)


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("20260131T235959-1a2b3c", "formscribe-20260131t235959-1a2b3c"),
        ("My_run.2-", "formscribe-my-run-2"),
        ("x" * 64, "formscribe-" + "x" * 52),
    ],
)
def test_a_job_has_the_name_of_its_run(run_id, name):
    assert job_name(run_id) == name
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)


def test_workers_elsewhere_cannot_reach_this_machine():
    check_places(["gs://b/x"], "gs://b/out")
    with pytest.raises(CommandError, match="--input scans: is on this machine"):
        check_places(["gs://b/x", "scans"], "gs://b/out")
    with pytest.raises(CommandError, match="--output out: is on this machine"):
        check_places(["gs://b/x"], "out")


class Result:
    has_job = True

    def __init__(self, ended: bool) -> None:
        self.ended, self.cancelled = ended, False

    def job_id(self) -> str:
        return "job-7"

    def is_in_terminal_state(self) -> bool:
        return self.ended

    def cancel(self) -> None:
        self.cancelled = True


def test_what_a_living_job_writes_is_not_deleted():
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = PipelineOptions(PLACES)
    check_ended(Result(ended=True), flags)
    check_ended(None, flags)
    with pytest.raises(CommandError, match="gcloud dataflow jobs cancel job-7 --region europe-west1"):
        check_ended(Result(ended=False), flags)


def test_jobs_of_this_machine_are_not_cancelled():
    result = Result(ended=False)
    cancel_job(None)
    cancel_job(result)
    assert result.cancelled


def test_the_package_is_what_runs_here_without_tests():
    folder = stage_package().parent
    assert {path.name for path in folder.iterdir()} == {*PACKAGES, "setup.py"}
    assert (folder / "segmentation" / "forms" / "hsf.toml").is_file()
    assert (folder / "model" / "weights" / "shipped.tflite").is_file()
    assert not list(folder.rglob("test_*")) + list(folder.rglob("__pycache__")) + list(folder.rglob("*.woff"))
    for path in (ROOT / "pipeline").glob("*.py"):
        assert (folder / "pipeline" / path.name).read_bytes() == path.read_bytes()


def test_the_package_needs_what_reading_needs():
    names = {re.match(r"[\w-]+", text)[0] for text in requirements()}
    assert names == {re.match(r"[\w-]+", text)[0] for text in setup_values()["READ"]}


def test_the_template_asks_for_the_flags_of_run():
    stored = json.loads((FOLDER / "metadata.json").read_text())
    made = template.metadata()
    assert stored == made, "python -m jobs.dataflow.template > jobs/dataflow/metadata.json"
    names = {parameter["name"] for parameter in stored["parameters"]}
    assert {"input", "output", "template", "resume", "sdk_container_image"} <= names
    assert "workers" not in names
    required = {one["name"] for one in stored["parameters"] if not one["isOptional"]}
    assert required == {"input", "output", "template"}


def test_every_example_fits_its_pattern():
    patterns = {one["name"]: one["regexes"][0] for one in template.metadata()["parameters"]}
    assert re.fullmatch(patterns["input"], "gs://b/a/ gs://b/c*.png")
    assert not re.fullmatch(patterns["input"], "scans")
    assert not re.fullmatch(patterns["output"], "out")
    assert re.fullmatch(patterns["resume"], "true")


def test_parameters_become_words():
    words = ["--input=gs://b/a gs://b/c", "--template=hsf", "--resume=true", "--min_confidence=0.8"]
    words += ["--runner=DataflowRunner", "--project=p"]
    assert template.command_words(words) == [
        *["--input", "gs://b/a", "gs://b/c", "--template", "hsf", "--resume", "--min_confidence=0.8"],
        *["--runner=DataflowRunner", "--project=p"],
    ]
    assert template.command_words(["--resume=false"]) == []


def dockerfile(instruction: str) -> list[str]:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{instruction} ")]


def test_the_image_has_the_version_of_beam_that_is_pinned():
    (beam,) = [text for text in setup_values()["READ"] if text.startswith("apache-beam")]
    (base,) = dockerfile("FROM")
    low = re.search(r">=(\d+\.\d+)", beam)[1]
    assert base == f"apache/beam_python3.11_sdk:{low}.0"


def test_what_the_image_copies_is_there():
    copied = [words.split() for words in dockerfile("COPY") if not words.startswith("--from")]
    sources = [source for words in copied for source in words[:-1]]
    assert all((ROOT / source).exists() for source in sources)
    packages = {name.partition(".")[0] for name in setup_values()["packages"]}
    assert packages | {"setup.py", "pyproject.toml"} == set(sources)


def test_the_launcher_finds_its_file():
    (place,) = [words for words in dockerfile("ENV") if words.startswith("FLEX_TEMPLATE_PYTHON_PY_FILE=")]
    inside = place.partition("=")[2].removeprefix("/template/")
    done = subprocess.run(
        [sys.executable, ROOT / inside, "--help"], capture_output=True, text=True, timeout=120, cwd="/"
    )
    assert done.returncode == 0
    assert "formscribe run" in done.stdout


class FakeDataflow(BaseHTTPRequestHandler):
    """Takes a job, and says of it what ``server.state`` says."""

    def do_POST(self) -> None:
        self.keep()

    def do_PUT(self) -> None:
        self.keep()
        self.server.state = "JOB_STATE_CANCELLED"

    def keep(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.command, self.path, content))
        self.do_GET()
        self.server.got.set()

    def do_GET(self) -> None:
        job = {"id": "job-1", "projectId": "my-project", "name": "n", "currentState": self.server.state}
        body = json.dumps({"jobMessages": []} if "messages" in self.path else job).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words) -> None:
        """Says nothing."""


@pytest.fixture
def dataflow() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("localhost", 0), FakeDataflow)
    server.state, server.asked, server.got = "JOB_STATE_DONE", [], threading.Event()
    server.url = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def store(monkeypatch):
    pytest.importorskip("gcp_storage_emulator", reason="pip install '.[gcp,cloudtest]' brings the emulator")
    pytest.importorskip("google.cloud.storage", reason="pip install '.[gcp,cloudtest]' brings the library")
    from gcp_storage_emulator.server import create_server
    from object_stores import forget_stores, free_port
    from test_remote_gcs import GoogleStore

    forget_stores(monkeypatch)
    port = free_port()
    server = create_server("localhost", port, in_memory=True, default_bucket="bucket")
    server.start()
    store = GoogleStore(f"http://localhost:{port}", monkeypatch)
    store.put("scans/form_0001.png", (ROOT / "sample_forms" / "hsf" / "form_0001.png").read_bytes())
    yield store
    server.stop()


def command(*words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "run", *RUN, "--runner", "DataflowRunner", *PLACES, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def staged(store, suffix: str) -> bytes:
    (name,) = [name for name in store.names("tmp/") if name.endswith(suffix)]
    return store.get(name)


def functions_of(proto: bytes) -> list[bytes]:
    """The pickled functions of a job's graph, as Beam packs them."""
    from apache_beam.portability.api import beam_runner_api_pb2

    graph = beam_runner_api_pb2.Pipeline.FromString(proto)
    found = []
    for transform in graph.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            if payload.do_fn.payload:  # else one of Beam's own, known by its name
                found.append(payload.do_fn.payload)
    return found


def unpacked(function: bytes) -> bytes:
    packed = base64.b64decode(function)
    return bz2.decompress(packed) if packed.startswith(b"BZh") else zlib.decompress(packed)


@pytest.mark.slow
def test_the_job_as_dataflow_would_get_it(store, dataflow):
    done = command("--no_auth", "--dataflow_endpoint", dataflow.url, "--run_id", "one")
    _, told = done.communicate(timeout=280)
    assert done.returncode == ExitCode.JOB_FAILED, told  # the fake says that it is done, and reads nothing
    assert "DataflowRunner: set --machine_type=e2-standard-4 --disk_size_gb=30" in told
    assert "job job-1: https://console.cloud.google.com/dataflow/jobs/europe-west1/job-1" in told
    ((_, path, job),) = dataflow.asked
    assert path.startswith("/v1b3/projects/my-project/locations/europe-west1/jobs")
    assert job["name"] == "formscribe-one"
    (pool,) = job["environment"]["workerPools"]
    assert (pool["machineType"], pool["diskSizeGb"], pool["numThreadsPerWorker"]) == ("e2-standard-4", 30, 1)
    assert [image["useSingleCorePerContainer"] for image in pool["sdkHarnessContainerImages"]] == [True]
    assert "use_runner_v2" in job["environment"]["experiments"]
    names = {package["name"] for package in pool["packages"]}
    assert names == {"workflow.tar.gz", "submission_environment_dependencies.txt"}  # and no main session
    with tarfile.open(fileobj=io.BytesIO(staged(store, "workflow.tar.gz"))) as package:
        inside = {name.partition("/")[2] for name in package.getnames()}
    assert {"segmentation/forms/hsf.toml", "model/weights/shipped.tflite", "pipeline/build.py"} <= inside
    assert not [name for name in inside if "test" in name or name.startswith(("docs", "sample_forms"))]
    functions = functions_of(staged(store, "pipeline.pb"))
    assert len(functions) > 8
    assert not [function for function in functions if b"__main__" in unpacked(function)]
    assert store.names("out/") == []


@pytest.mark.slow
def test_the_launcher_of_a_flex_template_writes_the_graph(store):
    words = ["--no_auth", "--template_location=gs://bucket/launch/job_object", "--resume=false"]
    words += [
        "--input=gs://bucket/scans/ gs://bucket/scans/*.png",
        *RUN[2:],
        *PLACES,
        "--runner=DataflowRunner",
    ]
    done = subprocess.run(
        [sys.executable, FOLDER / "flex_main.py", *words],
        capture_output=True,
        text=True,
        timeout=280,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert "nothing has run" in done.stdout
    assert json.loads(store.get("launch/job_object"))["environment"]["workerPools"][0]["diskSizeGb"] == 30
    assert store.names("out/") == []


@pytest.mark.slow
def test_ctrl_c_ends_the_job(store, dataflow):
    dataflow.state = "JOB_STATE_RUNNING"
    process = command("--no_auth", "--dataflow_endpoint", dataflow.url)
    assert dataflow.got.wait(240)
    dataflow.got.clear()
    for line in process.stderr:
        if line.startswith("job job-1"):
            break
    process.send_signal(signal.SIGINT)
    assert dataflow.got.wait(60)
    process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert dataflow.asked[-1][0] == "PUT"
    assert dataflow.asked[-1][2]["requestedState"] in ("JOB_STATE_CANCELLED", 5)
    assert store.names("out/") == []


@pytest.mark.slow
def test_a_missing_flag_ends_the_command(store, capsys):
    assert main(["run", *RUN, "--runner", "DataflowRunner", "--region", "r"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "--project" in told
    assert "--temp_location" in told
    local = ["run", *RUN[2:], "--input", "sample_forms/hsf", "--runner", "DataflowRunner", *PLACES]
    assert main(local) == ExitCode.USAGE
    assert "--input" in capsys.readouterr().err
    words = ["run", *RUN, "--runner", "DataflowRunner", *PLACES[:4], "--temp_location", "gs://nobucket/x"]
    assert main(words) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "there is no bucket gs://nobucket" in capsys.readouterr().err


WORKER = """
import sys
from apache_beam.internal import pickler
import json
for text in json.load(open(sys.argv[1])):
    pickler.loads(text.encode())
print("all loaded")
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_staged_reads_a_page_in_a_new_environment(store, dataflow, tmp_path):
    """As a worker does: the package is installed with pip, the functions are loaded, a page is read."""
    process = command("--no_auth", "--dataflow_endpoint", dataflow.url)
    process.communicate(timeout=280)
    (tmp_path / "workflow.tar.gz").write_bytes(staged(store, "workflow.tar.gz"))
    functions = [one.decode() for one in functions_of(staged(store, "pipeline.pb"))]
    (tmp_path / "functions.json").write_text(json.dumps(functions))
    (tmp_path / "worker.py").write_text(WORKER)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=800
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "workflow.tar.gz")
    assert "all loaded" in run(python, "worker.py", "functions.json")
    scan = ROOT / "sample_forms" / "hsf" / "form_0001.png"
    words = ["--input", str(scan), "--output", "out", "--template", "hsf"]
    assert "1 of 1 pages read" in run(python, "-m", "jobs.cli", "run", *words)
    assert str(tmp_path) in run(python, "-c", "import pipeline; print(pipeline.__file__)")
