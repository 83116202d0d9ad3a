"""Bytes of a scan to pages: PNG, JPEG, TIFF, PDF and NIST IHEAD.

The format is recognised by its first bytes, never by the name of the file. Sizes are checked in the headers
before anything is decoded, and whatever a decoder raises comes out as one error with a stable code::

    with open_document(data) as document:
        for number in range(1, document.page_count + 1):
            page = document.read(number)
"""

from segmentation.ihead import is_ihead, open_ihead
from segmentation.image_document import (
    Document,
    ImageError,
    ImageErrorCode,
    ImageLimits,
    Page,
    decoder_errors,
)
from segmentation.jpeg import open_jpeg
from segmentation.pdf import open_pdf
from segmentation.png import SIGNATURE as PNG_SIGNATURE
from segmentation.png import open_png
from segmentation.tiff import SIGNATURES as TIFF_SIGNATURES
from segmentation.tiff import open_tiff

__all__ = ["Document", "ImageError", "ImageErrorCode", "ImageLimits", "Page", "open_document"]

# Where a header says nothing of the kind is expected, a PDF may have up to 1024 bytes before its own.
_PDF_PREFIX = 1024

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


def open_document(data: bytes, limits: ImageLimits | None = None) -> Document:
    """Recognises a file, checks its size and opens it; pages are decoded by ``Document.read``.

    Args:
        data: the whole file.
        limits: what to refuse; ``ImageLimits()`` unless given.

    Raises:
        ImageError: no page of the file can be read.
    """
    limits = limits or ImageLimits()
    if not data:
        raise ImageError(ImageErrorCode.EMPTY_FILE, "The file is empty: copy or scan it again.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            ImageErrorCode.FILE_TOO_LARGE,
            f"The file has {len(data):,} bytes, more than the {limits.max_bytes:,} allowed: "
            "split or compress it, or raise the limit.",
        )
    if data.startswith(PNG_SIGNATURE):
        kind, opener = "PNG", open_png
    elif data.startswith(b"\xff\xd8\xff"):
        kind, opener = "JPEG", open_jpeg
    elif data.startswith(TIFF_SIGNATURES):
        kind, opener = "TIFF", open_tiff
    elif is_ihead(data):
        kind, opener = "IHEAD", open_ihead
    elif b"%PDF-" in data[:_PDF_PREFIX]:
        kind, opener = "PDF", open_pdf
    else:
        raise _unknown(data)
    with decoder_errors(kind):
        return opener(data, limits)


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
