"""Input and output in Google Cloud Storage, against an emulator on this machine."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("gcp_storage_emulator", reason="pip install '.[gcp,cloudtest]' brings the emulator")
pytest.importorskip("google.cloud.storage", reason="pip install '.[gcp,cloudtest]' brings Google's library")

from object_stores import SAMPLES, RemoteCases, denying, forget_stores, free_port

from jobs.exit_codes import ExitCode

pytestmark = pytest.mark.slow
__all__ = ["denying"]


class GoogleStore:
    """A bucket of the emulator."""

    top = "gs://bucket"

    def __init__(self, url: str, monkeypatch) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        self._monkeypatch = monkeypatch
        self.point_at(url)
        client = storage.Client(project="test", credentials=AnonymousCredentials())
        self._bucket = client.bucket("bucket")

    def point_at(self, url: str) -> None:
        self._monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)

    def put(self, name: str, content: bytes) -> None:
        self._bucket.blob(name).upload_from_string(content)

    def get(self, name: str) -> bytes:
        return self._bucket.blob(name).download_as_bytes()

    def names(self, prefix: str) -> list[str]:
        return sorted(blob.name for blob in self._bucket.list_blobs(prefix=prefix))


@pytest.fixture
def emulator():
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("localhost", port, in_memory=True, default_bucket="bucket")
    server.start()
    yield f"http://localhost:{port}"
    server.stop()


@pytest.fixture
def store(emulator, monkeypatch) -> GoogleStore:
    forget_stores(monkeypatch)
    return GoogleStore(emulator, monkeypatch)


class TestGoogle(RemoteCases):
    scheme = "gs"
    odd_names = ("with space", "ümläut", "a[1]", "a*b")  # the emulator gives wrong links for # % ?

    def test_missing_credentials_are_told_at_once(self, here, monkeypatch, capsys):
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        self.run(here, code=ExitCode.NO_INPUT)
        told = capsys.readouterr().err
        assert "gcloud auth application-default login" in told
        assert "--no_auth" in told

    def test_the_command_as_a_user_types_it_with_two_workers(self, store):
        for name in ("form_0001.png", "form_0008.jpg"):
            store.put(f"scans/{name}", (SAMPLES / "hsf" / name).read_bytes())
        words = ["--input", "gs://bucket/scans/", "--output", "gs://bucket/out", "--template", "hsf"]
        words += ["--workers", "2"]
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", "run", *words],
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        assert "2 of 2 pages read" in done.stdout
        assert "formscribe query gs://bucket/out" in done.stdout
