"""Labelled 28x28 characters as one value, and how they are split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CLASS_COUNT

SIZE = 28
UNKNOWN_WRITER = -1


class DatasetError(Exception):
    """A data set is absent, unreadable or not what its name says; names the file and the remedy."""


class AbsentError(DatasetError):
    """A file of a data set is not where it was looked for."""


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """Characters with their classes and, where known, the hands that wrote them.

    Attributes:
        name: the data set, for messages and model cards.
        images: uint8 (N, 28, 28), ink up to 255 on 0, upright, placed the MNIST way.
        labels: int16 (N,), class indices of ``model.alphabets``, 0..62 (62 = not a character).
        writers: int32 (N,), -1 where the writer is unknown; numbers mean something only within one value.

    Raises:
        ValueError: a shape, dtype or label is not as above.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int16]
    writers: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuses arrays that do not fit each other."""
        count = len(self.labels)
        expected = {
            "images": ("uint8", (count, SIZE, SIZE)),
            "labels": ("int16", (count,)),
            "writers": ("int32", (count,)),
        }
        for field, (dtype, shape) in expected.items():
            array = getattr(self, field)
            if array.dtype != dtype or array.shape != shape:
                found = f"{array.dtype} {array.shape}"
                raise ValueError(f"{self.name}: {field} must be {dtype} {shape}, not {found}")
        if count and not (self.labels.min() >= 0 and self.labels.max() < CLASS_COUNT):
            raise ValueError(f"{self.name}: labels must lie in 0..{CLASS_COUNT - 1}")

    def __len__(self) -> int:
        """The number of crops, N."""
        return len(self.labels)

    def select(self, mask_or_index: NDArray[Any]) -> "LabelledCrops":
        """The crops of a boolean mask (N,) or of integer indices (M,), in that order; the name stays."""
        chosen = mask_or_index
        return LabelledCrops(self.name, self.images[chosen], self.labels[chosen], self.writers[chosen])

    @staticmethod
    def concatenate(
        parts: Sequence["LabelledCrops"], name: str | None = None, *, shared_writers: bool = False
    ) -> "LabelledCrops":
        """Joins parts in order.

        Args:
            parts: at least one.
            name: of the result; the distinct names joined by ``+`` if not given.
            shared_writers: True where the parts number their writers alike (two halves of one set).
                Otherwise writer 3 of one part and writer 3 of another are different people, and the numbers
                of later parts are shifted so that they stay different.
        """
        if not parts:
            raise ValueError("nothing to concatenate")
        writers, next_writer = [], 0
        for part in parts:
            known = part.writers != UNKNOWN_WRITER
            shift = 0 if shared_writers else next_writer
            writers.append(np.where(known, part.writers + shift, UNKNOWN_WRITER).astype(np.int32))
            next_writer = max(next_writer, int(writers[-1].max(initial=-1)) + 1)
        return LabelledCrops(
            name or "+".join(dict.fromkeys(part.name for part in parts)),
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate(writers),
        )


def unknown_writers(count: int) -> NDArray[np.int32]:
    """int32 (count,), all -1."""
    return np.full(count, UNKNOWN_WRITER, np.int32)


def split_by_writer(crops: LabelledCrops, share: float, seed: int) -> tuple[LabelledCrops, LabelledCrops]:
    """Splits so that nobody's hand is on both sides.

    Where the writer is known, ``share`` of the writers (at least one, never all) is held out with all they
    wrote; of the crops without a writer, ``share`` of each class. Both sides keep the original order.

    Args:
        crops: what to split.
        share: 0..1, the part to hold out.
        seed: the same seed gives the same split.

    Returns:
        (train, held_out)

    Raises:
        ValueError: share is outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share to hold out must lie in 0..1, not {share}")
    random = np.random.default_rng(seed)
    held = _held_out_writers(crops.writers, share, random)
    anonymous = np.flatnonzero(crops.writers == UNKNOWN_WRITER)
    for label in np.unique(crops.labels[anonymous]):
        members = anonymous[crops.labels[anonymous] == label]
        held[random.permutation(members)[: round(share * len(members))]] = True
    return crops.select(~held), crops.select(held)


def _held_out_writers(
    writers: NDArray[np.int32], share: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    known = np.unique(writers[writers != UNKNOWN_WRITER])
    count = round(share * len(known))
    if len(known) > 1 and 0 < share < 1:
        count = min(max(count, 1), len(known) - 1)
    return np.isin(writers, random.permutation(known)[:count])
