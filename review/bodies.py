"""The bodies of requests and answers; FastAPI checks them and describes them in ``/openapi.json``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from review.keys import CHARACTER_ID, FIELD_ID
from segmentation.composed_text import composed

# Neither databases nor people can do anything with control characters; a paragraph has line feeds and tabs.
_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
# With a character that can be seen in it.
_NAME = (
    r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
    r"[^\x00-\x1f\x7f]*$"
)
_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

Composed = AfterValidator(composed)
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=_NAME), Composed]
Words = Annotated[str, Field(max_length=4000, pattern=_LINES), Composed]
Line = Annotated[str, Field(max_length=1000, pattern=_ONE_LINE)]
FieldId = Annotated[str, Field(max_length=1000, pattern=FIELD_ID)]
CharacterId = Annotated[str, Field(max_length=1000, pattern=CHARACTER_ID)]
# JSON does not tell 2.0 from 2.
Whole = BeforeValidator(lambda n: int(n) if isinstance(n, float) and n.is_integer() else n)
Label = Annotated[str, Field(min_length=1, max_length=8, pattern=_ONE_LINE), Composed]


class Body(BaseModel):
    """A request; a member that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LeaseBody(Body):
    """Asks for fields to look at."""

    verifier: Name
    count: Annotated[int, Field(ge=0, le=50), Whole] = 10
    kind: Line | None = None
    held: list[FieldId] = Field(default_factory=list, max_length=200)


class AnswerBody(Body):
    """What stands in a field."""

    verifier: Name
    verdict: Literal["text", "blank", "unreadable"]
    text: Words | None = None


class StandingAnswer(Body):
    """An answer as who gave it remembers it."""

    verifier: Name
    verdict: Literal["text", "blank", "unreadable"]
    text: Words | None = None


class UndoBody(Body):
    """Takes an answer back; ``answer`` is the one that is meant, null whichever stands."""

    verifier: Name
    answer: StandingAnswer | None = None


class ReleaseBody(Body):
    """Gives fields back."""

    verifier: Name
    ids: list[FieldId] = Field(max_length=200)


class MarkBody(Body):
    """What somebody says about one character; ``read_label`` and ``run`` are what they were shown."""

    id: CharacterId
    verdict: Literal["right", "wrong", "label"]
    label: Label | None = None
    read_label: Line | None = None
    run: Line | None = None


class MarksBody(Body):
    """Marks of characters."""

    verifier: Name
    marks: list[MarkBody] = Field(min_length=1, max_length=500)


class ScoredLabel(BaseModel):
    """A character and its probability."""

    label: str
    confidence: float


class ScoredText(BaseModel):
    """A reading and its probability."""

    text: str
    confidence: float


class CharacterOfField(ScoredLabel):
    """A character of a reading; ``box`` is x, y, width, height in pixels of the picture it belongs to."""

    alternatives: list[ScoredLabel]
    box: list[float]


class FieldAnswer(BaseModel):
    """A field with all that a person needs to judge it."""

    id: str
    source: str
    page: int
    template: str
    field: str
    charset: str
    kind: str
    text: str
    confidence: float | None
    status: str
    run: str
    verdict: str | None
    verified_text: str | None
    characters: list[CharacterOfField]
    runners_up: list[ScoredText]
    picture: str
    picture_width: int
    picture_height: int
    box: list[float]
    page_picture: str
    page_box: list[float]
    max_length: int | None
    leased_until: str | None


class Kind(BaseModel):
    """A field of a form, and how many of it are left."""

    kind: str
    label: str
    charset: str
    remaining: int


class LeaseAnswer(BaseModel):
    """Fields that are now the asker's; ``lost`` are those held before that no longer are."""

    fields: list[FieldAnswer]
    lost: list[str]
    remaining: int
    kinds: list[Kind]


class SavedAnswer(BaseModel):
    """An answer that is on the disk; ``verified_text`` is null if nobody can read it."""

    id: str
    verdict: str
    verified_text: str | None
    saved_at: str


class Progress(BaseModel):
    """Fields to look at: all, done, left; and fields whose answer stands, by the verifier asked for, and by
    all in the last hour, in every folder that shares the database.
    """

    review: int
    done: int
    remaining: int
    mine: int
    last_hour: int


class Released(BaseModel):
    """Nothing more to say."""

    released: bool = True


class ListedField(BaseModel):
    """A field in a list."""

    id: str
    source: str
    page: int
    template: str
    field: str
    ordinal: int
    charset: str
    text: str
    confidence: float | None
    status: str
    run: str
    verdict: str | None
    verified_text: str | None
    box: list[float]
    runners_up: list[ScoredText]


class FieldList(BaseModel):
    """Some fields, and how many there are."""

    total: int
    fields: list[ListedField]


class ListedForm(BaseModel):
    """A page that was read."""

    source: str
    page: int
    sha256: str
    status: str
    template: str
    run: str
    width: int
    height: int
    fields: int
    fields_accepted: int
    fields_review: int
    fields_blank: int
    residual_px: float
    skew_degrees: float


class FormList(BaseModel):
    """Some pages, and how many there are."""

    total: int
    forms: list[ListedForm]


class TemplateAnswer(BaseModel):
    """A form that can be read."""

    name: str
    title: str
    fields: int
    sha256: str


class TemplateList(BaseModel):
    """The forms that can be read."""

    templates: list[TemplateAnswer]


class LabelCount(BaseModel):
    """A character and how often it was read."""

    label: str
    count: int


class Mark(BaseModel):
    """What was last said about a character."""

    verdict: str
    label: str | None


class ListedCharacter(BaseModel):
    """A character of the grid; ``picture`` is a data address."""

    id: str
    label: str
    run: str
    confidence: float
    picture: str
    source: str
    page: int
    field: str
    field_id: str
    position: int
    mark: Mark | None


class CharacterList(BaseModel):
    """Some characters, and how many there are."""

    total: int
    characters: list[ListedCharacter]


class MarksSaved(BaseModel):
    """How many marks are on the disk, and which fields went back to the queue.

    Not kept are marks of characters that are ``lost``, as no run has read them, or ``changed``, as a newer
    one has read them anew.
    """

    saved: int
    returned: list[str]
    lost: list[str]
    changed: list[str]


class Prediction(BaseModel):
    """What stands on a picture of one character."""

    label: str
    confidence: float
    alternatives: list[ScoredLabel]
    not_a_character: float


class ReadField(BaseModel):
    """A field of a page that was sent; boxes in pixels of that page."""

    field: str
    charset: str
    text: str
    confidence: float | None
    status: str
    box: list[float]
    characters: list[CharacterOfField]
    runners_up: list[ScoredText]


class ReadPage(BaseModel):
    """A page that was sent."""

    page: int
    template: str
    residual_px: float
    skew_degrees: float
    width: int
    height: int
    fields: list[ReadField]


class ReadFailure(BaseModel):
    """A page that was sent and could not be read; null is the whole file."""

    page: int | None
    code: str
    message: str


class ReadAnswer(BaseModel):
    """What stands on the pages of a file."""

    pages: list[ReadPage]
    failures: list[ReadFailure]


class ProblemAnswer(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
