"""Pictures for the desk: fields cut from their scans, whole pages, crops of characters, and a stand-in."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from review.readings import Row

PAGE_SIDE = 1600  # pixels, the longer side of the picture of a page
FIELD_WIDTH, FIELD_HEIGHT = 2400, 1600  # a larger field is reduced
_MARGIN = 0.25  # of the height of the field, of what is around it


@dataclass(frozen=True)
class Frame:
    """What part of a page a picture shows: edges in page pixels, and picture pixels a page pixel."""

    left: int
    top: int
    right: int
    bottom: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        width, height = self.right - self.left, self.bottom - self.top
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))

    def place(self, box: list[float] | tuple[float, ...]) -> list[float]:
        """A box in page pixels as x, y, width, height in pixels of the picture."""
        x, y, width, height = box
        moved = ((x - self.left), (y - self.top), width, height)
        return [round(value * self.scale, 2) for value in moved]


def field_frame(row: Row) -> Frame:
    """The part of the page around a field of the queue, whose height gives the margin."""
    margin = max(8.0, _MARGIN * row["box_height"])
    page_width, page_height = row["page_width"], row["page_height"]
    left = int(min(max(row["box_x"] - margin, 0), page_width - 1))
    top = int(min(max(row["box_y"] - margin, 0), page_height - 1))
    right = int(min(max(row["box_x"] + row["box_width"] + margin, left + 1), page_width))
    bottom = int(min(max(row["box_y"] + row["box_height"] + margin, top + 1), page_height))
    scale = min(1.0, FIELD_WIDTH / (right - left), FIELD_HEIGHT / (bottom - top))
    return Frame(left, top, right, bottom, scale)


def page_frame(width: int, height: int) -> Frame:
    """A whole page, its longer side at most ``PAGE_SIDE``."""
    return Frame(0, 0, width, height, min(1.0, PAGE_SIDE / max(width, height)))


def cut(gray: NDArray[np.uint8], frame: Frame) -> bytes:
    """A part of a page, uint8 (H, W), as PNG."""
    part = gray[frame.top : frame.bottom, frame.left : frame.right]
    if frame.scale < 1:
        part = cv2.resize(part, frame.size, interpolation=cv2.INTER_AREA)
    return png(part)


def png(picture: NDArray[np.uint8]) -> bytes:
    """Pixels, uint8 (H, W) or (H, W, 3), as PNG."""
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ValueError(f"a picture of {picture.shape} cannot be written as PNG")
    return data.tobytes()


def stand_in(size: tuple[int, int], reason: str) -> bytes:
    """A picture of the size of one that cannot be shown, which says so: dark words on light grey, PNG."""
    width, height = size
    picture = np.full((height, width), 225, np.uint8)
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), 150, 2)
    words = f"The scan {reason}".encode("ascii", "replace").decode()
    (length, tall), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(1.0, 0.9 * width / length, 0.6 * height / tall)
    place = (int((width - length * scale) / 2), int((height + tall * scale) / 2))
    cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 60, 1, cv2.LINE_AA)
    return png(picture)


def crop_address(crop: bytes) -> str:
    """The 784 bytes of a crop, ink = 255 on 0, as the address of a picture with dark ink on white."""
    pixels = 255 - np.frombuffer(crop, np.uint8).reshape(28, 28)
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
