"""From a real run over sample forms to labelled crops: what the job writes is what the corrections need."""

import json
import shutil
from pathlib import Path

import pytest

from jobs import cli
from pipeline.results import open_results
from review.database import Database, sqlite_url
from review.labelled import labelled_crops
from review.tables import corrections

FORMS = Path(__file__).resolve().parent.parent / "sample_forms" / "hsf"
PAGES = ("form_0001", "form_0004")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pages that were read, and every field of them corrected to its truth."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "scans").mkdir()
    for page in PAGES:
        shutil.copy(FORMS / f"{page}.png", folder / "scans")
    out = folder / "out"
    assert cli.main(["run", "--input", str(folder / "scans"), "--output", str(out), "--template", "hsf"]) == 0
    rows = open_results(out).execute(
        "SELECT forms.source, sha256, page, template, field, text, run "
        "FROM fields JOIN forms USING (run, source, page)"
    )
    database = Database(sqlite_url(out))
    database.migrate()
    with database.writing() as connection:
        for source, sha256, page, template, field, text, run in rows.fetchall():
            truth = json.loads((FORMS / f"{Path(source).stem}.truth.json").read_text())["fields"]
            if field in truth:
                said = {"verdict": "text" if truth[field] else "blank", "text": truth[field] or None}
                where = {"sha256": sha256, "page": page, "template": template, "field": field, "run": run}
                who = {"verifier": "ada", "created": "2026-01-01T00:00:00Z", "read_text": text}
                connection.execute(corrections.insert().values(**where, **said, **who))
    database.close()
    return out


def test_nearly_all_characters_get_a_label(output):
    found, counts = labelled_crops(output)
    assert len(set(found.pages.tolist())) == len(PAGES)
    assert counts.crops > 500
    assert counts.left_out < 0.12 * counts.crops
    assert 0 < counts.corrected < 0.05 * counts.crops  # sample forms are read nearly right
    assert 0 < counts.held_back < counts.crops
    assert {"digits", "upper", "lower", "text"} >= set(found.charsets.tolist()) > {"digits"}
    ink = found.crops.images.reshape(len(found), -1)
    assert (ink.max(axis=1) > 100).all()


def test_the_model_reads_them_as_the_run_did(output, tmp_path):
    figures = tmp_path / "f.json"
    flags = ["--dataset", f"corrections:{output}", "--split", "all", "--json", str(figures)]
    assert cli.main(["evaluate", *flags]) == 0
    assert json.loads(figures.read_text())["accuracy"] > 0.9
