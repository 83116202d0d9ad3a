"""Bytes of a scan to pages: PNG, JPEG, TIFF, PDF and NIST IHEAD.

The format is recognised by its first bytes, never by the name of the file. Sizes are checked in the headers
before anything is decoded, and whatever a decoder raises comes out as one error with a stable code::

    with open_document(data) as document:
        for number in range(1, document.page_count + 1):
            page = document.read(number)
"""

from collections.abc import Callable

from segmentation.ihead import is_ihead, open_ihead
from segmentation.image_document import (
    BYTES_A_PIXEL,
    Document,
    ImageError,
    ImageErrorCode,
    ImageLimits,
    Page,
    decoder_errors,
)
from segmentation.isolation import Bounds, IsolatedDocument
from segmentation.jpeg import open_jpeg
from segmentation.pdf import open_pdf
from segmentation.png import SIGNATURE as PNG_SIGNATURE
from segmentation.png import open_png
from segmentation.tiff import SIGNATURES as TIFF_SIGNATURES
from segmentation.tiff import open_tiff

__all__ = ["Bounds", "Document", "ImageError", "ImageErrorCode", "ImageLimits", "Page", "open_document"]

# Where a header says nothing of the kind is expected, a PDF may have up to 1024 bytes before its own.
_PDF_PREFIX = 1024
# What a page of a PDF may take where nothing else is said: seconds, and bytes besides those of its pixels.
PDF_SECONDS = 120.0
PDF_MEMORY = 1_500_000_000

_NOT_READ = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftyp", "HEIC or AVIF"),
    (0, b"AT&TFORM", "DjVu"),
    (0, b"\x97JB2\r\n\x1a\n", "JBIG2"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip archive"),
)


def open_document(data: bytes, limits: ImageLimits | None = None, bounds: Bounds | None = None) -> Document:
    """Recognises a file, checks its size and opens it; pages are decoded by ``Document.read``.

    PDFs are read by a process of their own: of all decoders PDFium alone can be made to hang or to crash by
    small files.

    Args:
        data: the whole file.
        limits: what to refuse; ``ImageLimits()`` unless given.
        bounds: what a page may take; if given, files of every format are read by the other process.

    Raises:
        ImageError: no page of the file can be read.
        OSError: the other process could not be started or reached.
    """
    limits = limits or ImageLimits()
    kind, _ = _format(data, limits)
    if bounds is None and kind != "PDF":
        return open_in_process(data, limits)
    return IsolatedDocument(data, limits, bounds or pdf_bounds(limits))


def pdf_bounds(limits: ImageLimits) -> Bounds:
    """What a page of a PDF may take where nothing else is said."""
    return Bounds(PDF_SECONDS, PDF_MEMORY + BYTES_A_PIXEL * limits.max_pixels)


def open_in_process(data: bytes, limits: ImageLimits) -> Document:
    """Opens a file of any format in this process; see ``open_document``.

    Raises:
        ImageError: no page of the file can be read.
    """
    kind, opener = _format(data, limits)
    with decoder_errors(kind):
        return opener(data, limits)


def _format(data: bytes, limits: ImageLimits) -> tuple[str, Callable[[bytes, ImageLimits], Document]]:
    if not data:
        raise ImageError(ImageErrorCode.EMPTY_FILE, "The file is empty: copy or scan it again.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            ImageErrorCode.FILE_TOO_LARGE,
            f"The file has {len(data):,} bytes, more than the {limits.max_bytes:,} allowed: "
            "split or compress it, or raise the limit.",
        )
    if data.startswith(PNG_SIGNATURE):
        return "PNG", open_png
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", open_jpeg
    if data.startswith(TIFF_SIGNATURES):
        return "TIFF", open_tiff
    if is_ihead(data):
        return "IHEAD", open_ihead
    if b"%PDF-" in data[:_PDF_PREFIX]:
        return "PDF", open_pdf
    raise _unknown(data)


def _unknown(data: bytes) -> ImageError:
    for offset, magic, name in _NOT_READ:
        if data.startswith(magic, offset):
            return ImageError(
                ImageErrorCode.UNSUPPORTED_FORMAT,
                f"This is a {name}, which is not read: convert it to PNG, TIFF, JPEG or PDF.",
            )
    return ImageError(
        ImageErrorCode.NOT_AN_IMAGE,
        f"The file begins with {data[:8]!r} and is no PNG, JPEG, TIFF, PDF or IHEAD: "
        "leave it out, or convert it to one of these.",
    )
