"""PNG pages.

OpenCV decodes: on a grey page of 2560x3300 it takes 11 ms where Pillow takes 13, in colour 50 against 85, and
it refuses pixel data that end early, which Pillow takes for a page. Every chunk's checksum is verified first,
so that damage is found before any pixel is made.

Pages of one bit, as most form scanners write them, are decoded eight pixels at a time: what is stored is the
same as that of a grey picture an eighth as wide, since the filters of PNG work on bytes (PNG specification,
section 9.2), and so the decoder is told that it is one. That takes half the time or less.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.image_document import (
    Document,
    ImageLimits,
    Page,
    corrupt,
    stated_dpi,
    truncated,
    upright,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_ORIENTATION = 0x0112
_GRAY = 0
_BYTES_WITHOUT_ALPHA = 8  # 2 unless some colour is transparent; with alpha as many as a channel has bits
_IDAT, _IEND = b"IDAT", b"IEND"
_ROWS = 256  # that are laid over white at a time
_COLOR_TYPES_WITH_ALPHA = (4, 6)
_NEARLY_WHITE = 250
_METRES_PER_INCH = 0.0254
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
_CHECKSUM = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class _Header:
    """Of a PNG, what decides how its pixels are read; ``content``: where its compressed pixels lie."""

    width: int
    height: int
    depth: int
    color_type: int
    interlaced: bool
    content: tuple[tuple[int, int], ...]
    transparency: bytes | None
    dpi: float | None
    orientation: int


def open_png(data: bytes, limits: ImageLimits) -> Document:
    """Checks size, checksums and completeness of a PNG without decoding it.

    Raises:
        ImageError: it is too large, truncated or corrupt.
    """
    return _PngDocument(data, _read_header(data, limits))


class _PngDocument(Document):
    page_count = 1
    kind = "PNG"

    def __init__(self, data: bytes, header: _Header) -> None:
        self._data, self._header = data, header

    def _decode(self, number: int) -> Page:
        header = self._header
        if _has_alpha(header):
            gray = self._with_alpha()
        elif header.depth == 1 and header.color_type == _GRAY and not header.interlaced:
            gray = self._bits()
        else:
            gray = _decoded(self._data, cv2.IMREAD_GRAYSCALE)
        return Page(upright(gray, header.orientation), number, header.dpi)

    def _bits(self) -> NDArray[np.uint8]:
        header = self._header
        packed = _decoded(_eight_pixels_as_one(self._data, header), cv2.IMREAD_GRAYSCALE)
        gray = np.unpackbits(packed, axis=1, count=header.width)
        return np.negative(gray, out=gray)  # 1 becomes 255

    def _with_alpha(self) -> NDArray[np.uint8]:
        pixels = _decoded(self._data, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            over_white = np.empty(pixels.shape[:2], np.uint8)
            for top in range(0, len(pixels), _ROWS):  # what is needed besides then stays small
                over_white[top : top + _ROWS] = _over_white(pixels[top : top + _ROWS])
            # White ink on nothing, as drawn in a dark window, shows on black alone.
            return _alpha_levels(pixels) if over_white.min() >= _NEARLY_WHITE else over_white
        gray = _eight_bits(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels)
        if self._header.color_type == _GRAY and self._header.transparency:
            gray[pixels == _transparent_gray(self._header)] = 255
        return gray


def _decoded(data: bytes, mode: int) -> NDArray[np.uint8]:
    # OpenCV would apply the orientation in some modes and not in others.
    flags = mode if mode == cv2.IMREAD_UNCHANGED else mode | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise corrupt("PNG", "its pixels cannot be decoded")
    return np.asarray(pixels)


def _eight_pixels_as_one(data: bytes, header: _Header) -> bytes:
    """The PNG of eight bits a pixel whose pixels are the bytes, eight pixels each, of a PNG of one bit."""
    *_, compression, filters, interlaced = _HEADER.unpack_from(data, len(SIGNATURE) + _CHUNK.size)
    width = (header.width + 7) // 8
    size = _HEADER.pack(width, header.height, 8, _GRAY, compression, filters, interlaced)
    content = b"".join(data[start:end] for start, end in header.content)
    return SIGNATURE + _chunk(b"IHDR", size) + _chunk(_IDAT, content) + _chunk(_IEND, b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return _CHUNK.pack(len(content), kind) + content + _CHECKSUM.pack(checksum)


def _over_white(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey on white of blue, green, red and alpha, 8 or 16 bits (H, W, 4)."""
    gray, alpha = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY), np.ascontiguousarray(pixels[:, :, 3])
    full = np.iinfo(pixels.dtype).max
    return _eight_bits(full - cv2.multiply(full - gray, alpha, scale=1 / full))


