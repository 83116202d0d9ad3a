"""Reads what is sent: a picture of one character, or a page of a form. Nothing of it is kept."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from model.networks import Networks, load_networks
from pipeline.classifying import classify_pages
from pipeline.options import JobOptions
from pipeline.prediction import crop_of, predict
from pipeline.reading import decode_pages, read_classified, segment_decoded
from pipeline.records import DecodedPage, Failure, PageRows
from pipeline.stages import Stages, real_stages
from review.pictures import cut, page_frame
from review.problems import ProblemError
from review.readings import Row
from segmentation.images import ImageError, ImageLimits, open_document
from segmentation.templates import FormTemplate

MAX_PAGES = 50  # that are read at one request
AT_ONCE = 2  # pages that are read at the same time
WAIT_SECONDS = 5.0


class UploadReader:
    """Reads pictures with one model; safe to use from many threads."""

    def __init__(
        self, templates: Mapping[str, FormTemplate], model_path: str | None, max_pixels: int
    ) -> None:
        """Loads the model when it is first needed."""
        self._templates, self._model_path, self._max_pixels = templates, model_path, max_pixels
        self._model: Networks | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def _networks(self) -> Networks:
        with self._lock:
            if self._model is None:
                self._model = load_networks(self._model_path)
            return self._model

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise ProblemError(503, "busy", "Other pages are being read. Try again soon.")
        try:
            yield
        finally:
            self._places.release()

    def predict(self, data: bytes, charset: str, alternatives: int = 3) -> Row:
        """The character on a picture: ``label`` (empty without ink), ``confidence``, ``alternatives``.

        Raises:
            ProblemError: 422 it is no picture; 503 too much is going on.
        """
        with self._place():
            try:
                crop = crop_of(data, ImageLimits(max_pixels=self._max_pixels))
            except ImageError as error:
                raise ProblemError(422, "unreadable_picture", str(error), reason=str(error.code)) from None
            (found,) = predict(self._networks().characters, crop[None], charset, alternatives)
        others = [{"label": label, "confidence": value} for label, value in found.alternatives]
        return {**asdict(found), "alternatives": others}

    def picture(self, data: bytes, page: int) -> bytes:
        """A page of a file as the reader sees it, as PNG, its longer side at most ``pictures.PAGE_SIDE``.

        Raises:
            ProblemError: 422 it is no picture, or has no such page; 503 too much is going on.
        """
        with self._place():
            try:
                with open_document(data, ImageLimits(max_pixels=self._max_pixels)) as document:
                    gray = document.read(page).gray
            except ImageError as error:
                raise ProblemError(422, "unreadable_picture", str(error), reason=str(error.code)) from None
            return cut(gray, page_frame(gray.shape[1], gray.shape[0]))

    def read(self, data: bytes, template: str, page: int | None) -> tuple[list[PageRows], list[Failure]]:
        """Reads the pages of a file, or one of them, as ``formscribe run`` would.

        Raises:
            ProblemError: 422 there is no such form; 503 too much is going on.
        """
        form = self._templates.get(template)
        if form is None:
            known = ", ".join(sorted(self._templates))
            raise ProblemError(
                422,
                "unknown_template",
                f"The forms are: {known}. Others are named with --template at the start.",
            )
        options = JobOptions(
            inputs=("upload",),
            output="-",
            template=form,
            model_path=self._model_path,
            max_pixels=self._max_pixels,
            max_pages_per_file=MAX_PAGES if page is None else ImageLimits().max_pages,
        )
        with self._place():
            return self._read(data, options, real_stages(options), page)

    def _read(
        self, data: bytes, options: JobOptions, stages: Stages, page: int | None
    ) -> tuple[list[PageRows], list[Failure]]:
        rows: list[PageRows] = []
        failures: list[Failure] = []
        sha256 = hashlib.sha256(data).hexdigest()
        for decoded in decode_pages("upload", data, sha256, stages.open_document, only=page):
            read = decoded if isinstance(decoded, Failure) else self._read_page(decoded, options, stages)
            if isinstance(read, Failure):
                failures.append(read)
            else:
                rows.append(read)
        return rows, failures

    def _read_page(self, decoded: DecodedPage, options: JobOptions, stages: Stages) -> PageRows | Failure:
        page = segment_decoded(decoded, stages.segment_page, options.template)
        if isinstance(page, Failure):
            return page
        (classified,) = classify_pages([page], self._networks())
        return read_classified(classified, options, stages.decode)
