"""Thousands of damaged and malicious files: no crash, no hang, bounded memory, only known codes."""

from collections import Counter

import pytest
from fuzz_driver import Result, read_fuzzed
from fuzz_files import case, specimens

from segmentation.images import ImageErrorCode

SEED = 1
KNOWN = {"read", *(code.value for code in ImageErrorCode)}
PEAK_MB = 450  # of the process: 100 before the first file, and the rest for pages of up to 10 million pixels
LEAST_KINDS = 8  # different fates that so many files meet


def judge(results: list[Result], files: int) -> None:
    assert [result.index for result in results] == sorted({result.index for result in results})
    assert len(results) == files
    wrong = [result for result in results if not set(result.found) <= KNOWN or not result.found]
    assert wrong == []
    assert max(result.peak_mb for result in results) < PEAK_MB
    fates = Counter(code for result in results for code in result.found)
    assert len(fates) >= LEAST_KINDS, fates
    assert 0.1 * files < fates["read"] < 0.9 * files, fates


def test_every_kind_of_file_is_among_them():
    formats = {name.partition("_")[0] for name in specimens()}
    assert {"png", "jpeg", "tiff", "ihead", "pdf", "gif", "webp", "bmp"} <= formats


def test_a_case_is_always_the_same():
    assert [case(SEED, index) for index in range(30)] == [case(SEED, index) for index in range(30)]
    assert len({case(SEED, index) for index in range(60)}) > 50


@pytest.mark.timeout(1200)
def test_some_hundred_files():
    judge(read_fuzzed(SEED, 0, 300), 300)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("start", range(300, 10_300, 2000))
def test_ten_thousand_files(start: int):
    judge(read_fuzzed(SEED, start, start + 2000), 2000)
