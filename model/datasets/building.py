"""From ink to crops: how raw pictures of a set become one ``LabelledCrops``."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from model.datasets.crops import SIZE, UNKNOWN_WRITER, LabelledCrops

Normalize = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""ink uint8 (H, W), 255 on 0 -> uint8 (28, 28) placed the MNIST way. Injected, so that training crops are
made by the very function that makes serving crops, without this package knowing where it lives."""


class CropBuilder:
    """Collects crops one by one; memory doubles as needed, so that 800,000 of them need no second copy."""

    def __init__(self, name: str, normalize: Normalize) -> None:
        """Starts empty; ``name`` goes to the result."""
        self.name = name
        self._normalize = normalize
        self._images = np.empty((1024, SIZE, SIZE), np.uint8)
        self._labels: list[int] = []
        self._writers: list[int] = []
        self._writer_numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """How many crops are in."""
        return len(self._labels)

    def add(self, ink: NDArray[np.uint8], label: int, writer: str | None = None) -> None:
        """Normalises one picture and keeps it.

        Args:
            ink: uint8 (H, W), ink up to 255 on 0.
            label: class index.
            writer: any name that is the same for the same hand; None if unknown.
        """
        count = len(self._labels)
        if count == len(self._images):
            self._images.resize((2 * count, SIZE, SIZE), refcheck=False)
        self._images[count] = self._normalize(ink)
        self._labels.append(label)
        number = UNKNOWN_WRITER
        if writer is not None:
            number = self._writer_numbers.setdefault(writer, len(self._writer_numbers))
        self._writers.append(number)

    def build(self) -> LabelledCrops:
        """All crops in the order they came."""
        return LabelledCrops(
            self.name,
            self._images[: len(self._labels)],
            np.array(self._labels, np.int16),
            np.array(self._writers, np.int32),
        )


def normalize_all(pictures: Iterable[NDArray[np.uint8]], normalize: Normalize) -> NDArray[np.uint8]:
    """Normalises ink pictures, uint8 (H, W) each, to uint8 (N, 28, 28)."""
    crops = [normalize(picture) for picture in pictures]
    return np.stack(crops) if crops else np.zeros((0, SIZE, SIZE), np.uint8)
