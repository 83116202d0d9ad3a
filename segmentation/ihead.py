"""NIST IHEAD pages (``.pct``), the format of the first edition of NIST Special Database 19.

The layout is that of the database's user guide: the length of the header as eight ASCII characters, 288 bytes
of ASCII fields, the raster. The compression codes are those of NIST's ``ihead.h``.
"""

import io
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

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

_HEADER_SIZE = 288
_RASTER = 8 + _HEADER_SIZE
_UNCOMPRESSED, _GROUP_4 = 0, 2

# Offset and size of the fields that are used, from the start of the file.
_FIELDS = {
    "width": (114, 8),
    "height": (122, 8),
    "depth": (130, 8),
    "density": (138, 8),
    "compress": (146, 8),
    "complen": (154, 8),
    "align": (162, 8),
    "sigbit": (178, 1),
    "pix_offset": (180, 8),
    "whitepix": (188, 8),
    "rm_cm": (197, 1),
    "tb_bt": (198, 1),
    "lr_rl": (199, 1),
}
_REQUIRED = ("width", "height", "depth", "compress")


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    depth: int
    density: int
    compress: int
    complen: int
    align: int
    sigbit: int
    pix_offset: int
    whitepix: int
    rm_cm: int
    tb_bt: int
    lr_rl: int


def is_ihead(data: bytes) -> bool:
    """Whether the file begins with the length of an IHEAD header."""
    return data[:8].strip(b" \0") == b"288"


def open_ihead(data: bytes, limits: ImageLimits) -> Document:
    """Reads and checks the header; the raster is decoded later.

    Raises:
        ImageError: the page is too large, truncated, corrupt, or stored in a way that is not read.
    """
    header = _read_header(data)
    limits.check_size(header.width, header.height)
    if header.compress not in (_UNCOMPRESSED, _GROUP_4):
        raise ImageError(
            ImageErrorCode.UNSUPPORTED_COMPRESSION,
            f"IHEAD compression code {header.compress} is not read, only 0 (none) and 2 (CCITT Group 4): "
            "convert the page to TIFF or PNG.",
        )
    if (header.compress, header.depth) not in ((_UNCOMPRESSED, 1), (_UNCOMPRESSED, 8), (_GROUP_4, 1)):
        raise _unsupported(f"{header.depth} bits a pixel with compression code {header.compress}")
    if header.rm_cm or header.pix_offset:
        raise _unsupported("column-major order" if header.rm_cm else "an offset of the first pixel")
    body = data[_RASTER:]
    needed = header.complen if header.compress == _GROUP_4 else _stride(header) * header.height
    if not body or len(body) < needed:
        raise truncated("IHEAD file")
    return _IheadDocument(header, body[:needed] if needed else body)


class _IheadDocument(Document):
    page_count = 1
    kind = "IHEAD file"

    def __init__(self, header: _Header, body: bytes) -> None:
        self._header, self._body = header, body

    def _decode(self, number: int) -> Page:
        header = self._header
        if header.compress == _GROUP_4:
            gray = _group_4(header, self._body)
        else:
            light = np.frombuffer(self._body, np.uint8)
            rows = (light if header.whitepix else ~light).reshape(header.height, -1)
            gray = _bits(header, rows) if header.depth == 1 else rows[:, : header.width]
        down, right = -1 if header.tb_bt else 1, -1 if header.lr_rl else 1
        gray = np.ascontiguousarray(gray[::down, ::right])
        return Page(gray, number, stated_dpi(header.density))


def _read_header(data: bytes) -> _Header:
    if len(data) < _RASTER:
        raise truncated("IHEAD file")
    values = {name: _number(data, name) for name in _FIELDS}
    for name in _REQUIRED:
        if values[name] is None:
            raise corrupt("IHEAD file", f"its field {name} is empty")
    if values["whitepix"] is None:  # white is the absence of ink in one bit, and light in eight
        values["whitepix"] = 255 if values["depth"] == 8 else 0
    return _Header(**{name: value or 0 for name, value in values.items()})


def _number(data: bytes, name: str) -> int | None:
    offset, size = _FIELDS[name]
    text = data[offset : offset + size].split(b"\0")[0].strip()
    if not text:
        return None
    if not text.isdigit():
        raise corrupt("IHEAD file", f"its field {name} is {text!r}, which is no number")
    return int(text)


def _unsupported(what: str) -> ImageError:
    return ImageError(
        ImageErrorCode.UNSUPPORTED_FORMAT,
        f"IHEAD files with {what} are not read: convert the page to TIFF or PNG.",
    )


def _stride(header: _Header) -> int:
    """Bytes of an uncompressed scan line, which is padded to a multiple of ``align`` bits."""
    align = max(8, header.align)
    return -(-header.width * header.depth // align) * align // 8


def _bits(header: _Header, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    order: Literal["big", "little"] = "little" if header.sigbit else "big"
    return np.unpackbits(rows, axis=1, count=header.width, bitorder=order) * np.uint8(255)


def _group_4(header: _Header, body: bytes) -> NDArray[np.uint8]:
    """Decodes CCITT Group 4 by way of a TIFF around it."""
    with TiffImagePlugin.TiffImageFile(io.BytesIO(_tiff_around(header, body))) as image:
        return gray_pixels(image)


def _tiff_around(header: _Header, body: bytes) -> bytes:
    entries = [
        (256, header.width),
        (257, header.height),
        (258, 1),  # bits
        (259, 4),  # Group 4
        (262, 1 if header.whitepix else 0),  # one is white, or zero
        (266, 2 if header.sigbit else 1),
        (273, 8),  # the strip follows the first eight bytes
        (277, 1),
        (278, header.height),
        (279, len(body)),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    start = 8 + len(body) + len(body) % 2
    head = b"II*\0" + struct.pack("<I", start) + body + b"\0" * (len(body) % 2)
    return head + struct.pack("<H", len(entries)) + directory + bytes(4)
