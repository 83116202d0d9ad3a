"""Stacks of characters in NIST's IHEAD format (``.mis``), as on the first edition of Special Database 19.

Source: NIST Special Database 19 user's guide (1995); the compression codes are those of NIST's ``ihead.h``.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from model.datasets.crops import DatasetError

HEADER_LENGTH = 288
UNCOMPRESSED, GROUP_4 = 0, 2
# A stack holds one class of one partition: 60,000 characters of 128x128 are far more than any real one.
MAX_PIXELS = 1 << 30


@dataclass(frozen=True)
class StackHeader:
    """What is needed of an IHEAD header; sizes in pixels."""

    width: int
    height: int
    compression: int
    compressed_length: int
    white: int
    least_bit_first: bool
    entry_width: int
    entry_height: int


class _TallTiff(TiffImagePlugin.TiffImageFile):
    """Pillow takes a tall stack for a decompression bomb; here MAX_PIXELS has bounded it already."""

    def load_prepare(self) -> None:
        ImageFile.ImageFile.load_prepare(self)


def parse_header(data: bytes, where: str) -> StackHeader:
    """Reads the length and the 288 bytes of fields.

    Raises:
        DatasetError: not an IHEAD file of one bit a pixel, or its sizes make no sense.
    """

    def number(start: int, length: int = 8) -> int:
        return int(fields[start : start + length].split(b"\0")[0].strip() or b"0")

    fields = data[8 : 8 + HEADER_LENGTH]
    try:
        if len(fields) < HEADER_LENGTH or int(data[:8].split(b"\0")[0]) != HEADER_LENGTH:
            raise ValueError("no IHEAD header")
        header = StackHeader(
            width=number(106),
            height=number(114),
            compression=number(138),
            compressed_length=number(146),
            white=number(180),
            least_bit_first=fields[170:171] == b"1",
            entry_width=number(272),
            entry_height=number(280),
        )
        if number(122) != 1:
            raise ValueError(f"{number(122)} bits a pixel, not 1")
    except ValueError as error:
        raise DatasetError(f"{where}: not an IHEAD stack ({error})") from error
    sizes = (header.width, header.height, header.entry_width, header.entry_height)
    if min(sizes) < 1 or header.width * header.height > MAX_PIXELS or header.entry_width != header.width:
        raise DatasetError(f"{where}: sizes {sizes} are not those of a stack of characters")
    if header.height % header.entry_height:
        raise DatasetError(f"{where}: height {header.height} is no multiple of {header.entry_height}")
    return header


def read_stack(data: bytes, where: str) -> Iterator[NDArray[np.uint8]]:
    """The characters of a ``.mis`` file, top to bottom: ink uint8 (entry height, width), 255 on 0.

    Raises:
        DatasetError: not such a file, an unknown compression, or a damaged raster.
    """
    header = parse_header(data, where)
    picture = _decode(header, data[8 + HEADER_LENGTH :], where)
    for top in range(0, header.height, header.entry_height):
        entry = picture.crop((0, top, header.width, top + header.entry_height))
        bits = np.asarray(entry)
        yield np.where(bits == bool(header.white), 0, 255).astype(np.uint8)


def parse_classes(text: str, where: str) -> list[str]:
    """The characters of a ``.cls`` file: a count, then one hexadecimal code a line.

    Raises:
        DatasetError: a line is no such code, or the count is wrong.
    """
    words = text.split()
    try:
        codes = [chr(int(word, 16)) for word in words[1:]]
        if int(words[0]) != len(codes):
            raise ValueError(f"{len(codes)} codes where {words[0]} are promised")
    except (ValueError, IndexError, OverflowError) as error:
        raise DatasetError(f"{where}: not a .cls file ({error})") from error
    return codes


def _decode(header: StackHeader, raster: bytes, where: str) -> Image.Image:
    """Mode 1 picture whose pixels are the raster's bits."""
    size = (header.width, header.height)
    try:
        if header.compression == UNCOMPRESSED and not header.least_bit_first:
            return Image.frombytes("1", size, raster)
        if header.compression == GROUP_4:
            if len(raster) < header.compressed_length:
                raise ValueError(f"{len(raster)} bytes of {header.compressed_length}")
            tiff = _group_4_tiff(header, raster[: header.compressed_length or None])
            picture = _TallTiff(io.BytesIO(tiff))
            picture.load()
            return picture
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{where}: damaged raster ({error})") from error
    raise DatasetError(f"{where}: compression code {header.compression} is not supported (0 and 2 are)")


def _group_4_tiff(header: StackHeader, raster: bytes) -> bytes:
    """The smallest TIFF around a Group 4 stream: a header, one directory of 32-bit tags, one strip."""
    tags = {
        256: header.width,
        257: header.height,
        258: 1,  # bits a sample
        259: 4,  # Group 4
        262: 1,  # black is zero: pixels come out as the raster's bits
        266: 2 if header.least_bit_first else 1,
        273: 0,  # where the strip starts, set below
        277: 1,  # samples a pixel
        278: header.height,
        279: len(raster),
    }
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + raster
