"""String alignment: the counts of known cases, and what must hold for any two strings."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.alignment import Alignment, EditCounts, add_counts, align, certain_pairs

strings = st.text(alphabet="abc", max_size=12)


def plain_distance(truth: str, read: str) -> int:
    """Levenshtein distance by the textbook, to compare with."""
    row = list(range(len(read) + 1))
    for i, a in enumerate(truth, 1):
        before, row = row, [i]
        for j, b in enumerate(read, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@pytest.mark.parametrize(
    ("truth", "read", "expected"),
    [
        ("", "", EditCounts()),
        ("0123", "0123", EditCounts(hits=4)),
        ("0123", "0193", EditCounts(hits=3, substitutions=1)),
        ("0123", "013", EditCounts(hits=3, deletions=1)),
        ("0123", "01723", EditCounts(hits=4, insertions=1)),
        ("0123", "", EditCounts(deletions=4)),
        ("", "17", EditCounts(insertions=2)),
        ("45678", "4778", EditCounts(hits=3, substitutions=1, deletions=1)),
        ("ab", "ba", EditCounts(substitutions=2)),  # pairs come before gaps
    ],
)
def test_counts_of_known_cases(truth, read, expected):
    assert align(truth, read).counts == expected


def test_errors_name_what_was_taken_for_what():
    assert align("kitten", "sitting").errors == (("k", "s"), ("e", "i"), ("", "g"))
    assert align("1a", "1").errors == (("a", ""),)


def test_rates_are_shares_of_the_truth():
    counts = align("0123", "0195").counts
    assert (counts.characters, counts.accuracy, counts.error_rate) == (4, 0.5, 0.5)
    assert align("1", "2345").counts.error_rate == 4
    assert align("", "1").counts.accuracy is None
    assert align("", "1").counts.error_rate is None


def test_counts_add_up():
    parts = [align("ab", "b").counts, align("cd", "cdx").counts]
    assert add_counts(parts) == EditCounts(hits=3, insertions=1, deletions=1)
    assert add_counts([]) == EditCounts()


@given(strings, strings)
def test_an_alignment_spells_both_strings_with_the_fewest_edits(truth, read):
    alignment = align(truth, read)
    assert "".join(t for t, _ in alignment.pairs) == truth
    assert "".join(r for _, r in alignment.pairs) == read
    assert ("", "") not in alignment.pairs
    assert alignment.counts.edits == plain_distance(truth, read) == len(alignment.errors)
    assert alignment.counts.characters == len(truth)


def test_a_paragraph_is_aligned():
    truth = "We the People of the United States " * 10
    read = truth.replace("People", "Peple").replace("United", "Unitedd").replace("States", "Stales")
    assert align(truth, read).counts == EditCounts(
        hits=len(truth) - 20, substitutions=10, insertions=10, deletions=10
    )
    assert isinstance(align(truth, read), Alignment)


@pytest.mark.parametrize(
    ("truth", "read", "expected"),
    [
        ("1234", "1934", ((0, 0), (1, 1), (2, 2), (3, 3))),
        ("57", "81", ((0, 0), (1, 1))),
        ("", "12", ()),
        ("12", "", ()),
        ("12", "21", ()),  # two substitutions, or a 2 that stands elsewhere
        ("rn", "m", ()),
        ("aab", "ab", ()),
        ("1934", "134", ((3, 2),)),  # the cuts of 1 and 3 may hold a part of the 9
        ("12345", "1245", ((0, 0), (4, 3))),
        ("123", "1x23", ((2, 3),)),
        ("1234", "2341", ((2, 1),)),
    ],
)
def test_only_certain_pairs_are_given(truth, read, expected):
    assert certain_pairs(truth, read) == expected


@given(strings, strings)
def test_certain_pairs_are_in_the_alignment_and_rise(truth, read):
    pairs = certain_pairs(truth, read)
    aligned = align(truth, read).pairs
    assert all((truth[i], read[j]) in aligned for i, j in pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(pairs))
    if truth == read:
        assert len(pairs) == len(truth)
