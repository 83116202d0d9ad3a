"""The REST interface of the desk; ``docs/review.md`` describes it, ``/openapi.json`` lists it."""

import unicodedata
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile

from pipeline.records import PageRows
from review import bodies
from review.desk import Desk, said_of
from review.intake import verdicts_of
from review.keys import FIELD_ID, CharacterKey, FieldKey, parse_character_id, parse_field_id
from review.marks import Kept, Said
from review.pictures import crop_address
from review.problems import ProblemError
from review.readings import Row, key_of

_PROBLEM: dict[str, Any] = {
    "description": "A problem: RFC 9457 with a stable `code`.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}},
}
PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM, "5XX": _PROBLEM}
router = APIRouter(responses=PROBLEMS)
Charset = Literal["digits", "upper", "lower", "letters", "alphanumeric", "text"]
MAX_OFFSET = 10_000_000_000


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _key(field_id: Annotated[str, Path(max_length=1000, pattern=FIELD_ID)]) -> FieldKey:
    return _parsed(field_id)


def _parsed(field_id: str) -> FieldKey:
    key = parse_field_id(field_id)
    if key is None:
        raise ProblemError(404, "no_such_field", "No field has this id.")
    return key


def _parsed_character(character_id: str) -> CharacterKey:
    key = parse_character_id(character_id)
    if key is None:
        raise ProblemError(404, "no_such_character", "No character has this id.", id=character_id)
    return key


AskedDesk = Annotated[Desk, Depends(_desk)]
AskedField = Annotated[FieldKey, Depends(_key)]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET)]
AskedLine = Annotated[str | None, Query(max_length=4000, pattern=r"^[^\x00-\x1f\x7f]*$")]
AskedName = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]


@router.post("/api/lease", response_model=bodies.LeaseAnswer)
def lease(body: bodies.LeaseBody, desk: AskedDesk) -> Row:
    """Gives out fields to look at, the worst first, all of one kind; nobody else gets them meanwhile.

    Fields in `held` stay leased; those that are no longer the asker's come back in `lost`. With a `kind` of
    which nothing is free the list is empty; without one the next kind is taken.
    """
    return desk.lease(body.verifier, body.count, body.kind, body.held)


@router.post("/api/release", response_model=bodies.Released)
def release(body: bodies.ReleaseBody, desk: AskedDesk) -> Row:
    """Gives fields back before their lease ends."""
    desk.queue.release(body.verifier, body.ids)
    return {}


@router.get("/api/progress", response_model=bodies.Progress)
def progress(desk: AskedDesk, verifier: AskedName = None) -> dict[str, int]:
    """How much there is to look at, and how much is done."""
    return desk.queue.progress(verifier)


