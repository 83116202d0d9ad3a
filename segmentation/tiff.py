"""TIFF pages, of one or many, as scanners and fax machines write them.

Pillow and libtiff decode. CCITT data carry no checksum: bits flipped inside them can give a damaged page
without an error; only missing data are noticed.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segmentation.image_document import (
    Document,
    ImageError,
    ImageErrorCode,
    ImageLimits,
    Page,
    corrupt,
    gray_pixels,
    stated_dpi,
    truncated,
)

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# none, CCITT RLE, G3, G4, LZW, JPEG (old and new), Deflate (two codes), RLE with word alignment, PackBits
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32946, 32771, 32773)
_SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 258, 259, 262
_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_MIN_IS_WHITE = 0
_REDUCED_RESOLUTION = 1
_SHORT, _LONG = 3, 4
_ORIENTATION, _SIDEWAYS = 274, 5  # the tag, and from which value on rows are columns
OBLONG = (1.3, 3.0)  # length by width of pixels that are made square; more is a mistake of the file
_MOST_ENTRIES = 4096  # the bound that libtiff has


@dataclass(frozen=True, slots=True)
class _Form:
    """How the numbers of a TIFF or BigTIFF are laid out, as ``struct`` formats."""

    byte_order: Literal["little", "big"]
    first: int
    count: str
    entry: str
    next_offset: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        little = data[:2] == b"II"
        order = "<" if little else ">"
        big_tiff = 43 in data[2:4]
        first, *formats = (8, "Q", "HHQ8s", "Q") if big_tiff else (4, "H", "HHI4s", "I")
        return cls("little" if little else "big", first, *(order + text for text in formats))


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is known of a page before Pillow opens it."""

    offset: int
    compression: int
    subfile_type: int


def open_tiff(data: bytes, limits: ImageLimits) -> Document:
    """Counts the pages of a TIFF; each page is checked and decoded when it is read.

    Raises:
        ImageError: the list of pages is damaged, truncated, or too long.
    """
    return _TiffDocument(data, limits, _list_pages(data, limits))


class _TiffDocument(Document):
    kind = "TIFF"

    def __init__(self, data: bytes, limits: ImageLimits, frames: list[_Frame]) -> None:
        self._file, self._size, self._form = io.BytesIO(data), len(data), _Form.of(data)
        self._limits, self._frames = limits, frames
        self.page_count = len(frames)

    def _decode(self, number: int) -> Page:
        frame = self._frames[number - 1]
        if frame.compression not in _COMPRESSIONS:
            raise ImageError(
                ImageErrorCode.UNSUPPORTED_COMPRESSION,
                f"TIFF compression {frame.compression} is not read: "
                "save the scan with CCITT Group 4, LZW or Deflate.",
            )
        # The header is made to point at the directory of this page. Pillow's own way to it would read those
        # of all pages before, stop at a damaged one, and decode every page into the same memory.
        self._file.seek(self._form.first)
        self._file.write(struct.pack(self._form.next_offset, frame.offset))
        self._file.seek(0)
        image = TiffImagePlugin.TiffImageFile(self._file)
        gray, dpi = _decode_frame(image, self._size, self._limits)
        return Page(gray, number, dpi)

    def close(self) -> None:
        self._file.close()


def _decode_frame(
    image: TiffImagePlugin.TiffImageFile, file_size: int, limits: ImageLimits
) -> tuple[NDArray[np.uint8], float | None]:
    """Checks and decodes the first frame of ``image``.

    Returns:
        The page as uint8 (H, W), upright, and its resolution in dpi if stated.

    Raises:
        ImageError: the frame is too large, incomplete, or of a kind that is not read. Other exceptions are
            the decoder's own.
    """
    tags = image.tag_v2
    limits.check_size(*image.size)
    if _TILE_WIDTH in tags:
        limits.check_size(tags[_TILE_WIDTH], tags.get(_TILE_LENGTH, 1))
    _check_complete(tags, file_size)
    across, down = (stated_dpi(value) for value in (*image.info.get("dpi", ()), None, None)[:2])
    photometric, bits = tags.get(_PHOTOMETRIC), tags.get(_BITS, (1,))[0]
    turned = tags.get(_ORIENTATION, 1) >= _SIDEWAYS
    image.load()  # turns the page upright
    gray = _to_gray(image, bits, photometric == _MIN_IS_WHITE)
    if turned:
        across, down = down, across
    if across is None or down is None or not OBLONG[0] <= max(across / down, down / across) <= OBLONG[1]:
        return gray, across  # registration takes small differences
    return _squared(gray, across / down, limits), max(across, down)


