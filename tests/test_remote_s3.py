"""Input and output in Amazon's S3, against moto's server on this machine."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("moto.server", reason="pip install '.[aws,cloudtest]' brings the emulator")
pytest.importorskip("boto3", reason="pip install '.[aws,cloudtest]' brings Amazon's library")

import boto3
from object_stores import SAMPLES, RemoteCases, denying, forget_stores

from jobs.exit_codes import ExitCode
from pipeline.matching import match_files

pytestmark = pytest.mark.slow
__all__ = ["denying"]
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class AmazonStore:
    """A bucket of moto's server."""

    top = "s3://bucket"

    def __init__(self, url: str, monkeypatch) -> None:
        self.url, self._monkeypatch = url, monkeypatch
        self.point_at(url)
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        self._client = boto3.client("s3", endpoint_url=url)
        self._client.create_bucket(Bucket="bucket")

    def point_at(self, url: str) -> None:
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    def put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket="bucket", Key=name, Body=content)

    def get(self, name: str) -> bytes:
        return self._client.get_object(Bucket="bucket", Key=name)["Body"].read()

    def names(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


@pytest.fixture
def server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("localhost", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(server, monkeypatch):
    forget_stores(monkeypatch)
    store = AmazonStore(server, monkeypatch)
    yield store
    for name in store.names(""):  # moto's buckets live as long as the process
        store._client.delete_object(Bucket="bucket", Key=name)


class TestAmazon(RemoteCases):
    scheme = "s3"

    def test_missing_credentials_are_told_at_once(self, here, monkeypatch, capsys):
        for name in KEYS:
            monkeypatch.delenv(name)
        self.run(here, code=ExitCode.NO_INPUT)
        assert "AWS_ACCESS_KEY_ID" in capsys.readouterr().err

    def test_credentials_may_be_flags(self, here, monkeypatch):
        for name in (*KEYS, "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)
        flags = [f"--s3_endpoint_url={here.url}", "--s3_region_name=us-east-1"]
        assert self.run(here, *flags, "--s3_access_key_id=key", "--s3_secret_access_key=secret")["forms"] == 3

    def test_clients_share_the_description_of_the_service(self, here):
        import botocore.session

        self.run(here)
        loaders = {botocore.session.get_session().get_component("data_loader") for _ in range(2)}
        assert len(loaders) == 1

    def test_a_listing_of_several_pages(self, here):
        for number in range(1005):
            here.put(f"many/{number:04}.png", b"")
        self.run(here)
        assert sum(1 for _ in match_files("s3://bucket/many/")) == 1005

    def test_the_command_as_a_user_types_it_with_two_workers(self, store):
        for name in ("form_0001.png", "form_0008.jpg"):
            store.put(f"scans/{name}", (SAMPLES / "hsf" / name).read_bytes())
        words = ["--input", "s3://bucket/scans/", "--output", "s3://bucket/out", "--template", "hsf"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "jobs.cli",
                "run",
                *words,
                "--workers",
                "2",
                "--s3_endpoint_url",
                store.url,
            ],
            env={name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"},
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        assert "2 of 2 pages read" in done.stdout
        assert store.names("out/_temp/") == []