@router.get("/api/fields", response_model=bodies.FieldList)
def list_fields(
    desk: AskedDesk,
    status: Annotated[Literal["accepted", "review", "blank"] | None, Query()] = None,
    field: AskedLine = None,
    source: AskedLine = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Row:
    """Fields as they were read, with what people said, in the order of sources, pages and places."""
    asked = {"status": status, "field": field, "source": source}
    total, rows = desk.readings.list_fields({n: v for n, v in asked.items() if v is not None}, limit, offset)
    with desk.database.reading() as connection:
        said = verdicts_of(connection, [key_of(row) for row in rows])
    return {"total": total, "fields": [_listed(row, said.get(key_of(row))) for row in rows]}


def _listed(row: Row, said: Row | None) -> Row:
    box = [row[f"box_{part}"] for part in ("x", "y", "width", "height")]
    return {**row, **said_of(said), "id": key_of(row).id, "box": box}


@router.get("/api/fields/{field_id}", response_model=bodies.FieldAnswer)
def get_field(key: AskedField, desk: AskedDesk) -> Row:
    """One field, with its picture and what people said."""
    row = desk.find(key)
    if row is None:
        raise ProblemError(404, "no_such_field", "No complete run has read this field.")
    return desk.show(row, desk.verdict(key))


@router.put("/api/fields/{field_id}", response_model=bodies.SavedAnswer)
def put_field(key: AskedField, body: bodies.AnswerBody, desk: AskedDesk) -> Row:
    """Keeps what stands in a field; answered with 200 it is on the disk. Said twice, it is kept once."""
    text = _text_of(body)
    if body.verdict == "text" and not _can_be_seen(text or ""):
        raise ProblemError(422, "empty_text", "A text without characters: use the verdict blank.")
    saved = desk.queue.answer(key, body.verifier, body.verdict, text)
    return {
        "id": saved.id,
        "verdict": saved.verdict,
        "verified_text": saved.verified_text,
        "saved_at": saved.saved_at,
    }


@router.delete("/api/fields/{field_id}/verdict", response_model=bodies.FieldAnswer)
def undo(key: AskedField, body: bodies.UndoBody, desk: AskedDesk) -> Row:
    """Takes an answer back: the field is in the queue again, leased to who asks. The history keeps both.

    With an `answer` only that one is taken back.
    """
    meant = (body.answer.verifier, body.answer.verdict, _text_of(body.answer)) if body.answer else None
    return desk.show(desk.queue.undo(key, body.verifier, meant), None)


def _can_be_seen(text: str) -> bool:
    """Whether there is more than white space and what only steers it, such as U+200B."""
    return any(not letter.isspace() and unicodedata.category(letter) != "Cf" for letter in text)


def _text_of(answer: bodies.AnswerBody | bodies.StandingAnswer) -> str | None:
    return answer.text if answer.verdict == "text" else None


@router.get("/api/forms", response_model=bodies.FormList)
def list_forms(desk: AskedDesk, limit: Limit = 100, offset: Offset = 0) -> Row:
    """Pages that were read, in the order of sources."""
    total, rows = desk.readings.list_forms(limit, offset)
    return {"total": total, "forms": rows}


@router.get("/api/templates", response_model=bodies.TemplateList)
def list_templates(desk: AskedDesk) -> Row:
    """Forms that `POST /api/read` knows."""
    known = desk.options.templates.values()
    return {
        "templates": [
            {"name": form.name, "title": form.title, "fields": len(form.fields), "sha256": form.sha256}
            for form in known
        ]
    }


@router.get("/api/labels", response_model=list[bodies.LabelCount])
def list_labels(desk: AskedDesk) -> list[Row]:
    """The characters that were read, the most frequent first."""
    return desk.readings.labels()


@router.get("/api/characters", response_model=bodies.CharacterList)
def list_characters(
    desk: AskedDesk,
    label: Annotated[str, Query(min_length=1, max_length=8, pattern=r"^[^\x00-\x1f\x7f]*$")],
    order: Annotated[Literal["confidence", "source"], Query()] = "confidence",
    limit: Limit = 200,
    offset: Offset = 0,
) -> Row:
    """All characters that were read as one, the least sure first, with what people said of them."""
    total, rows = desk.readings.list_characters(label, order, limit, offset)
    keys = [CharacterKey(key_of(row), row["position"]) for row in rows]
    marks = desk.marks.latest(keys)
    shown = [
        {
            **row,
            "id": key.id,
            "field_id": key.field.id,
            "picture": crop_address(row["crop"]),
            "mark": marks.get(key),
        }
        for key, row in zip(keys, rows, strict=True)
    ]
    return {"total": total, "characters": shown}


@router.post("/api/characters/marks", response_model=bodies.MarksSaved)
def mark_characters(body: bodies.MarksBody, desk: AskedDesk) -> Kept:
    """Keeps marks of characters; a field with a wrong one goes back to the queue, even if it was accepted.

    Characters that no complete run has read any more come back in `lost`, those whose reading is no longer of
    `read_label` and `run`, where these are given, in `changed`. The other marks are kept.
    """
    said = []
    for mark in body.marks:
        if (mark.verdict == "label") != (mark.label is not None):
            raise ProblemError(422, "bad_mark", "The verdict label needs a label; the others have none.")
        if mark.label is not None and len(mark.label) != 1:  # composed, an accent is no character beside
            raise ProblemError(422, "bad_mark", "A label is one character.", id=mark.id)
        key = _parsed_character(mark.id)
        said.append(Said(key, mark.verdict, mark.label, mark.read_label, mark.run))
    return desk.marks.save(body.verifier, said)


@router.get(
    "/pictures/fields/{field_id}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def field_picture(key: AskedField, desk: AskedDesk) -> Response:
    """The part of the scan around a field, or a picture that says why there is none."""
    return _picture(desk, key, whole_page=False)


@router.get(
    "/pictures/pages/{field_id}.png", response_class=Response, responses={200: {"content": {"image/png": {}}}}
)
def page_picture(key: AskedField, desk: AskedDesk) -> Response:
    """The whole page that a field is on, its longer side at most 1600 pixels."""
    return _picture(desk, key, whole_page=True)


def _picture(desk: Desk, key: FieldKey, whole_page: bool) -> Response:
    row = desk.find(key)
    if row is None:
        raise ProblemError(404, "no_such_field", "No complete run has read this field.")
    data, real = desk.picture(row, whole_page)
    kept = "private, max-age=3600" if real else "no-store"
    found = "scan" if real else "missing"
    return Response(
        data, media_type="image/png", headers={"cache-control": kept, "x-formscribe-picture": found}
    )


@router.post("/api/picture", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def show_picture(
    desk: AskedDesk,
    file: Annotated[UploadFile, File(description="a scan: PNG, JPEG, TIFF, PDF or IHEAD")],
    page: Annotated[int, Form(ge=1, le=1_000_000)] = 1,
) -> Response:
    """A page of a file as a picture that browsers can show, its longer side at most 1600 pixels."""
    return Response(desk.uploads.picture(file.file.read(), page), media_type="image/png")


@router.post("/api/predict", response_model=bodies.Prediction)
def predict(
    desk: AskedDesk,
    file: Annotated[UploadFile, File(description="a picture of one character")],
    charset: Annotated[Charset, Form()] = "text",
) -> Row:
    """Reads the one character on a picture; `label` is empty if there is no ink."""
    return desk.uploads.predict(file.file.read(), charset)


@router.post("/api/read", response_model=bodies.ReadAnswer)
def read_page(
    desk: AskedDesk,
    file: Annotated[UploadFile, File(description="a scan: PNG, JPEG, TIFF, PDF or IHEAD")],
    template: Annotated[str, Form(min_length=1, max_length=200)],
    page: Annotated[int, Form(ge=0, le=1_000_000, description="from 1; 0 is all")] = 0,
) -> Row:
    """Reads the pages of a file as a form, or one of them; what cannot be read is among the failures."""
    pages, failures = desk.uploads.read(file.file.read(), template, page or None)
    told = [{"page": f.page, "code": f.code, "message": f.message} for f in failures]
    return {"pages": [_read_page(rows) for rows in pages], "failures": told}


def _read_page(rows: PageRows) -> Row:
    characters: dict[str, list[Row]] = {}
    for character in rows.characters:
        box = [character[f"box_{part}"] for part in ("x", "y", "width", "height")]
        characters.setdefault(character["field"], []).append({**character, "box": box})
    fields = [
        {
            **row,
            "box": [row[f"box_{part}"] for part in ("x", "y", "width", "height")],
            "characters": characters.get(row["field"], []),
        }
        for row in rows.fields
    ]
    return {**rows.form, "fields": fields}
