"""The data sets by name: what each is, whose it is, where it comes from, and how to open it."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from model.datasets.building import Normalize
from model.datasets.crops import AbsentError, DatasetError, LabelledCrops
from model.datasets.download import RemoteFile, cache_folder, fetch
from model.datasets.folders import SPLIT_FOLDERS, load_folder, load_npz_folder
from model.datasets.idx import EMNIST_CHARACTERS, load_emnist, load_mnist
from model.datasets.sd19 import load_by_class, load_by_write

SPLITS = ("train", "test", "all")
Loader = Callable[[Path, str, Normalize], LabelledCrops]

# Addresses and checksums are those that public code states for these files: several projects agree on those
# of MNIST, EMNIST and the MD5 of SD19's archives; the two SHA-256 of by_write are stated by one. Where an
# MD5 alone is known, SHA-256 is left open. None has been compared with a download of our own yet.
_SD19 = "https://s3.amazonaws.com/nist-srd/SD19/"


def _mnist_file(name: str, size: int, sha256: str) -> RemoteFile:
    return RemoteFile("https://ossci-datasets.s3.amazonaws.com/mnist/" + name, name, sha256, size=size)


MNIST_FILES = (
    _mnist_file(
        "train-images-idx3-ubyte.gz",
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    _mnist_file(
        "train-labels-idx1-ubyte.gz",
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    _mnist_file(
        "t10k-images-idx3-ubyte.gz",
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    _mnist_file(
        "t10k-labels-idx1-ubyte.gz",
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
EMNIST_FILES = (
    RemoteFile(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "gzip.zip",
        md5="58c8d27c78d21e728a6bc7b3cc06412e",
        size=561753746,
    ),
)
BY_CLASS_FILES = (RemoteFile(_SD19 + "by_class.zip", "by_class.zip", md5="79572b1694a8506f2b722c7be54130c4"),)
BY_WRITE_FILES = (
    RemoteFile(
        _SD19 + "by_write.zip",
        "by_write.zip",
        "39958e28827eb0d7d54f7e4c31c6cc36689b38aa218a4fc1e810c5413e7a35b8",
        md5="a29f21babf83db0bb28a2f77b2b456cb",
        size=568113446,
    ),
    RemoteFile(
        _SD19 + "by_class_md5.log",
        "by_class_md5.log",
        "b2a76dfb555a1fc3764672bb8514455727d28fbdd18df4ce5abbd85a879f430c",
    ),
)

_SD19_SOURCE = "https://www.nist.gov/srd/nist-special-database-19"
_US_GOVERNMENT = "US Government work, no copyright in the United States; NIST asks to be cited"


@dataclass(frozen=True)
class DatasetInfo:
    """One entry of the catalogue.

    Attributes:
        name: what the commands call it.
        description: one line.
        source: where it is described.
        licence: as its publisher states it.
        family: sets of one family share files and a cache folder.
        files: what is fetched on request; empty for local sets.
        load: opens ``train`` or ``test`` from a folder (local sets also ``all``).
    """

    name: str
    description: str
    source: str
    licence: str
    family: str
    files: tuple[RemoteFile, ...]
    load: Loader


def open_dataset(
    name: str,
    split: str,
    *,
    folder: Path | str | None = None,
    normalize: Normalize,
    download: bool = False,
    progress: TextIO | None = sys.stderr,
) -> LabelledCrops:
    """Opens a data set by name.

    Args:
        name: a name of ``DATASETS``, ``folder:PATH`` or ``npz:PATH``.
        split: ``train``, ``test``, or ``all`` for both.
        folder: where the files lie; the cache if None. Files are looked for at any depth, packed or not.
        normalize: ink uint8 (H, W) to uint8 (28, 28). MNIST, which is placed so already, is left as it is.
        download: fetch what is absent into ``folder`` (or the cache). Without it nothing is ever fetched.
        progress: where the bar of a download goes, None for none.

    Returns:
        The crops; ``writers`` are known for sd19-by-write and some ``.npz`` sets. Divide them further with
        ``split_by_writer``.

    Raises:
        AbsentError: a file is absent; says which, where, and how to get it.
        DatasetError: unknown name or split, or files damaged.
        DownloadError: a download failed.
    """
    if split not in SPLITS:
        raise DatasetError(f"{split!r} is no split; use one of {', '.join(SPLITS)}")
    kind, colon, path = name.partition(":")
    if colon and kind in ("folder", "npz"):
        return _open_local(kind, Path(path), split, normalize)
    info = dataset_info(name)
    place = Path(folder) if folder is not None else cache_folder() / info.family
    wanted = ("train", "test") if split == "all" else (split,)
    try:
        parts = [info.load(place, part, normalize) for part in wanted]
    except AbsentError as error:
        if not download:
            raise AbsentError(f"data set {info.name}: {error}. {_remedy(info, place)}") from error
        for file in info.files:
            fetch(file, place.parent if place.is_file() else place, progress=progress)
        parts = [info.load(place, part, normalize) for part in wanted]
    return LabelledCrops.concatenate(parts, name) if len(parts) > 1 else parts[0]


def dataset_info(name: str) -> DatasetInfo:
    """The entry of a name.

    Raises:
        DatasetError: there is none; lists the names.
    """
    if name not in DATASETS:
        names = ", ".join([*DATASETS, "folder:PATH", "npz:PATH"])
        raise DatasetError(f"{name!r} is no data set; known are {names}")
    return DATASETS[name]


def available_splits(name: str) -> tuple[str, ...]:
    """Which splits a set has: without ``test`` it is undivided, and the caller divides ``all`` itself.

    Raises:
        DatasetError: unknown name.
    """
    kind, colon, path = name.partition(":")
    if colon and kind == "folder":
        found = tuple(split for split in SPLIT_FOLDERS if (Path(path) / split).is_dir())
        return (*found, "all")
    if colon and kind == "npz":
        return ("all",) if Path(path).is_file() else SPLITS
    dataset_info(name)
    return SPLITS


def describe_datasets() -> str:
    """A line or two for each set, for the help of the commands."""
    lines = [f"{info.name:16} {info.description}\n{'':16} {info.licence}" for info in DATASETS.values()]
    lines.append(f"{'folder:PATH':16} pictures, one folder a class: PATH/A/*.png or PATH/41/*.png")
    lines.append(f"{'npz:PATH':16} .npz files with images (N, 28, 28) and labels (N,)")
    lines.append(f"{'corrections:OUT':16} what people corrected in a folder of results, or its export, .npz")
    return "\n".join(lines)


def _open_local(kind: str, path: Path, split: str, normalize: Normalize) -> LabelledCrops:
    if kind == "folder":
        return load_folder(path, split, normalize)
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder")
    return load_npz_folder(path, split, normalize)


def _remedy(info: DatasetInfo, place: Path) -> str:
    sizes = [file.size for file in info.files]
    about = f" ({sum(size or 0 for size in sizes) / 1e6:.0f} MB)" if all(sizes) else ""
    names = " and ".join(file.name for file in info.files)
    host = info.files[0].url.rpartition("/")[0]
    return f"Put {names} into {place}, name another folder, or fetch with --download{about} from {host}"


def _load_sd19(folder: Path, split: str, normalize: Normalize) -> LabelledCrops:
    """By writer where that is there, because it can be split by hands; else by class."""
    try:
        return load_by_write(folder, split, normalize)
    except AbsentError:
        with contextlib.suppress(AbsentError):
            return load_by_class(folder, split, normalize)
        raise


def _load_emnist(variant: str) -> Loader:
    return lambda folder, split, normalize: load_emnist(folder, variant, split, normalize)


_EMNIST_LINES = {
    "mnist": "10 digits, 70,000, drawn like MNIST from SD19",
    "digits": "10 digits, 280,000, balanced",
    "letters": "26 letters, 145,600, both cases under the capital",
    "balanced": "47 classes, 131,600: 15 letters whose cases look alike are merged under the capital",
    "bymerge": "47 classes, 814,255, unbalanced",
    "byclass": "62 classes, 814,255, unbalanced",
}
_ENTRIES = [
    DatasetInfo(
        "mnist",
        "10 digits, 60,000 to train and 10,000 to test",
        "LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        "no licence stated by its authors; drawn from NIST data",
        "mnist",
        MNIST_FILES,
        lambda folder, split, normalize: load_mnist(folder, split),
    ),
    *(
        DatasetInfo(
            f"emnist-{variant}",
            _EMNIST_LINES[variant],
            "https://www.nist.gov/itl/products-and-services/emnist-dataset",
            "no licence stated with the files; made from NIST SD19 and published by NIST",
            "emnist",
            EMNIST_FILES,
            _load_emnist(variant),
        )
        for variant in EMNIST_CHARACTERS
    ),
    DatasetInfo(
        "sd19",
        "62 classes, 814,255 scans of 3,600 writers; hsf_4 is test; by writer if that lies there",
        _SD19_SOURCE,
        _US_GOVERNMENT,
        "sd19",
        BY_WRITE_FILES,
        _load_sd19,
    ),
    DatasetInfo(
        "sd19-by-write",
        "the same characters by writer; first edition (.mis stacks) too",
        _SD19_SOURCE,
        _US_GOVERNMENT,
        "sd19",
        BY_WRITE_FILES,
        load_by_write,
    ),
    DatasetInfo(
        "sd19-by-class",
        "the same characters by class, writers unknown; first edition (.mis stacks) too",
        _SD19_SOURCE,
        _US_GOVERNMENT,
        "sd19",
        BY_CLASS_FILES,
        load_by_class,
    ),
]
DATASETS: dict[str, DatasetInfo] = {entry.name: entry for entry in _ENTRIES}
