"""What the routes work with: queue, readings and scans of one folder, and fields as they are shown."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pipeline.results import ResultsError
from review.database import Database
from review.intake import desk_name, take_in, verdicts_of
from review.keys import FieldKey
from review.marks import Marks
from review.pictures import cut, field_frame, page_frame, stand_in
from review.queue import LEASE_SECONDS, Queue
from review.readings import Readings, Row, key_of, queue_row
from review.scans import ByteCache, ScanError, Scans
from review.uploads import UploadReader
from segmentation.images import ImageLimits
from segmentation.templates import FormTemplate

PICTURE_BYTES = 64_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeskOptions:
    """What a desk is started with.

    Attributes:
        output: the folder of results.
        database: the address of the database.
        templates: forms that pages can be read as, and whose lengths are known, by name.
        scans: a folder in which scans lie that have moved, or None.
        model_path: an exported model, or None for the one that ships.
        max_pixels: of a page.
        lease_seconds: how long a field stays with somebody who does not say a word.
        version: of formscribe.
    """

    output: Path
    database: str
    templates: Mapping[str, FormTemplate] = field(default_factory=dict)
    scans: Path | None = None
    model_path: str | None = None
    max_pixels: int = 120_000_000
    lease_seconds: float = LEASE_SECONDS
    version: str = "unknown"


class Desk:
    """One folder of results on the desk; safe to use from many threads."""

    def __init__(self, options: DeskOptions) -> None:
        """Opens results and database; see ``pipeline.results`` and ``review.database`` for what it raises."""
        self.options = options
        self.readings = Readings(options.output)
        self.database = Database(options.database)
        self.database.migrate()
        self.name = desk_name(options.output)
        self.queue = Queue(self.database, self.name, self.readings, options.lease_seconds)
        self.marks = Marks(self.database, self.name, self.readings, self.queue)
        self.uploads = UploadReader(options.templates, options.model_path, options.max_pixels)
        self._scans = Scans(options.scans, ImageLimits(max_pixels=options.max_pixels))
        self._pictures: ByteCache[tuple[str, str, str]] = ByteCache(PICTURE_BYTES)
        self._ahead = ThreadPoolExecutor(2, "pictures")
        self._taking = threading.Lock()
        self._told = ""  # why no runs could be taken in, the last time

    def take_in(self, told: Callable[[int], None] = lambda count: None) -> int:
        """Takes new runs in; how many doubtful fields they had. ``told`` hears how many so far."""
        with self._taking:
            try:
                self.readings.refresh()
            except ResultsError as error:  # a run is being deleted, say; what is open stays so
                if str(error) != self._told:  # asked again every few seconds, perhaps for days
                    _log.warning("%s", error)
                self._told = str(error)
                return 0
            self._told = ""
            return take_in(self.database, self.name, self.readings, told)

    def close(self) -> None:
        """Ends what works in the background, and the connections."""
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self.database.close()

    def lease(self, verifier: str, count: int, kind: str | None, held: Sequence[str]) -> Row:
        """Fields for somebody to look at, and what is left; their pictures are being made meanwhile."""
        lease = self.queue.lease(verifier, count, kind, held)
        for row in lease.fields:
            self._ahead.submit(self._make_ahead, row)
        left = self.queue.kinds()
        return {
            "fields": [self.show(row, None) for row in lease.fields],
            "lost": lease.lost,
            "remaining": sum(kind["open"] for kind in left),
            "kinds": [
                {
                    "kind": kind["kind"],
                    "label": kind["label"],
                    "charset": kind["charset"],
                    "remaining": kind["open"],
                }
                for kind in left
            ],
        }

    def find(self, key: FieldKey) -> Row | None:
        """A field as the queue has it, whether it is in it or not."""
        row = self.queue.find(key)
        if row is None and (read := self.readings.fields_of([key]).get(key)):
            row = {**queue_row(read), "leased_to": None, "leased_until": None}
        return row

    def verdict(self, key: FieldKey) -> Row | None:
        """What was last said about a field."""
        with self.database.reading() as connection:
            return verdicts_of(connection, [key]).get(key)

    def show(self, row: Row, said: Row | None) -> Row:
        """A row of the queue as the pages want it, with what was said about it."""
        frame = field_frame(row)
        box = [row["box_x"], row["box_y"], row["box_width"], row["box_height"]]
        width, height = row["page_width"], row["page_height"]
        until = row["leased_until"]
        characters = json.loads(row["characters"])
        same = (
            "id", "source", "page", "template", "field", "charset", "kind", "text", "confidence", "status",
            "run",
        )  # fmt: skip
        version = quote(row["run"])
        return {
            **{name: row[name] for name in same},
            **said_of(said),
            "characters": [{**character, "box": frame.place(character["box"])} for character in characters],
            "runners_up": json.loads(row["runners_up"]),
            "picture": f"/pictures/fields/{row['id']}.png?run={version}",
            "picture_width": frame.size[0],
            "picture_height": frame.size[1],
            "box": frame.place(box),
            "page_picture": f"/pictures/pages/{row['id']}.png?run={version}",
            "page_box": [box[0] / width, box[1] / height, box[2] / width, box[3] / height],
            "max_length": self._max_length(key_of(row)),
            "leased_until": until and datetime.fromtimestamp(until, UTC).isoformat(timespec="milliseconds"),
        }

    def _max_length(self, key: FieldKey) -> int | None:
        template = self.options.templates.get(key.template)
        try:
            return template.field(key.field).max_length if template else None
        except KeyError:  # a group of tick boxes
            return None

    def picture(self, row: Row, whole_page: bool) -> tuple[bytes, bool]:
        """The picture of a field or of its page as PNG, and whether it is of the scan and not a stand-in."""
        sides = ("x", "y", "width", "height")  # another run may have found the field elsewhere
        what = "page" if whole_page else ",".join(str(row[f"box_{side}"]) for side in sides)
        key = (row["sha256"] + str(row["page"]), row["id"], what)
        frame = page_frame(row["page_width"], row["page_height"]) if whole_page else field_frame(row)

        def make() -> bytes:
            return cut(self._scans.page(row["source"], row["sha256"], row["page"]), frame)

        try:
            return self._pictures.get(key, make), True
        except ScanError as error:
            return stand_in(frame.size, str(error)), False

    def _make_ahead(self, row: Row) -> None:
        try:
            self.picture(row, whole_page=False)
        except Exception:  # it is told when the picture is asked for
            _log.exception("picture of %s", row["id"])


def said_of(said: Row | None) -> Row:
    """A verdict as the answers show it; ``verified_text`` is None where nobody can read the field."""
    if said is None:
        return {"verdict": None, "verified_text": None}
    text = {"text": said["text"], "blank": ""}.get(said["verdict"])
    return {"verdict": said["verdict"], "verified_text": text}
