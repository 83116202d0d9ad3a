"""Labelled characters to train and measure with: loaded from local files, downloaded only when asked."""

from model.datasets.building import Normalize
from model.datasets.catalogue import (
    DATASETS,
    DatasetInfo,
    available_splits,
    dataset_info,
    describe_datasets,
    open_dataset,
)
from model.datasets.crops import (
    UNKNOWN_WRITER,
    AbsentError,
    DatasetError,
    LabelledCrops,
    split_by_writer,
    unknown_writers,
)
from model.datasets.download import DownloadError, cache_folder
from model.datasets.folders import picture_ink
from model.datasets.npz import load_npz
from model.datasets.strokes import Strokes, load_strokes

__all__ = [
    "DATASETS",
    "UNKNOWN_WRITER",
    "AbsentError",
    "DatasetError",
    "DatasetInfo",
    "DownloadError",
    "LabelledCrops",
    "Normalize",
    "Strokes",
    "available_splits",
    "cache_folder",
    "dataset_info",
    "describe_datasets",
    "load_npz",
    "load_strokes",
    "open_dataset",
    "picture_ink",
    "split_by_writer",
    "unknown_writers",
]
