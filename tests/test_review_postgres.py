"""The desk on PostgreSQL: a server of its own in a temporary folder, if the programs are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.cli import main
from jobs.exit_codes import ExitCode
from review.database import Database
from review.keys import CharacterKey, parse_field_id
from review.marks import Said
from review.tables import corrections, metadata, queue
from review.verified import read_verified
from tests.desk_folder import field, key_of, open_desk, slips, write_run


def programs() -> Path | None:
    """Where initdb and postgres lie; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).parent if found else (places[-1].parent if places else None)


def as_nobody_special() -> dict:
    """PostgreSQL refuses to run as root; as any other user the test runs it as that one."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def server():
    """The address of a server without databases of anybody; it listens on a socket only."""
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    who = as_nobody_special()
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # the path of a socket must be short
    if who:
        os.chown(folder, who["user"], who["group"])

    def run(*words: str) -> None:
        done = subprocess.run(
            [str(binaries / words[0]), *words[1:]], cwd=folder, capture_output=True, timeout=240, **who
        )
        assert done.returncode == 0, done.stderr.decode()

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", "desk", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        run("pg_ctl", "-D", data, "-w", "-t", "200", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://desk@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(server):
    """The server with no tables in it."""
    yield server
    database = Database(server)
    with database.writing() as connection:
        metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    database.close()


def test_the_same_answers_as_in_sqlite(address, tmp_path, capsys):
    output = slips(tmp_path)
    desk = open_desk(output, address)
    first, second, accepted = (key_of(output, "s0.png", name) for name in "abc")
    leased = [row["id"] for row in desk.lease("ann", 2, None, [])["fields"]]
    assert leased[0] == first.id
    desk.queue.answer(first, "ann", "text", "Ж9")
    desk.queue.answer(second, "ann", "blank", None)
    desk.queue.answer(second, "ann", "unreadable", None)
    assert desk.marks.save("bob", [Said(CharacterKey(accepted, 0), "wrong")]).returned == [accepted.id]
    desk.queue.undo(first, "ann")
    desk.queue.answer(first, "ann", "text", "99")
    scan = str(tmp_path / "scans" / "s0.png")
    write_run(output, "run2", {scan: [field("a", "31", 0.3), field("c", "70", 0.98, "accepted")]})
    desk.take_in()
    assert desk.queue.find(first)["state"] == "done"
    assert desk.queue.find(accepted)["state"] == "open"
    assert desk.queue.progress("ann") == {"review": 7, "done": 2, "remaining": 5, "mine": 2, "last_hour": 2}
    desk.close()
    sql = "SELECT field, verdict, verified_text, final_text FROM fields WHERE verdict IS NOT NULL"
    assert main(["query", str(output), sql, "--database", address, "--format", "csv"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1:] == ["a,text,99,99"]  # run2 has no field b
    assert main(["query", str(output), sql, "--format", "csv"]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1:] == []  # nothing is in the folder itself


def test_two_servers_never_give_out_the_same_field(address, tmp_path):
    """Each desk has connections of its own, as two processes have."""
    output = slips(tmp_path, 40)
    desks = [open_desk(output, address) for _ in range(2)]
    start = threading.Barrier(4)

    def work(number: int) -> list[str]:
        desk, verifier = desks[number % 2], f"v{number}"
        start.wait()
        done = []
        for _ in range(30):
            for row in desk.lease(verifier, 2, None, [])["fields"]:
                desk.queue.answer(parse_field_id(row["id"]), verifier, "text", "1")
                done.append(row["id"])
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [field_id for part in pool.map(work, range(4)) for field_id in part]
    assert len(done) == len(set(done)) == 80
    assert desks[0].queue.progress(None)["remaining"] == 0
    with desks[0].database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(corrections)) == 80
        still_open = sa.select(sa.func.count()).select_from(queue).where(queue.c.state == "open")
        assert connection.scalar(still_open) == 0
    for desk in desks:
        desk.close()


def test_folders_share_a_database_but_not_a_queue(address, tmp_path):
    one, two = open_desk(slips(tmp_path / "one"), address), open_desk(slips(tmp_path / "two", 1), address)
    assert (one.queue.progress(None)["review"], two.queue.progress(None)["review"]) == (6, 2)
    one.queue.answer(key_of(one.options.output, "s0.png", "a"), "ann", "text", "5")
    assert two.verdict(key_of(two.options.output, "s0.png", "a"))["text"] == "5"  # the same bytes
    one.close()
    two.close()


def test_the_migrations_make_the_tables(address):
    check_migrations(address)


def check_migrations(address: str) -> None:
    """Nothing differs between what the migrations make and what the code uses."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    database = Database(address)
    database.migrate()
    database.migrate()  # a second start changes nothing
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert differences == []


def test_the_migrations_make_the_tables_of_sqlite_too(tmp_path):
    check_migrations(f"sqlite:///{tmp_path / 'x.sqlite'}")


def test_a_database_without_tables_is_told(address, tmp_path, capsys):
    output = slips(tmp_path, 1)
    assert main(["query", str(output), "--database", address]) == ExitCode.NO_RESULTS
    assert "formscribe review --database" in capsys.readouterr().err
    assert read_verified(output) is None
