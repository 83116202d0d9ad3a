"""From what the user named to files: folders, patterns, names with odd characters, and remote folders."""

import os
from pathlib import Path

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata

from pipeline import remote
from pipeline.matching import absolute, expand_choices, list_folder, match_files


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("b.PNG", "a.png", "deep/er/c.Tiff", "deep/d.jpg", "notes.txt", "deep/e.pdf", "f[1].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(scans: Path, pattern: str) -> list[str]:
    return [os.path.relpath(path, scans) for path in match_files(os.path.join(scans, pattern))]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["a.png", "b.PNG", "f[1].png", "deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff"]),
        ("deep", ["deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff"]),
        ("*.png", ["a.png", "f[1].png"]),
        ("**/*.png", ["a.png", "f[1].png"]),
        ("*.{png,PNG}", ["a.png", "f[1].png", "b.PNG"]),
        ("f[1].png", ["f[1].png"]),
        ("notes.txt", ["notes.txt"]),  # named, so it is meant; that it is no scan becomes a failure
        ("*", ["a.png", "b.PNG", "deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff", "f[1].png", "notes.txt"]),
        ("d*", ["deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff"]),  # what a shell would have named, a folder
        ("*/", ["deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff"]),
        ("**/er", ["deep/er/c.Tiff"]),
        ("**/**/*.pdf", ["deep/e.pdf"]),
        ("**/deep/**/*.Tiff", ["deep/er/c.Tiff"]),
        ("**/", ["a.png", "b.PNG", "deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff", "f[1].png"]),
        ("**", ["a.png", "b.PNG", "deep/d.jpg", "deep/e.pdf", "deep/er/c.Tiff", "f[1].png", "notes.txt"]),
        ("nothing*", []),
        ("missing.png", []),
    ],
)
def test_local_inputs(scans, pattern, expected):
    assert names(scans, pattern) == expected


def test_a_folder_that_cannot_be_listed_is_not_passed_over(scans, monkeypatch):
    def walk(top, onerror):
        yield top, ["locked"], ["a.png"]
        onerror(PermissionError(13, "Permission denied", os.path.join(top, "locked")))

    monkeypatch.setattr(os, "walk", walk)
    assert names(scans, "") == ["a.png", "locked"]


def test_a_folder_that_cannot_be_listed_is_told_of_a_pattern_too(scans, monkeypatch):
    def walk(top, onerror):
        yield top, ["locked"], ["a.png"]
        onerror(PermissionError(13, "Permission denied", os.path.join(top, "locked")))

    monkeypatch.setattr(os, "walk", walk)
    assert names(scans, "**/*.png") == ["a.png", "f[1].png", "locked"]


@pytest.mark.parametrize("pattern", ["", "**", "**/*.*", "*", "**/*/*.jpg", "*/*.jpg"])
def test_linked_folders_are_walked_once_and_go_by_their_own_names(tmp_path, pattern):
    for name in ("scans/new/a.jpg", "scans/new/deep/b.jpg", "elsewhere/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "scans" / "away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "scans" / "also new").symlink_to(tmp_path / "scans" / "new")
    (tmp_path / "scans" / "new" / "back").symlink_to(tmp_path / "scans")
    (tmp_path / "scans" / "new" / "deep" / "up").symlink_to("..")
    expected = {"away/c.jpg", "new/a.jpg"} | (set() if pattern == "*/*.jpg" else {"new/deep/b.jpg"})
    found = names(tmp_path / "scans", pattern)
    assert sorted(found) == sorted(expected)


def test_a_folder_named_through_a_link_is_walked(scans, tmp_path):
    (tmp_path / "link").symlink_to(scans / "deep")
    assert names(scans, "link") == ["link/d.jpg", "link/e.pdf", "link/er/c.Tiff"]


