"""The REST interface and the pictures, as the pages and other programs use them."""

import hashlib
import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline import reading
from review import scans as scans_module
from review.app import create_app
from review.scans import ScanError, Scans
from review.security import Access
from segmentation.templates import load_template
from tests.desk_folder import draw_scan, field, key_of, open_desk, slips, write_run

ROOT = Path(__file__).resolve().parent.parent
HEADERS = {"X-Formscribe": "1", "Host": "localhost"}
SAMPLE = ROOT / "sample_forms" / "hsf" / "form_0001.png"


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return slips(tmp_path_factory.mktemp("api"))


@pytest.fixture
def fresh(tmp_path, output) -> Path:
    """A copy of the results with nothing said about them; the scans stay where they are."""
    shutil.copytree(output, tmp_path / "out", ignore=shutil.ignore_patterns("_review"))
    shutil.copytree(output.parent / "scans", tmp_path / "scans")
    return tmp_path / "out"


@pytest.fixture
def client(fresh):
    desk = open_desk(fresh, templates={"hsf": load_template("hsf")}, version="1.2.3")
    with TestClient(create_app(desk, Access(), poll_seconds=0.05), headers=HEADERS) as client:
        yield client
    desk.close()


def lease(client, **changes) -> dict:
    answer = client.post(
        "/api/lease", json={"verifier": "ann", "count": 1, "kind": None, "held": []} | changes
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(client, field_id: str, verdict: str = "text", **more):
    return client.put(f"/api/fields/{field_id}", json={"verifier": "ann", "verdict": verdict, **more})


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def check_problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def test_a_leased_field_has_all_that_a_person_needs(client):
    leased = lease(client)
    (shown,) = leased["fields"]
    assert leased["remaining"] == 6
    assert leased["kinds"][0] == {
        "kind": "slip/a", "label": "a (slip, digits)", "charset": "digits", "remaining": 3,
    }  # fmt: skip
    assert (shown["field"], shown["text"], shown["charset"], shown["status"]) == (
        "a",
        "10",
        "digits",
        "review",
    )
    assert shown["runners_up"][0]["text"] == "01"
    assert [c["label"] for c in shown["characters"]] == ["1", "0"]
    assert shown["characters"][0]["alternatives"][0]["label"] == "x"
    assert shown["page_box"] == [20 / 400, 40 / 300, 200 / 400, 40 / 300]
    assert shown["leased_until"].endswith("+00:00")
    picture = pixels(client.get(shown["picture"]).content)
    assert picture.shape == (shown["picture_height"], shown["picture_width"])
    page = pixels(client.get(shown["page_picture"]).content)
    assert page.shape == (300, 400)


def test_boxes_lie_where_they_should_on_the_picture(client, fresh):
    shown = lease(client)["fields"][0]
    picture = client.get(shown["picture"])
    x, y, width, height = (round(v) for v in shown["box"])
    page = cv2.imread(str(fresh.parent / "scans" / "s0.png"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(pixels(picture.content)[y : y + height, x : x + width], page[40:80, 20:220])
    assert picture.headers["x-formscribe-picture"] == "scan"
    left = round(shown["characters"][1]["box"][0]) - x
    assert left == 20  # the second character of the reading begins 20 pixels into the field


def test_answers_undo_and_history(client):
    field_id = lease(client)["fields"][0]["id"]
    saved = put(client, field_id, text="Zu\u0308rich").json()
    assert saved["verified_text"] == "Zürich"  # composed
    shown = client.get(f"/api/fields/{field_id}").json()
    assert (shown["verdict"], shown["verified_text"], shown["text"]) == ("text", "Zürich", "10")
    assert put(client, field_id, "blank").json()["verified_text"] == ""
    assert put(client, field_id, "unreadable").json()["verified_text"] is None
    assert client.get("/api/progress?verifier=ann").json()["done"] == 1
    meant = {"verifier": "ann", "answer": {"verifier": "ann", "verdict": "blank", "text": None}}
    other = client.request("DELETE", f"/api/fields/{field_id}/verdict", json=meant)
    check_problem(other, 409, "another_answer")
    undone = client.request("DELETE", f"/api/fields/{field_id}/verdict", json={"verifier": "ann"})
    assert undone.json()["id"] == field_id
    assert undone.json()["leased_until"]
    assert lease(client)["fields"][0]["id"] == field_id
    again = client.request("DELETE", f"/api/fields/{field_id}/verdict", json={"verifier": "ann"})
    check_problem(again, 409, "nothing_to_undo")


def test_names_may_have_blanks_in_them(client):
    for name in ("Ann Lee", " ann", "李 明", "a\u200db"):
        lease(client, verifier=name)


def test_two_people(client):
    mine = lease(client, verifier="ann")["fields"][0]["id"]
    yours = lease(client, verifier="bob")["fields"][0]["id"]
    assert mine != yours
    check_problem(put(client, yours, text="1"), 409, "leased")
    assert client.post("/api/release", json={"verifier": "bob", "ids": [yours]}).json() == {"released": True}
    assert put(client, yours, text="1").status_code == 200


def test_lists_of_fields_and_forms(client, fresh):
    everything = client.get("/api/fields").json()
    assert everything["total"] == 9
    assert [f["field"] for f in everything["fields"][:3]] == ["a", "b", "c"]
    put(client, everything["fields"][0]["id"], text="99")
    source = str(fresh.parent / "scans" / "s0.png")
    some = client.get("/api/fields", params={"status": "review", "field": "a", "limit": 2}).json()
    assert some["total"] == 3
    assert [(f["text"], f["verified_text"]) for f in some["fields"]] == [("10", "99"), ("11", None)]
    assert client.get("/api/fields", params={"source": source}).json()["total"] == 0  # it was read elsewhere
    forms = client.get("/api/forms?limit=1&offset=2").json()
    assert forms["total"] == 3
    assert forms["forms"][0]["source"].endswith("s2.png")
    assert client.get("/api/templates").json()["templates"][0]["name"] == "hsf"


def test_the_grid(client):
    assert client.get("/api/labels").json()[:3] == [
        {"label": "1", "count": 6}, {"label": "2", "count": 6}, {"label": "0", "count": 3},
    ]  # fmt: skip
    found = client.get("/api/characters?label=7").json()
    assert found["total"] == 3
    first = found["characters"][0]
    assert first["picture"].startswith("data:image/png;base64,")
    assert (first["label"], first["field"], first["position"], first["mark"]) == ("7", "c", 0, None)
    marks = [
        {"id": first["id"], "verdict": "label", "label": "1"},
        {"id": found["characters"][1]["id"], "verdict": "right"},
    ]
    saved = client.post("/api/characters/marks", json={"verifier": "ann", "marks": marks}).json()
    assert saved == {"saved": 2, "returned": [first["field_id"]], "lost": [], "changed": []}
    assert client.get("/api/progress").json()["remaining"] == 7
    shown = client.get("/api/characters?label=7&order=source&limit=1").json()["characters"][0]
    assert shown["mark"] == {"verdict": "label", "label": "1"}
    bad = client.post(
        "/api/characters/marks",
        json={"verifier": "a", "marks": [{"id": first["id"], "verdict": "wrong", "label": "1"}]},
    )
    check_problem(bad, 422, "bad_mark")
    seen = {"read_label": "9", "run": first["run"]}
    stale = {"id": first["id"], "verdict": "right"} | seen
    answer = client.post("/api/characters/marks", json={"verifier": "a", "marks": [stale]}).json()
    assert (answer["saved"], answer["changed"]) == (0, [first["id"]])
    for label, status in (("AB", 422), ("e\u0301", 200)):  # the latter is é
        mark = {"id": first["id"], "verdict": "label", "label": label}
        answer = client.post("/api/characters/marks", json={"verifier": "a", "marks": [mark]})
        assert answer.status_code == status
    shown = client.get("/api/characters?label=7&order=source&limit=1").json()["characters"][0]
    assert shown["mark"]["label"] == "é"


def test_a_scan_that_is_gone_is_said_so_and_the_field_can_be_answered(tmp_path):
    output = slips(tmp_path)
    scans = tmp_path / "scans"
    draw_scan(scans / "s1.png", "another")  # under the same name
    archive = tmp_path / "archive" / "deep"
    archive.mkdir(parents=True)
    (scans / "s2.png").rename(archive / "s2.png")
    (scans / "s0.png").unlink()
    desk = open_desk(output, scans=tmp_path / "archive")
    with TestClient(create_app(desk, Access()), headers=HEADERS) as client:
        fields = {Path(f["source"]).stem: f for f in lease(client, count=10, kind="slip/a")["fields"]}
        told = {}
        for name in ("s0", "s1", "s2"):
            answer = client.get(fields[name]["picture"])
            assert answer.status_code == 200
            shape = pixels(answer.content).shape
            assert shape == (fields[name]["picture_height"], fields[name]["picture_width"])
            told[name] = answer.headers["x-formscribe-picture"]
        assert told == {"s0": "missing", "s1": "missing", "s2": "scan"}
        assert put(client, fields["s0"]["id"], text="4").status_code == 200
    desk.close()


def test_scans_that_come_into_the_folder_later_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(scans_module, "RELOOK_SECONDS", 0.0)
    folder = tmp_path / "archive"
    folder.mkdir()
    sha256 = draw_scan(tmp_path / "here" / "a.png", "7")
    scans = Scans(folder)
    name = "Zo\u00eb.png"
    with pytest.raises(ScanError, match="not found"):
        scans.page(f"/gone/{name}", sha256, 1)
    (tmp_path / "here" / "a.png").rename(folder / "Zoe\u0308.png")  # as macOS spells it
    assert scans.page(f"/gone/{name}", sha256, 1).shape == (300, 400)


def test_a_field_that_another_run_finds_wider_is_cut_wider(client, fresh):
    (shown,) = lease(client)["fields"]
    client.get(shown["picture"])
    write_run(fresh, "run2", {shown["source"]: [field("a", "10", 0.1) | {"box_width": 300.0}]})
    for _ in range(600):
        wider = client.get(f"/api/fields/{shown['id']}").json()
        if wider["run"] == "run2":
            break
    assert wider["picture_width"] > shown["picture_width"]
    shape = pixels(client.get(wider["picture"]).content).shape
    assert shape == (wider["picture_height"], wider["picture_width"])


def test_a_scan_that_is_too_large_is_said_so(fresh, monkeypatch):
    scan = fresh.parent / "scans" / "s0.png"
    sha256 = hashlib.sha256(scan.read_bytes()).hexdigest()
    monkeypatch.setattr("review.scans.MAX_FILE_BYTES", 10)
    monkeypatch.setattr("pipeline.inputs.FileSystems.open", lambda *_, **__: io.BytesIO(bytes(20)))
    for source in (str(scan), "gs://bucket/s0.png"):
        with pytest.raises(ScanError, match="too large"):
            Scans().page(source, sha256, 1)


def test_a_running_server_takes_in_newer_runs(client, fresh):
    scan = fresh.parent / "scans" / "late.png"
    write_run(fresh, "run2", {str(scan): [field("a", "33", 0.01)]})
    for _ in range(600):
        if client.get("/api/progress").json()["review"] == 7:
            break
    else:
        pytest.fail("the run was not taken in")
    assert lease(client)["fields"][0]["text"] == "33"


def hurt(output: Path, how: str) -> None:
    """Takes the Parquet files away, or damages them."""
    for path in output.rglob("*.parquet"):
        data = path.read_bytes()
        path.unlink()
        if how != "deleted":
            path.write_bytes({"empty": b"", "cut off": data[:300], "another file": b"x" * 3000}[how])


@pytest.mark.parametrize("how", ["deleted", "empty", "cut off", "another file"])
def test_results_that_are_gone_are_told_and_what_is_at_hand_can_be_answered(client, fresh, how):
    (shown,) = lease(client)["fields"]
    character = client.get("/api/characters?label=1").json()["characters"][0]["id"]
    accepted = client.get("/api/fields?status=accepted").json()["fields"][0]["id"]
    hurt(fresh, how)
    marks = {"verifier": "ann", "marks": [{"id": character, "verdict": "wrong"}]}
    gone = [
        client.get("/api/fields"),
        client.get("/api/forms"),
        client.get("/api/characters?label=1"),
        client.get(f"/api/fields/{accepted}"),
        client.get(f"/pictures/fields/{accepted}.png"),
        client.post("/api/characters/marks", json=marks),
        put(client, accepted, text="12"),
    ]
    for answer in gone:
        check_problem(answer, 503, "results_gone")
    assert client.get("/api/progress").status_code == 200
    assert put(client, shown["id"], text="12").status_code == 200
    assert lease(client)["fields"]


def test_results_that_are_gone_are_logged_once(fresh, caplog):
    desk = open_desk(fresh)
    record = next((fresh / "_runs").iterdir())
    away = record.rename(fresh / "away.json")
    for _ in range(3):
        desk.take_in()
    assert len(caplog.records) == 1
    away.rename(record)
    desk.take_in()
    record.unlink()
    desk.take_in()
    assert len(caplog.records) == 2
    desk.close()


def test_of_several_runs_one_may_go(fresh):
    write_run(fresh, "run2", {str(fresh.parent / "scans" / "late.png"): [field("a", "33", 0.01)]})
    desk = open_desk(fresh)
    with TestClient(create_app(desk, Access(), poll_seconds=1000), headers=HEADERS) as client:
        total = client.get("/api/fields").json()["total"]
        (fresh / "_runs" / "run2.json").unlink()
        for path in fresh.glob("*/run=run2/*"):
            path.unlink()
        assert client.get("/api/fields").json()["total"] == total - 1
    desk.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/api/lease", {"verifier": ""}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "  "}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "\u00a0\u200b"}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "a", "count": 51}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "a", "cuont": 5}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "a\u0000"}, 422, "invalid_request"),
        ("POST", "/api/lease", {"verifier": "a", "held": ["../etc"]}, 422, "invalid_request"),
        ("GET", "/api/fields?limit=501", None, 422, "invalid_request"),
        ("GET", "/api/fields?status=wrong", None, 422, "invalid_request"),
        ("GET", "/api/characters", None, 422, "invalid_request"),
        ("GET", "/api/nothing", None, 404, "not_found"),
        ("GET", "/static/../app.py", None, 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", None, 404, "not_found"),
        ("DELETE", "/api/forms", None, 405, "method_not_allowed"),
        ("GET", "/api/fields/x", None, 422, "invalid_request"),
        ("GET", "/pictures/fields/..%2f..%2fetc%2fpasswd.png", None, 404, "not_found"),
        ("GET", "/pictures/pages/aa-1-AAAA.png", None, 404, "no_such_field"),
    ],
)
def test_bad_requests_are_problems(client, method, path, body, status, code):
    check_problem(client.request(method, path, json=body), status, code)


def test_an_answer_must_say_something(client):
    field_id = lease(client)["fields"][0]["id"]
    check_problem(put(client, field_id, text="  "), 422, "empty_text")
    check_problem(put(client, field_id), 422, "empty_text")
    check_problem(put(client, field_id, text="\u200b \ufeff"), 422, "empty_text")
    assert put(client, field_id, text="\u200bx").status_code == 200
    check_problem(put(client, field_id, text="a\u0007"), 422, "invalid_request")
    check_problem(put(client, field_id, "guess", text="a"), 422, "invalid_request")
    lone = client.put(
        f"/api/fields/{field_id}",
        content=b'{"verifier": "a", "verdict": "text", "text": "\\ud800"}',
        headers={"content-type": "application/json"},
    )
    check_problem(lone, 422, "invalid_request")
    unknown = field_id.partition("-")[0][:-1] + "0" + field_id[64:]
    check_problem(put(client, unknown, text="1"), 404, "no_such_field")


def test_predict(client, tmp_path):
    draw_scan(tmp_path / "digit.png", "7")
    page = cv2.imread(str(tmp_path / "digit.png"), cv2.IMREAD_GRAYSCALE)[35:85, 10:60]
    data = cv2.imencode(".png", page)[1].tobytes()
    answer = client.post("/api/predict", files={"file": ("7.png", data)}, data={"charset": "digits"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["label"] == "7"
    assert len(body["alternatives"]) == 3
    assert 0 <= body["not_a_character"] <= 1
    empty = cv2.imencode(".png", np.full((50, 50), 255, np.uint8))[1].tobytes()
    assert client.post("/api/predict", files={"file": ("e.png", empty)}).json()["label"] == ""
    bad = client.post("/api/predict", files={"file": ("x.png", b"no picture")})
    assert check_problem(bad, 422, "unreadable_picture")["reason"] == "not_an_image"
    bad = client.post("/api/predict", files={"file": ("7.png", data)}, data={"charset": "runes"})
    check_problem(bad, 422, "invalid_request")
    check_problem(client.post("/api/predict", data={"charset": "digits"}), 422, "invalid_request")


def test_read_a_page(client):
    files = {"file": (SAMPLE.name, io.BytesIO(SAMPLE.read_bytes()))}
    body = client.post("/api/read", files=files, data={"template": "hsf"}).json()
    (page,) = body["pages"]
    assert (page["page"], page["template"], len(page["fields"])) == (1, "hsf", 34)
    digits = next(f for f in page["fields"] if f["field"] == "fld_03")
    assert digits["text"] == "".join(c["label"] for c in digits["characters"])
    assert digits["confidence"] > 0.9
    assert body["failures"] == []


def many_pages(count: int) -> bytes:
    """A TIFF with the sample form as its second page; the others are small and blank."""
    stream = io.BytesIO()
    pages = [Image.new("L", (40, 40), 255) for _ in range(count)]
    pages[1] = Image.open(SAMPLE).convert("L")
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_deflate")
    return stream.getvalue()


def test_one_page_of_many_is_read_and_no_other_decoded(client, monkeypatch):
    decoded = []
    decode = reading._decode_page
    monkeypatch.setattr(reading, "_decode_page", lambda key, *rest: decoded.append(key) or decode(key, *rest))

    def read(page: int) -> dict:
        files = {"file": ("x.tif", many_pages(60))}
        return client.post("/api/read", files=files, data={"template": "hsf", "page": str(page)}).json()

    body = read(2)
    assert [(one["page"], len(one["fields"])) for one in body["pages"]] == [(2, 34)]
    assert body["failures"] == []
    assert [key.page for key in decoded] == [2]
    assert [(one["page"], one["code"]) for one in read(61)["failures"]] == [(61, "page_out_of_range")]
    assert [one["code"] for one in read(0)["failures"]] == ["too_many_pages"]
    assert len(decoded) == 1


def test_a_page_that_is_sent_is_shown_as_the_reader_sees_it(client):
    def show(data: bytes, **fields):
        return client.post("/api/picture", files={"file": ("x.tif", data)}, data=fields)

    scan = SAMPLE.with_name("form_0007.tif")  # which browsers cannot show
    answer = show(scan.read_bytes())
    assert answer.headers["content-type"] == "image/png"
    picture = pixels(answer.content)
    whole = cv2.imread(str(scan), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (1600, round(1600 * whole.shape[1] / whole.shape[0]))
    small = cv2.resize(whole, picture.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - small).mean() < 2
    far = show(scan.read_bytes(), page="2")
    assert check_problem(far, 422, "unreadable_picture")["reason"] == "page_out_of_range"
    bad = show(b"<html>")
    assert check_problem(bad, 422, "unreadable_picture")["reason"] == "not_an_image"


def test_pages_that_cannot_be_read_are_told(client):
    def read(data: bytes, **fields):
        return client.post("/api/read", files={"file": ("x.png", data)}, data={"template": "hsf"} | fields)

    blank = cv2.imencode(".png", np.full((330, 256), 255, np.uint8))[1].tobytes()
    (failure,) = read(blank).json()["failures"]
    assert failure["code"] == "form_not_found"
    (failure,) = read(b"").json()["failures"]
    assert (failure["page"], failure["code"]) == (None, "empty_file")
    (failure,) = read(SAMPLE.read_bytes(), page="2").json()["failures"]
    assert failure["code"] == "page_out_of_range"
    problem = check_problem(read(blank, template="../etc/passwd"), 422, "unknown_template")
    assert "hsf" in problem["detail"]
    check_problem(read(blank, page="-1"), 422, "invalid_request")


def test_pages_and_documentation_need_nothing_from_elsewhere(client):
    for path in ("/", "/grid", "/upload", "/docs"):
        page = client.get(path)
        assert page.status_code == 200
        assert "//" not in page.text.replace("http://www.w3.org", "")
    document = client.get("/openapi.json").json()
    assert "/api/lease" in document["paths"]
    assert "HTTPValidationError" not in str(document)
    assert "POST /api/lease" in client.get("/docs").text


def test_a_field_of_another_output_is_not_shown(client, tmp_path):
    other = slips(tmp_path / "other", 1)
    key = key_of(other, "s0.png", "a")._replace(sha256="0" * 64)
    check_problem(client.get(f"/pictures/fields/{key.id}.png"), 404, "no_such_field")


def test_a_fault_is_a_problem_without_its_details(fresh, monkeypatch):
    desk = open_desk(fresh)
    monkeypatch.setattr(desk.queue, "progress", lambda verifier: 1 / 0)
    with TestClient(create_app(desk, Access()), headers=HEADERS, raise_server_exceptions=False) as client:
        assert "zero" not in str(check_problem(client.get("/api/progress"), 500, "internal_error"))
    desk.close()