def _squared(gray: NDArray[np.uint8], ratio: float, limits: ImageLimits) -> NDArray[np.uint8]:
    """A page of a fax machine, of which the rows lie twice as far apart as the columns, with square pixels.

    ``ratio`` is columns an inch by rows an inch.
    """
    height, width = gray.shape
    size = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    limits.check_size(*size)
    return cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR)  # type: ignore


def _check_complete(tags: Any, file_size: int) -> None:
    """Raises if pixel data lie beyond the end of the file: libtiff would take some of that for white rows."""
    for offset_tag, count_tag in ((_STRIP_OFFSETS, _STRIP_COUNTS), (_TILE_OFFSETS, _TILE_COUNTS)):
        offsets, counts = tags.get(offset_tag, ()), tags.get(count_tag, ())
        pairs = zip(offsets, counts or [1] * len(offsets), strict=False)
        if any(offset + count > file_size for offset, count in pairs):
            raise truncated("TIFF")


def _to_gray(image: Image.Image, bits: int, min_is_white: bool) -> NDArray[np.uint8]:
    """Any mode Pillow gives a TIFF, as grey on white. Sixteen bits keep the upper eight."""
    if image.mode.startswith("I;16"):
        gray = np.right_shift(np.asarray(image), bits - 8).astype(np.uint8)
        return 255 - gray if min_is_white else gray  # Pillow inverts eight bits, but not sixteen
    if image.mode in ("I", "F"):
        raise ImageError(
            ImageErrorCode.UNSUPPORTED_FORMAT,
            "TIFF pixels of 32 bits are not read: save the scan with 1, 8 or 16 bits.",
        )
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode == "LAB":
        return gray_pixels(image.getchannel("L"))
    if image.mode not in ("RGBA", "LA", "PA"):
        return gray_pixels(image)
    over_white = Image.new("L", image.size, 255)
    over_white.paste(image.convert("L"), mask=image.getchannel("A"))
    return gray_pixels(over_white)


def _list_pages(data: bytes, limits: ImageLimits) -> list[_Frame]:
    """Walks the chain of directories; those of previews (smaller copies of another page) are left out."""
    form = _Form.of(data)
    frames: list[_Frame] = []
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(form.next_offset, data, form.first)
        while offset:
            if offset in seen:
                raise corrupt("TIFF", "its list of pages runs in a circle")
            limits.check_pages(len(seen) + 1)
            tags, offset_after = _read_directory(data, offset, form)
            frames.append(_Frame(offset, tags.get(_COMPRESSION, 1), tags.get(_SUBFILE_TYPE, 0)))
            seen.add(offset)
            offset = offset_after
    except struct.error:
        raise truncated("TIFF") from None
    if not frames:
        raise corrupt("TIFF", "it has no page")
    return [frame for frame in frames if not frame.subfile_type & _REDUCED_RESOLUTION] or frames


def _read_directory(data: bytes, offset: int, form: _Form) -> tuple[dict[int, int], int]:
    """The whole numbers of a directory by tag, and the offset of the next directory (0 after the last)."""
    (count,) = struct.unpack_from(form.count, data, offset)
    if not 0 < count <= _MOST_ENTRIES:
        raise corrupt("TIFF", f"the list of properties of a page has {count} entries")
    start = offset + struct.calcsize(form.count)
    size = struct.calcsize(form.entry)
    stop = start + count * size
    (offset_after,) = struct.unpack_from(form.next_offset, data, stop)
    tags = {}
    for tag, kind, _, value in struct.iter_unpack(form.entry, data[start:stop]):
        if kind in (_SHORT, _LONG):
            width = 2 if kind == _SHORT else 4
            tags[tag] = int.from_bytes(value[:width], form.byte_order)
    return tags, offset_after
