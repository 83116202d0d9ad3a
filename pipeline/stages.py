"""The functions of ``segmentation`` and ``model`` that the job calls, in one place where tests put fakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.calibration import Calibration
from model.classifier import model_card, read_model
from model.decoding import Constraint, Lattice, Reading
from model.networks import Networks, load_networks, networks_of
from pipeline.limits import bounds_of
from pipeline.options import JobOptions
from segmentation.isolation import Bounds
from segmentation.page import SegmentedPage
from segmentation.templates import FormTemplate


class PageImage(Protocol):
    """A decoded page: ``gray`` uint8 (H, W), 0 = black."""

    @property
    def gray(self) -> NDArray[np.uint8]:
        """The pixels."""
        ...


class OpenedDocument(Protocol):
    """A file whose pages can be read one by one."""

    @property
    def page_count(self) -> int:
        """How many pages it has."""
        ...

    def read(self, number: int) -> PageImage:
        """Decodes a page; numbers count from 1."""
        ...

    def close(self) -> None:
        """Releases what the decoder holds."""
        ...


@dataclass(frozen=True)
class Stages:
    """What is done to a page, in order.

    An error whose ``code`` is a text becomes a failure row with that code; any other exception becomes
    ``internal_error``. All four must be picklable.
    """

    open_document: Callable[[bytes], OpenedDocument]
    segment_page: Callable[[NDArray[np.uint8], FormTemplate], SegmentedPage]
    load_networks: Callable[[], Networks]
    decode: Callable[[Sequence[Lattice], Sequence[Constraint]], list[Reading]]
    max_bytes: int = 500_000_000  # of a file


def real_stages(options: JobOptions) -> Stages:
    """The stages that read real pages.

    Raises:
        ClassifierError: the model cannot be read.
        CalibrationError: its card cannot be used.
    """
    from segmentation.isolation import IsolatedSegmenter
    from segmentation.segmenting import segment_page

    bounds = bounds_of(options)
    segment = partial(_segment_best, options.templates) if options.more_templates else segment_page
    return Stages(
        open_document=partial(
            _open_document,
            max_pixels=options.max_pixels,
            max_pages=options.max_pages_per_file,
            bounds=bounds,
        ),
        segment_page=segment if bounds is None else IsolatedSegmenter(segment, bounds),
        load_networks=_loader(options.model_path),
        decode=partial(_decode, calibration=Calibration.of_card(model_card(options.model_path))),
    )


def _loader(path: str | None) -> Callable[[], Networks]:
    """The model that ships is installed on every worker; any other travels with the job, as bytes."""
    if path is None:
        return partial(load_networks, None, threads=1)
    return partial(networks_of, read_model(path), threads=1)


def _segment_best(
    templates: tuple[FormTemplate, ...], gray: NDArray[np.uint8], template: FormTemplate
) -> SegmentedPage:
    """In the place of ``segment_page``: the form is one of several, not only the first."""
    from segmentation.choosing import segment_best

    return segment_best(gray, templates)


def _decode(
    lattices: Sequence[Lattice], constraints: Sequence[Constraint], calibration: Calibration
) -> list[Reading]:
    from model.constraints import read_rows

    charsets = [constraint.charset for constraint in constraints]
    return calibration.apply_all(read_rows(lattices, constraints), charsets, lattices)


def _open_document(
    data: bytes, max_pixels: int, max_pages: int, bounds: Bounds | None = None
) -> OpenedDocument:
    from segmentation.images import ImageLimits, open_document

    return open_document(data, ImageLimits(max_pixels=max_pixels, max_pages=max_pages), bounds)
