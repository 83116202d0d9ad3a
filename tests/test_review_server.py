"""`formscribe review` as a user types it: its address, Ctrl-C, being killed, and why it cannot start."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jobs import review as review_command
from jobs.cli import main
from jobs.exit_codes import ExitCode
from review.serve import listen
from review.verified import read_verified
from tests.desk_folder import slips

FORMSCRIBE = [sys.executable, "-m", "jobs.cli"]
ROOT = Path(__file__).resolve().parent.parent
HEADERS = {"X-Formscribe": "1"}
WAIT = 120.0


@contextlib.contextmanager
def serving(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server in a process of its own, and the address it prints."""
    process = subprocess.Popen(
        [*FORMSCRIBE, "review", *words, "--port", "0", "--no-browser"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, process.stderr.read() if process.stderr else "")
        yield process, found[0]
    finally:
        process.kill()
        process.communicate(timeout=WAIT)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_with_ctrl_c(tmp_path, how):
    output = slips(tmp_path)
    with serving(str(output)) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(address, timeout=WAIT).status_code == 200
        leased = httpx.post(
            address + "api/lease", json={"verifier": "ann", "count": 2}, headers=HEADERS, timeout=WAIT
        ).json()
        assert leased["remaining"] == 6
        process.send_signal(how)
        out, err = process.communicate(timeout=WAIT)
        assert (process.returncode, out) == (ExitCode.OK, "")
        assert err == "desk: closed\n"
    assert not (output / "_review" / "corrections.sqlite-wal").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_without_waiting_for_the_other_side(host):
    try:
        listening = listen(host, 0)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_token_is_printed_and_asked_for(tmp_path):
    output = str(slips(tmp_path, 1))
    with serving(output, "--host", "0.0.0.0") as (_, address):
        port, token = re.search(r":(\d+)/\?token=(\S+)$", address).groups()
        here = f"http://127.0.0.1:{port}/"
        assert httpx.get(here + "api/progress", timeout=WAIT).status_code == 401
        answer = httpx.get(here, params={"token": token}, timeout=WAIT, follow_redirects=True)
        assert answer.status_code == 200
    with serving(output, FORMSCRIBE_TOKEN="a-token-of-my-own-choice") as (_, address):
        assert address.endswith("?token=a-token-of-my-own-choice")


def test_what_was_answered_with_200_survives_a_kill(tmp_path):
    """Four people answer as fast as they can; the server is killed in the middle, three times."""
    output = slips(tmp_path, 60)
    acknowledged: dict[tuple[str, str], str] = {}
    for round_number in range(3):
        with serving(str(output)) as (process, address):
            enough = threading.Semaphore(0)

            def work(verifier: str, address=address, enough=enough, number=round_number) -> None:
                with httpx.Client(base_url=address, headers=HEADERS, timeout=WAIT) as client:
                    while True:
                        body = {"verifier": verifier, "count": 2}
                        for field in client.post("api/lease", json=body).json()["fields"]:
                            text = f"{verifier}{number}"
                            answer = client.put(
                                f"api/fields/{field['id']}",
                                json={"verifier": verifier, "verdict": "text", "text": text},
                            )
                            if answer.status_code == 200:
                                acknowledged[field["source"], field["field"]] = text
                                enough.release()

            def until_it_dies(verifier: str, work=work) -> None:
                with contextlib.suppress(httpx.HTTPError):
                    work(verifier)

            people = [threading.Thread(target=until_it_dies, args=(name,)) for name in "abcd"]
            for person in people:
                person.start()
            for _ in range(20):
                assert enough.acquire(timeout=WAIT)
            process.send_signal(signal.SIGKILL)
            for person in people:
                person.join(timeout=WAIT)
    assert len(acknowledged) >= 60
    from jobs.query import execute, open_results

    sql = "SELECT source, field, verified_text FROM fields WHERE verdict IS NOT NULL"
    kept = {(source, field): text for source, field, text in execute(open_results(output), sql)[1]}
    assert acknowledged.items() <= kept.items()
    verified = read_verified(output)
    assert verified is not None
    said = verified.corrections.to_pylist()
    keys = [(row["sha256"], row["field"]) for row in said]
    assert len(keys) == len(set(keys))  # nobody was given a field that was answered
    with serving(str(output)) as (_, address):
        progress = httpx.get(address + "api/progress", timeout=WAIT).json()
    assert (progress["review"], progress["done"]) == (120, len(said))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], ExitCode.NO_RESULTS, "is no folder"),
        (["{out}", "--port", "70000"], ExitCode.USAGE, "--port 70000"),
        (["{out}", "--token", "short"], ExitCode.USAGE, "at least 16"),
        (["{out}", "--template", "nowhere.toml"], ExitCode.BAD_TEMPLATE, "nowhere.toml"),
        (["{out}", "--scans", "nowhere"], ExitCode.NO_INPUT, "--scans nowhere"),
        (["{out}", "--database", "mysql://x"], ExitCode.OUTPUT_NOT_WRITABLE, "not supported"),
        (["{out}", "--database", "nonsense"], ExitCode.OUTPUT_NOT_WRITABLE, "postgresql+psycopg://"),
        (
            ["{out}", "--database", "postgresql://u:secret@127.0.0.1:1/x"],
            ExitCode.OUTPUT_NOT_WRITABLE,
            "postgresql+psycopg://u:***@127.0.0.1:1/x: cannot be used",
        ),
        (["{out}", "--host", "203.0.113.1"], ExitCode.USAGE, "cannot listen there"),
        (["{out}", "--max_upload_mb", "0"], ExitCode.USAGE, "--max_upload_mb"),
    ],
)
def test_what_it_says_when_it_cannot_start(capsys, tmp_path, words, code, said):
    output = slips(tmp_path, 1)
    assert main(["review", *[word.format(out=output) for word in words]]) == code
    message = capsys.readouterr().err
    assert said in message
    assert "secret" not in message


def test_without_the_extra_it_names_the_remedy(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(
        review_command.importlib.util, "find_spec", lambda name: None if name == "fastapi" else 1
    )
    assert main(["review", str(tmp_path)]) == ExitCode.USAGE
    assert "pip install '.[review]'" in capsys.readouterr().err


def test_a_database_of_a_newer_version_is_left_alone(capsys, tmp_path):
    import sqlite3

    output = slips(tmp_path, 1)
    with serving(str(output)):
        pass
    path = output / "_review" / "corrections.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert main(["review", str(output), "--no-browser"]) == ExitCode.OUTPUT_NOT_WRITABLE
    assert "a newer version of formscribe" in capsys.readouterr().err
