"""Labelled characters to train and measure with: loaded from local files, downloaded only when asked."""

from model.datasets.building import Normalize
from model.datasets.crops import UNKNOWN_WRITER, DatasetError, LabelledCrops, split_by_writer, unknown_writers
from model.datasets.npz import load_npz
from model.datasets.strokes import Strokes, load_strokes

__all__ = [
    "UNKNOWN_WRITER",
    "DatasetError",
    "LabelledCrops",
    "Normalize",
    "Strokes",
    "load_npz",
    "load_strokes",
    "split_by_writer",
    "unknown_writers",
]