def test_wildcards_pass_over_hidden_names_as_in_a_shell(scans):
    (scans / ".kept").mkdir()
    (scans / ".kept" / "x.png").write_bytes(b"")
    (scans / ".y.png").write_bytes(b"")
    assert names(scans, "**/*.png") == ["a.png", "f[1].png"]
    assert not [name for name in names(scans, "**") if "." in (name[0], os.path.dirname(name)[:1])]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.png", ["a.png"]),
        ("a.{b,c}", ["a.b", "a.c"]),
        ("{a,b}/{c,d}", ["a/c", "a/d", "b/c", "b/d"]),
        ("{a}", ["{a}"]),
    ],
)
def test_choices(pattern, expected):
    assert expand_choices(pattern) == expected


def test_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert absolute("scans/../x.png") == f"{tmp_path}/x.png"
    assert absolute("gs://bucket/scans/") == "gs://bucket/scans/"


class Store:
    """An object store in memory: names, and what was asked of it."""

    def __init__(self, names) -> None:
        self.names, self.asked = sorted(names), []

    def exists(self, path):
        return path in self.names

    def _list(self, prefix):
        self.asked.append(prefix)
        return (FileMetadata(name, 1) for name in self.names if name.startswith(prefix))


TREE = [
    "b.PNG",
    "a.png",
    "deep/er/c.Tiff",
    "deep/d.jpg",
    "notes.txt",
    "deep/e.pdf",
    "f[1].png",
    "deeper/g.png",
]


@pytest.fixture
def store(monkeypatch) -> Store:
    store = Store([f"gs://b/scans/{name}" for name in [*TREE, "deep/"]] + ["gs://b/other.png"])
    monkeypatch.setattr(remote.FileSystems, "get_filesystem", lambda path: store)
    return store


PATTERNS = ["", "*.png", "**/*.png", "**", "*", "*/*.jpg", "*.{png,PNG}", "f[[]1].png", "f[1].png", "?.png"]
PATTERNS += [
    "de*",
    "d*/*",
    "**/er",
    "[!a]*.png",
    "[a-b].*",
    "deep",
    "deep/**/*.{Tiff,pdf}",
    "d**/*.jpg",
    "none",
    "none*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_remote_names_match_as_local_ones_do(pattern, store, tmp_path):
    for name in TREE:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    local = [os.path.relpath(path, tmp_path / "scans") for path in match_files(f"{tmp_path}/scans/{pattern}")]
    assert sorted(match_files(f"gs://b/scans/{pattern}")) == sorted(f"gs://b/scans/{name}" for name in local)


@pytest.mark.parametrize(
    ("pattern", "asked"),
    [
        ("gs://b", "gs://b/"),
        ("gs://b/", "gs://b/"),
        ("gs://b/scans", "gs://b/scans/"),
        ("gs://b/scans/de*/*.jpg", "gs://b/scans/de"),
        ("gs://b/s{c,d}ans/*.jpg", "gs://b/scans/"),
    ],
)
def test_of_a_bucket_no_more_is_listed_than_must_be(pattern, asked, store):
    assert list(match_files(pattern))[:1] or "{" in pattern
    assert store.asked[0] == asked


def test_the_first_name_comes_before_the_listing_ends(store):
    def endless(prefix):
        yield FileMetadata("gs://b/scans/a.png", 1)
        raise AssertionError("read on")

    store._list = endless
    assert next(match_files("gs://b/scans/")) == "gs://b/scans/a.png"


def test_the_files_directly_in_a_remote_folder(store):
    assert list_folder("gs://b/scans", ".png") == ["gs://b/scans/a.png", "gs://b/scans/f[1].png"]


class Denied(Exception):  # noqa: N818
    code = 403


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (FileNotFoundError(2, "No such file or directory"), "file_not_found", "No such file or directory"),
        (Denied("<html>"), "permission_denied", "access is denied"),
        (BeamIOError("List failed", {"gs://b": Denied("x")}), "permission_denied", "access is denied"),
        (BeamIOError("List failed", {"gs://b": TimeoutError("timed out")}), "file_unreadable", "timed out"),
        (OSError(5, "Input/output error"), "file_unreadable", "Input/output error"),
        (ZeroDivisionError("of ours"), None, "of ours"),
    ],
)
def test_why_a_file_could_not_be_had(error, code, told):
    assert remote.reason(error) == (code, told)