def _alpha_levels(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """How opaque pixels (H, W, 4) are, as white on black; all white if they all are, or none is."""
    alpha = _eight_bits(np.ascontiguousarray(pixels[:, :, 3]))
    return alpha if alpha.any() else np.full(alpha.shape, 255, np.uint8)


def _has_alpha(header: _Header) -> bool:
    return header.color_type in _COLOR_TYPES_WITH_ALPHA or header.transparency is not None


def _transparent_gray(header: _Header) -> int:
    """The one grey value that is transparent, on the scale of the decoded pixels."""
    (value,) = struct.unpack(">H", (header.transparency or b"")[:2])
    return int(value) * (255 // (2**header.depth - 1)) if header.depth < 8 else int(value)


def _eight_bits(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint16:
        return np.right_shift(pixels, 8).astype(np.uint8)
    return np.asarray(pixels, np.uint8)


def _read_header(data: bytes, limits: ImageLimits) -> _Header:
    """Walks all chunks; the first gives the size, which is checked before the walk goes on."""
    found: dict[bytes, bytes] = {}
    content: list[tuple[int, int]] = []
    position = len(SIGNATURE)
    while True:
        kind, start, end = _next_chunk(data, position)
        if position == len(SIGNATURE):
            if kind != b"IHDR" or end - start != _HEADER.size:
                raise corrupt("PNG", "it has no header")
            width, height, depth, color_type, *_, interlaced = _HEADER.unpack_from(data, start)
            alpha = color_type in _COLOR_TYPES_WITH_ALPHA
            limits.check_size(width, height, max(depth, 8) + 1 if alpha else _BYTES_WITHOUT_ALPHA)
        elif kind in (b"tRNS", b"pHYs", b"eXIf"):
            found.setdefault(kind, data[start:end])
        elif kind == _IDAT:
            content.append((start, end))
        elif kind == _IEND:
            break
        position = end + _CHECKSUM.size
    return _Header(
        width,
        height,
        depth,
        color_type,
        interlaced != 0,
        tuple(content),
        found.get(b"tRNS"),
        _dpi(found.get(b"pHYs")),
        _orientation(found.get(b"eXIf")),
    )


def _next_chunk(data: bytes, position: int) -> tuple[bytes, int, int]:
    """The kind of the chunk at ``position`` and where its content starts and ends, its checksum verified."""
    start = position + _CHUNK.size
    if start > len(data):
        raise truncated("PNG")
    length, kind = _CHUNK.unpack_from(data, position)
    end = start + length
    if end + _CHECKSUM.size > len(data):
        raise truncated("PNG")
    (expected,) = _CHECKSUM.unpack_from(data, end)
    if zlib.crc32(memoryview(data)[position + 4 : end]) != expected:
        raise corrupt("PNG", f"the checksum of its part {kind!r} at byte {position:,} is wrong")
    return kind, start, end


def _dpi(physical: bytes | None) -> float | None:
    if physical is None or len(physical) != 9 or physical[8] != 1:
        return None
    return stated_dpi(struct.unpack_from(">I", physical)[0] * _METRES_PER_INCH)


def _orientation(exif: bytes | None) -> int:
    if exif is None:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        return int(tags.get(_ORIENTATION, 1))
    except Exception:  # a page with a damaged note about itself is still a page
        return 1
