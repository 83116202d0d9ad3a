"""Data sets by name, opened so that people see which of their pictures were left out."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.datasets import LabelledCrops, open_dataset
from segmentation.normalization import normalize_glyph

SHOWN = 20  # pictures named; beyond, only their number is told
_LOG = logging.getLogger("model.datasets")


def open_told(name: str, split: str, folder: Path | None, download: bool) -> LabelledCrops:
    """Opens a split of a data set; what is left out of it, and why, is told on stderr.

    Args:
        name: of the data set.
        split: ``train``, ``test`` or ``all``.
        folder: where its files lie; None for the cache.
        download: whether to fetch what is missing.

    Raises:
        DatasetError: it is not there, damaged, or has no such split.
    """
    with _telling():
        return open_dataset(name, split, folder=folder, normalize=normalize_glyph, download=download)


@contextmanager
def _telling() -> Iterator[None]:
    if logging.getLogger().isEnabledFor(logging.WARNING):  # with -v all logs are shown
        yield
        return
    handler, level = _Teller(), _LOG.level
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.WARNING)
    _LOG.propagate = False  # the handler of the command would write it once more
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)
        _LOG.propagate = True
        handler.tell_rest()


class _Teller(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._told = 0

    def emit(self, record: logging.LogRecord) -> None:
        self._told += 1
        if self._told <= SHOWN:
            print(f"formscribe: {record.getMessage()}", file=sys.stderr)

    def tell_rest(self) -> None:
        if self._told > SHOWN:
            rest = self._told - SHOWN
            print(f"formscribe: left out: {rest:,} more; -v names them", file=sys.stderr)
