"""Shards, row groups and the commit: complete or absent, and twice is as good as once."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pipeline_fakes import options_for

from pipeline import writing
from pipeline.records import Failure, ShardFile
from pipeline.schemas import TABLES
from pipeline.writing import BundleWriter, TableWriter, commit_run, read_record, totals_of


def failure(number: int) -> Failure:
    return Failure("a.png", number, None, "decode", "truncated" if number % 2 else "empty", "x" * 100)


def rows(count: int) -> list[dict]:
    return [failure(i)._asdict() for i in range(count)]


def test_row_groups_and_shards_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 10)
    writer = TableWriter("failures", str(tmp_path), shard_bytes=1)
    for i in range(7):
        writer.add(rows(6), {"code:x": i})
    shards = writer.finish()
    assert [shard.rows for shard in shards] == [12, 12, 12, 6]
    assert [shard.counts["code:x"] for shard in shards] == [0 + 1, 2 + 3, 4 + 5, 6]
    for shard in shards:
        file = pq.ParquetFile(shard.path)
        assert file.schema_arrow.equals(TABLES["failures"])
        assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= 10
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_writer_without_rows_leaves_no_file(tmp_path):
    assert TableWriter("forms", str(tmp_path)).finish() == []
    assert list(tmp_path.iterdir()) == []


def committed(tmp_path: Path) -> tuple:
    options = options_for(tmp_path / "scans", tmp_path / "out")
    bundles = []
    for part in range(2):
        writer = BundleWriter(options)
        for i in range(3):
            writer.add(failure(2 * i + part))
        bundles += writer.finish()
    return options, bundles


def test_commit_shows_exactly_the_files_it_is_given(tmp_path):
    options, shards = committed(tmp_path)
    stray = BundleWriter(options)  # a bundle that ran twice: its file is never named
    stray.add(failure(99))
    stray.finish()
    totals = commit_run(options, 6, shards)
    assert (totals.failures, totals.failure_codes) == (6, {"empty": 3, "truncated": 3})
    files = sorted((tmp_path / "out" / "failures" / f"run={options.run_id}").iterdir())
    assert [path.name for path in files] == [f"part-0000{i}-of-00002.parquet" for i in range(2)]
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in files) == 6
    assert not (tmp_path / "out" / "_temp").exists()


def test_committing_twice_is_as_good_as_once(tmp_path):
    options, shards = committed(tmp_path)
    commit_run(options, 6, shards)
    before = (tmp_path / "out" / "_runs" / f"{options.run_id}.json").read_text()
    commit_run(options, 6, shards)
    assert (tmp_path / "out" / "_runs" / f"{options.run_id}.json").read_text() == before


@pytest.mark.parametrize("bundles", [1, 2, 3])
def test_a_commit_after_the_pages_were_read_again_doubles_no_row(tmp_path, monkeypatch, bundles):
    options, shards = committed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_record", lambda *args: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            commit_run(options, 6, shards)
    again = []  # the same six pages, in bundles that the runner has cut anew
    for part in range(bundles):
        writer = BundleWriter(options)
        for i in range(part, 6, bundles):
            writer.add(failure(i))
        again += writer.finish()
    commit_run(options, 6, again)
    files = (tmp_path / "out" / "failures" / f"run={options.run_id}").iterdir()
    sources = [row["source"] for path in files for row in pq.read_table(path).to_pylist()]
    assert sorted(sources) == sorted(failure(i).source for i in range(6))


def test_a_commit_that_died_half_way_can_be_repeated(tmp_path, monkeypatch):
    options, shards = committed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_record", lambda *args: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            commit_run(options, 6, shards)
    assert not (tmp_path / "out" / "_runs").exists()
    commit_run(options, 6, shards)
    assert read_record(options.output, options.run_id)["failures"] == 6


def test_a_file_that_has_vanished_is_an_error(tmp_path):
    options, shards = committed(tmp_path)
    Path(shards[0].path).unlink()
    with pytest.raises(RuntimeError, match="is gone"):
        commit_run(options, 6, shards)
    assert not (tmp_path / "out" / "_runs").exists()


def test_pages_that_do_not_add_up_are_an_error(tmp_path):
    options, shards = committed(tmp_path)
    with pytest.raises(RuntimeError, match="7 pages came in, but 0 forms and 6 failures"):
        commit_run(options, 7, shards)


def test_totals_sum_over_bundles():
    shards = [
        ShardFile("forms", "a", 2, {"status:accepted": 3, "status:review": 1}),
        ShardFile("forms", "b", 1, {"status:accepted": 4}),
        ShardFile("fields", "c", 8, {}),
        ShardFile("failures", "d", 1, {"code:truncated": 1}),
    ]
    totals = totals_of(4, shards)
    assert totals.holds
    assert totals.fields == {"accepted": 7, "review": 1}


def test_the_record_is_json_that_says_it_all(tmp_path):
    options, shards = committed(tmp_path)
    commit_run(options, 6, shards)
    record = json.loads((tmp_path / "out" / "_runs" / f"{options.run_id}.json").read_text())
    assert record["pages_in"] == record["forms"] + record["failures"] == 6
    assert {"run", "version", "started", "finished", "template_sha256", "model_sha256"} <= set(record)
