"""A folder and a zip archive read alike: the large sets come as archives that need no unpacking."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from model.datasets.crops import DatasetError


class FileTree:
    """The files below a folder or inside a zip archive, by their paths with forward slashes."""

    def __init__(self, path: Path) -> None:
        """Opens a folder or an archive.

        Raises:
            DatasetError: neither, or a damaged archive.
        """
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            return
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{path}: not a readable zip archive ({error}); delete and fetch it again"
            ) from error

    def names(self) -> list[str]:
        """Every file, sorted, relative to the folder or archive."""
        if self._archive is not None:
            return sorted(name for name in self._archive.namelist() if not name.endswith("/"))
        found = []
        for folder, _, files in os.walk(self.path, followlinks=True):
            inside = PurePosixPath(Path(folder).relative_to(self.path).as_posix())
            found += [str(inside / file) for file in files]
        return sorted(found)

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            DatasetError: it cannot be read.
        """
        try:
            return self._archive.read(name) if self._archive is not None else (self.path / name).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise DatasetError(f"{self.describe(name)}: not readable ({error})") from error

    def describe(self, name: str) -> str:
        """Where a file lies, for messages."""
        return f"{self.path}{':' if self._archive is not None else '/'}{name}"


def find_trees(folder: Path, archives: Sequence[str]) -> list[FileTree]:
    """What a user's folder offers: the archives of these names in it, then the folder itself.

    ``folder`` may also be an archive.
    """
    if folder.is_file():
        return [FileTree(folder)]
    trees = [FileTree(folder / name) for name in archives if (folder / name).is_file()]
    return [*trees, FileTree(folder)] if folder.is_dir() else trees


def find_file(trees: Sequence[FileTree], candidates: Sequence[str]) -> tuple[FileTree, str] | None:
    """The first file of one of these base names, in any of the trees; None if there is none."""
    for tree in trees:
        by_base_name = {PurePosixPath(name).name: name for name in reversed(tree.names())}
        for candidate in candidates:
            if candidate in by_base_name:
                return tree, by_base_name[candidate]
    return None
