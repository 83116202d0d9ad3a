"""Characters that people labelled while they checked fields, and which of them are held back to measure on.

All characters of a page are on one side: a page is one hand. Which side follows from the hash of the page,
not from what else was corrected, as soon as both sides have a page by it; from then on more corrections move
nothing from one side to the other. Before that, what is held back is chosen among the few there are, and may
change sides.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.alphabets import CHARACTERS, CHARSETS, CLASS_COUNT, charset_mask
from model.datasets.crops import AbsentError, DatasetError, LabelledCrops
from model.datasets.npz import label_indices, read_arrays

HELD_BACK_SHARE = 0.25
NAME = "corrections"
_ARRAYS = ("images", "labels", "read", "charset", "page", "field")


@dataclass(frozen=True, eq=False)
class Corrections:
    """Labelled crops with what was read before.

    Attributes:
        crops: their ``writers`` number the pages, since a page is one hand.
        read: int16 (N,), the class that the model had read.
        charsets: str (N,), the charset of the field, a name of ``alphabets.CHARSETS``.
        pages: str (N,), the page of each: hash of the scan and number, as ``page_name`` writes it.
        fields: str (N,), the field of each.
    """

    crops: LabelledCrops
    read: NDArray[np.int16]
    charsets: NDArray[np.str_]
    pages: NDArray[np.str_]
    fields: NDArray[np.str_]

    def __len__(self) -> int:
        """The number of crops, N."""
        return len(self.crops)

    @property
    def corrected(self) -> NDArray[np.bool_]:
        """Which were read as something else, bool (N,); the others were confirmed."""
        return self.read != self.crops.labels

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The classes that each was chosen from, bool (N, 63): those of the charset, and always its label."""
        table = {name: charset_mask(name) for name in CHARSETS}
        masks = np.array([table[str(name)] for name in self.charsets], bool).reshape(-1, CLASS_COUNT)
        masks[np.arange(len(masks)), self.crops.labels] = True
        return masks

    @property
    def held_back(self) -> NDArray[np.bool_]:
        """Which are kept to measure on, bool (N,): about a quarter of the pages, and always at least one.

        While all pages are on one side of the quarter, the one nearest to it goes to the other side. Of a
        single page its fields are divided instead. Nothing is held back of a single field. See ``settled``.
        """
        groups = self.pages
        if len(np.unique(groups)) < 2:
            groups = np.char.add(np.char.add(groups, "/"), self.fields)
        names = np.unique(groups)
        places = {str(name): _place(str(name)) for name in names}
        limit = HELD_BACK_SHARE
        if len(names) > 1:
            lowest, *_, highest = sorted(places.values())
            limit = min(max(limit, np.nextafter(lowest, 1)), highest)
        elif len(names):
            limit = 0.0
        return np.array([places[str(group)] < limit for group in groups], bool)

    @property
    def settled(self) -> bool:
        """Whether both sides have a page by their hash alone, so that more pages move none of these."""
        held = [_place(str(page)) < HELD_BACK_SHARE for page in np.unique(self.pages)]
        return any(held) and not all(held)

    def select(self, mask: NDArray[np.bool_]) -> "Corrections":
        """The crops of a mask, bool (N,), or of indices."""
        return Corrections(
            self.crops.select(mask), self.read[mask], self.charsets[mask], self.pages[mask], self.fields[mask]
        )

    def split(self) -> tuple["Corrections", "Corrections"]:
        """Those to train on, and those held back."""
        held = self.held_back
        return self.select(~held), self.select(held)


def page_name(sha256: str, page: int) -> str:
    """How ``Corrections.pages`` names a page of a scan."""
    return f"{sha256}/{page}"


def make_corrections(
    images: NDArray[np.uint8],
    labels: NDArray[np.str_],
    read: NDArray[np.str_],
    charsets: NDArray[np.str_],
    pages: NDArray[np.str_],
    fields: NDArray[np.str_],
) -> Corrections:
    """Puts columns of equal length together; labels and readings are characters.

    Raises:
        KeyError: a label or reading is no character of ``alphabets.CHARACTERS``, or a charset is unknown.
        ValueError: columns of other shapes.
    """
    if unknown := set(np.unique(charsets).tolist()) - set(CHARSETS):
        raise KeyError(f"no charset is called {sorted(unknown)[0]!r}")
    _, numbers = np.unique(pages, return_inverse=True)
    crops = LabelledCrops(NAME, images, label_indices(labels), numbers.astype(np.int32))
    columns = [np.asarray(column, np.str_) for column in (charsets, pages, fields)]
    if any(len(column) != len(crops) for column in (read, *columns)):
        raise ValueError("the columns are not equally long")
    return Corrections(crops, label_indices(read), *columns)


def save_corrections(corrections: Corrections, path: Path) -> None:
    """Writes an ``.npz`` file, whole or not at all; any reader of ``images`` and ``labels`` can use it too.

    Raises:
        OSError: it cannot be written.
    """
    names = np.array(list(CHARACTERS))
    fresh = path.with_name(f".new-{path.name}")
    with fresh.open("wb") as stream:
        np.savez_compressed(
            stream,
            images=corrections.crops.images,
            labels=names[corrections.crops.labels],
            read=names[corrections.read],
            charset=corrections.charsets,
            page=corrections.pages,
            field=corrections.fields,
            held_back=corrections.held_back,
        )
    os.replace(fresh, path)


def load_corrections(path: Path) -> Corrections:
    """Reads what ``save_corrections`` wrote.

    Raises:
        AbsentError: there is no such file.
        DatasetError: it is no such file.
    """
    if not path.is_file():
        raise AbsentError(f"{path}: no such file. Write it with `formscribe export OUT --crops {path}`.")
    arrays = read_arrays(path)
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise DatasetError(
            f"{path}: holds no corrections, it has no array {missing[0]!r}. Write one with `formscribe "
            "export OUT --crops FILE`; other labelled crops are npz:FILE."
        )
    images, *texts = (arrays[name] for name in _ARRAYS)
    try:
        return make_corrections(images, *(text.astype(np.str_) for text in texts))
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{path}: is damaged ({error}).") from None


def _place(name: str) -> float:
    """Where a name lies between 0 and 1; the same for ever."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
