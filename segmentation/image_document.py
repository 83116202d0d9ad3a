"""What every image format has in common: pages, limits, and the one error with its stable codes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

BYTES_A_PIXEL = 10  # the most that decoding takes; measured were 9 for CMYK, 8 for a TIFF in colour


class ImageErrorCode(StrEnum):
    """Why a file or a page cannot be read. The values are stable: they are written into the output."""

    EMPTY_FILE = "empty_file"  # no bytes at all
    NOT_AN_IMAGE = "not_an_image"  # no format we have heard of, such as text named .png
    UNSUPPORTED_FORMAT = "unsupported_format"  # an image, but of a kind that is not read
    UNSUPPORTED_COMPRESSION = "unsupported_compression"  # a format that is read, packed in a way that is not
    TRUNCATED = "truncated"  # the end of the file is missing
    CORRUPT_IMAGE = "corrupt_image"  # damaged anywhere else
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_PAGES = "too_many_pages"
    FILE_TOO_LARGE = "file_too_large"
    ENCRYPTED_PDF = "encrypted_pdf"  # cannot be opened without a password
    PAGE_OUT_OF_RANGE = "page_out_of_range"
    OUT_OF_MEMORY = "out_of_memory"  # the machine has no more
    TOO_MUCH_MEMORY = "too_much_memory"  # it would take more than is allowed
    PAGE_TOO_SLOW = "page_too_slow"  # it took longer than is allowed
    PAGE_CRASHED = "page_crashed"  # it ended the process that read it


class ImageError(Exception):
    """A file or page that cannot be read; the message names the problem and the remedy."""

    def __init__(self, code: ImageErrorCode, message: str) -> None:
        """Keeps both as ``args`` too, so that the error survives pickling between processes."""
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """The message alone."""
        return self.message


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What is refused before anything is decoded.

    Attributes:
        max_pixels: width times height of a page. The default holds A2 at 550 dpi. Decoding takes two
            to sixteen bytes a pixel, see ``check_size``.
        max_side: the longer side of a page in pixels; OpenCV cannot resample beyond 32,767.
        max_pages: pages of a file.
        max_bytes: size of a file.
    """

    max_pixels: int = 120_000_000
    max_pages: int = 1000
    max_bytes: int = 500_000_000
    max_side: int = 32_767

    def check_size(self, width: int, height: int, bytes_a_pixel: int = BYTES_A_PIXEL) -> None:
        """Raises ImageError unless ``width`` x ``height`` pixels are a page that may be decoded.

        ``bytes_a_pixel`` is the most that decoding it takes; it matters only where memory is limited.
        """
        if width < 1 or height < 1:
            raise ImageError(
                ImageErrorCode.CORRUPT_IMAGE, f"The page is {width}x{height} pixels: scan it again."
            )
        if width * height > self.max_pixels or max(width, height) > self.max_side:
            raise ImageError(
                ImageErrorCode.TOO_MANY_PIXELS,
                f"The page is {width}x{height} pixels, more than the {self.max_pixels:,} allowed, or than "
                f"{self.max_side:,} on a side: scan it at a lower resolution, or raise the limit.",
            )

    def check_pages(self, count: int) -> None:
        """Raises ImageError if a file of ``count`` pages has too many of them."""
        if count > self.max_pages:
            raise ImageError(
                ImageErrorCode.TOO_MANY_PAGES,
                f"The file has more than the {self.max_pages:,} pages allowed: split it, or raise the limit.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One decoded page.

    Attributes:
        gray: uint8 (H, W), 0 = black, 255 = white, origin top left, upright as the file says; read-only.
        number: position in the file, counting from 1.
        dpi: pixels an inch along a row as the file states it, or None if it states nothing believable.
    """

    gray: NDArray[np.uint8]
    number: int
    dpi: float | None


class Document(ABC):
    """An opened file. Pages are decoded when asked for; not to be shared between threads.

    Attributes:
        page_count: number of pages, at least 1.
    """

    page_count: int
    kind: str

    def read(self, number: int) -> Page:
        """Decodes page ``number``, counting from 1.

        Raises:
            ImageError: this page cannot be read; others may be.
        """
        self._check_number(number)
        with decoder_errors(self.kind):
            page = self._decode(number)
        page.gray.flags.writeable = False  # of some formats it is the decoder's own memory
        return page

    def _check_number(self, number: int) -> None:
        if not 1 <= number <= self.page_count:
            raise ImageError(
                ImageErrorCode.PAGE_OUT_OF_RANGE,
                f"There is no page {number}: the file has {self.page_count}, counting from 1.",
            )

    def close(self) -> None:
        """Releases what the decoder holds. The document cannot be read afterwards."""
        return

    def __enter__(self) -> Self:
        """Returns itself, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the document."""
        self.close()

    @abstractmethod
    def _decode(self, number: int) -> Page:
        """Decodes a page whose number is in range; may raise anything."""


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Turns whatever a decoder of ``kind`` raises into an ImageError.

    Raises:
        OSError: the system refused something, such as one more open file; that says nothing of the data.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly every type there is
        if isinstance(error, OSError) and error.errno is not None:  # decoders' own have no number
            raise
        if is_memory_error(error):
            raise ImageError(
                ImageErrorCode.OUT_OF_MEMORY,
                f"There is not enough memory to decode this {kind}: run fewer workers, or lower the "
                "pixel limit.",
            ) from None
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "truncated" in reason.lower():
            raise truncated(kind) from error
        raise corrupt(kind, reason) from error


def is_memory_error(error: BaseException) -> bool:
    """Whether memory was refused, be it to Python or to OpenCV."""
    refused = isinstance(error, cv2.error) and getattr(error, "code", None) == cv2.Error.StsNoMem
    return refused or isinstance(error, MemoryError)


def truncated(kind: str) -> ImageError:
    """The error for a file whose end is missing."""
    return ImageError(ImageErrorCode.TRUNCATED, f"The end of this {kind} is missing: copy or scan it again.")


def corrupt(kind: str, reason: str) -> ImageError:
    """The error for a file that is damaged."""
    return ImageError(
        ImageErrorCode.CORRUPT_IMAGE, f"This {kind} is damaged ({reason}): copy or scan it again."
    )


def stated_dpi(value: object) -> float | None:
    """A resolution as found in a file, or None unless it is a number from 30 to 4800."""
    try:
        dpi = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return dpi if isfinite(dpi) and 30 <= dpi <= 4800 else None


def gray_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a Pillow image as grey, uint8 (H, W), without a copy where that can be had.

    ``np.asarray`` would copy twice, which takes as long as decoding a page does. Only images of up to 16 MB
    lie in one block of memory, and can be shared. Alpha is ignored.
    """
    image.load()
    gray = image if image.mode in ("1", "L") else image.convert("L")
    try:
        shared = pa.array(gray).to_numpy(zero_copy_only=True)
    except ValueError:
        return np.asarray(gray.convert("L"))
    return np.asarray(shared, np.uint8).reshape(gray.height, gray.width)


def upright(gray: NDArray[np.uint8], orientation: object) -> NDArray[np.uint8]:
    """Turns an image as its EXIF or TIFF orientation says (1 to 8; anything else leaves it as it is)."""
    if orientation in (5, 6, 7, 8):
        gray = gray.T
    if orientation in (2, 3, 6, 7):
        gray = gray[:, ::-1]
    if orientation in (3, 4, 7, 8):
        gray = gray[::-1]
    return np.ascontiguousarray(gray)
