"""PDF pages, rendered by PDFium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, sqrt
from typing import Any

import numpy as np
import pypdfium2
from pypdfium2 import raw

from segmentation.image_document import (
    Document,
    ImageError,
    ImageErrorCode,
    ImageLimits,
    Page,
    corrupt,
    truncated,
)

_DPI = 300
_POINTS_PER_INCH = 72
_LARGEST_PAPER = 24.0  # inches
_MARGIN = 0.0004  # points
_TRAILER_SEARCH = 2048

# PDFium is not thread-safe, and the threads of a worker share it.
_PDFIUM = threading.Lock()


def open_pdf(data: bytes, limits: ImageLimits) -> Document:
    """Opens a PDF; each page is checked and rendered when it is read.

    Raises:
        ImageError: it is encrypted, truncated, damaged, or has too many pages.
    """
    # PDFium repairs a cut file as well as it can, and would leave out pages without a word.
    if not any(mark in data[-_TRAILER_SEARCH:] for mark in (b"%%EOF", b"startxref")):
        raise truncated("PDF")
    with _PDFIUM:
        try:
            pdf = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if error.err_code == raw.FPDF_ERR_PASSWORD:
                raise ImageError(
                    ImageErrorCode.ENCRYPTED_PDF,
                    "The PDF needs a password: save it without one.",
                ) from None
            raise
        try:
            count = len(pdf)
            if count == 0:
                raise corrupt("PDF", "it has no page")
            limits.check_pages(count)
            pdf.init_forms()  # so that values typed into form fields are drawn
        except BaseException:
            pdf.close()
            raise
    return _PdfDocument(pdf, count, limits)


class _PdfDocument(Document):
    kind = "PDF"

    def __init__(self, pdf: Any, count: int, limits: ImageLimits) -> None:
        self._pdf, self._limits = pdf, limits
        self.page_count = count

    def _decode(self, number: int) -> Page:
        with _PDFIUM:
            page = self._pdf[number - 1]
            try:
                return self._render(page, number)
            finally:
                page.close()

    def _render(self, page: Any, number: int) -> Page:
        width, height = page.get_size()
        if min(width, height) <= 0:
            raise corrupt("PDF", "the page has no area")
        dpi, known = _resolution(page, self._limits)
        scale = _bounded_scale(width, height, dpi / _POINTS_PER_INCH, self._limits)
        with _widened(page):
            wide, high = page.get_size()
            bitmap = page.render(scale=scale * min(width / wide, height / high), grayscale=True)
        # The buffer is Python's and outlives the bitmap, which is closed here as the lock is held here.
        gray = np.ascontiguousarray(bitmap.to_numpy().reshape(bitmap.height, bitmap.width), np.uint8)
        bitmap.close()
        return Page(gray, number, scale * _POINTS_PER_INCH if known else None)

    def close(self) -> None:
        with _PDFIUM:
            self._pdf.close()


@contextmanager
def _widened(page: Any) -> Iterator[None]:
    """Adds less than a hundredth of a pixel around a page.

    The image of a scan reaches exactly to the edge of its page. A float's last digit then decides whether
    PDFium stretches it by one pixel, which blurs every stroke; it did so for half of the sizes tried.
    """
    media, crop = page.get_mediabox(), page.get_cropbox()
    try:
        page.set_mediabox(*_grown(media))
        page.set_cropbox(*_grown(crop))
        yield
    finally:
        page.set_mediabox(*media)
        page.set_cropbox(*crop)


def _grown(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, bottom, right, top = box
    return left - _MARGIN, bottom - _MARGIN, right + _MARGIN, top + _MARGIN


def _bounded_scale(width: float, height: float, scale: float, limits: ImageLimits) -> float:
    """Pixels a point, lowered until a page of ``width`` x ``height`` points keeps the limits."""
    scale = min(scale, sqrt(limits.max_pixels / (width * height)), limits.max_side / max(width, height))
    # PDFium rounds the size up: without this factor, a float's last digit adds a row.
    scale *= 1 - 1e-6
    while ceil(width * scale) * ceil(height * scale) > limits.max_pixels:
        scale *= 0.999
    return scale


def _resolution(page: Any, limits: ImageLimits) -> tuple[float, bool]:
    """Dots an inch to render at, and whether the page's inches can be believed.

    A page larger than any form was made from pixels without a resolution, one point each; it is rendered
    at the resolution of the images on it, as enlarging them would only cost time.

    Raises:
        ImageError: an image on the page has too many pixels.
    """
    width, height = page.get_size()
    native = 0.0
    for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        columns, rows = image.get_px_size()
        limits.check_size(columns, rows)
        left, bottom, right, top = image.get_bounds()
        if right > left and top > bottom:
            native = max(native, sqrt(columns * rows / ((right - left) * (top - bottom))))
    if native and max(width, height) > _LARGEST_PAPER * _POINTS_PER_INCH:
        return min(_DPI, native * _POINTS_PER_INCH), False
    return _DPI, True
