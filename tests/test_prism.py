"""Prism, Beam's runner in Go, reads what the local runner reads."""

import os
import shutil

import flink_jobs
import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode

PRISM = os.environ.get("FORMSCRIBE_PRISM") or shutil.which("prism")


@pytest.mark.slow
@pytest.mark.skipif(PRISM is None, reason="no Prism: set FORMSCRIBE_PRISM to its binary; see docs/cluster.md")
def test_rows_on_prism_are_those_of_the_local_runner(tmp_path):
    scans = tmp_path / "scans"
    made = ["samples", "--out", str(scans), "--count", "12", "--template", flink_jobs.FORM]
    assert main(made) == ExitCode.OK
    (scans / "broken.png").write_bytes(b"no picture")
    for name, flags in {"local": [], "prism": ["--runner=PrismRunner", f"--prism_location={PRISM}"]}.items():
        code, _, err = flink_jobs.Run(scans, tmp_path / name, flags).end()
        assert code == ExitCode.OK, err
    for table in ("forms", "fields", "characters", "failures"):
        found = flink_jobs.rows(tmp_path / "prism", table)
        assert found
        assert found == flink_jobs.rows(tmp_path / "local", table), table
