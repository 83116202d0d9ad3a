"""From what the user named to files: folders, patterns, names with odd characters, and remote folders."""

import os
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata, MatchResult

from pipeline import matching
from pipeline.matching import absolute, expand_choices, match_files


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("b.PNG", "a.png", "deep/er/c.Tiff", "deep/d.jpg", "notes.txt", "deep/e.pdf", "f[1].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(scans: Path, pattern: str) -> list[str]:
    return [os.path.relpath(path, scans) for path in match_files(str(scans / pattern))]


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
        ("*", ["a.png", "b.PNG", "f[1].png", "notes.txt"]),
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


@pytest.mark.parametrize(
    ("pattern", "asked", "expected"),
    [
        ("gs://b/scans/", "gs://b/scans/**", ["gs://b/scans/a.PNG"]),
        ("gs://b/scans/*", "gs://b/scans/*", ["gs://b/scans/a.PNG", "gs://b/scans/notes.txt"]),
    ],
)
def test_remote_folders_mean_the_scans_below_them(monkeypatch, pattern, asked, expected):
    def match(patterns):
        assert patterns == [asked]
        found = [FileMetadata(f"gs://b/scans/{name}", 1) for name in ("notes.txt", "a.PNG")]
        return [MatchResult(asked, found)]

    monkeypatch.setattr(matching.FileSystems, "match", match)
    assert list(match_files(pattern)) == expected
