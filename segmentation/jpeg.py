"""JPEG pages.

Pillow decodes: of a colour scan only the luma is taken (19 ms for 2560x3300, against 52 for all three
channels), and a file that ends early is an error, where OpenCV returns the upper half of the page on grey.
"""

import io

from PIL import JpegImagePlugin

from segmentation.image_document import Document, ImageLimits, Page, corrupt, gray_pixels, stated_dpi, upright

_ORIENTATION = 0x0112
_BYTES_OF_LUMA, _BYTES_OF_CMYK = 5, 10  # a pixel, while decoding
_START_OF_SCAN = b"\xff\xda"
# A progressive file has about ten scans, each a pass over the whole page: thousands would stall a worker.
_MOST_SCANS = 200


def open_jpeg(data: bytes, limits: ImageLimits) -> Document:
    """Reads the header of a JPEG; pixels are decoded later.

    Raises:
        ImageError: it is too large, or its header is damaged.
    """
    # The class itself and not Image.open, which would warn of sizes by a limit of its own.
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        limits.check_size(*image.size, _BYTES_OF_CMYK if image.mode == "CMYK" else _BYTES_OF_LUMA)
        progressive = "progressive" in image.info
    if progressive and data.count(_START_OF_SCAN) > _MOST_SCANS:
        raise corrupt("JPEG", f"it has more than {_MOST_SCANS} scans")
    return _JpegDocument(data)


class _JpegDocument(Document):
    page_count = 1
    kind = "JPEG"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def _decode(self, number: int) -> Page:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(self._data)) as image:
            dpi = stated_dpi(image.info.get("dpi", (None,))[0])
            try:
                orientation = image.getexif().get(_ORIENTATION)
            except Exception:  # a page with a damaged note about itself is still a page
                orientation = None
            image.draft("L", None)
            gray = gray_pixels(image)
        return Page(upright(gray, orientation), number, dpi)
