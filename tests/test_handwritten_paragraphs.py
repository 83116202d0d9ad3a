"""Running text in one hand, as ``benchmarks.handwritten_paragraphs`` writes it."""

import numpy as np
import pytest

from benchmarks.handwritten_paragraphs import MANNERS, TEXT, Hands, Tally, write
from jobs.composing import BitmapSource

SIZE = (2064, 796)


@pytest.fixture(scope="module")
def hands():
    """Three of each character of hand 1, each a bar as wide as the hand's number; hand 2 wrote few."""
    labels = np.concatenate([np.tile(np.arange(62), 3), np.arange(20)]).astype(np.int16)
    writers = np.repeat([1, 2], [186, 20]).astype(np.int32)
    images = np.zeros((len(labels), 64, 64), np.uint8)
    images[:, 4:60, 24:40] = 255
    return Hands(BitmapSource(images, labels, writers), TEXT)


def test_only_hands_that_wrote_nearly_all_characters_write(hands):
    assert len(hands) == 1


@pytest.mark.parametrize("name", MANNERS)
def test_all_words_are_written_within_the_box(hands, name):
    written = write(hands, TEXT, SIZE, MANNERS[name], np.random.default_rng(1))
    assert " ".join(written.rows) == TEXT
    assert written.ink.shape[0] <= SIZE[1]
    assert written.ink.shape[1] == SIZE[0]


def test_rows_climb_or_fall_only_where_they_are_meant_to(hands):
    def spread(name):
        """Rows of ink without any in the tenth of the columns at the left: few, where rows are level."""
        ink = write(hands, TEXT, SIZE, MANNERS[name], np.random.default_rng(3)).ink
        white = [~part.any(axis=1) for part in np.array_split(ink, 8, axis=1)]
        return float(np.mean(np.logical_and.reduce(white)))

    assert spread("level") > 2 * spread("climbing or falling")


def test_a_text_that_does_not_fit_is_an_error(hands):
    with pytest.raises(ValueError, match="does not fit into 700 x 200"):
        write(hands, TEXT, (700, 200), MANNERS["level"], np.random.default_rng(1))


def test_pages_are_counted_with_and_without_punctuation():
    tally = Tally()
    tally.count(["ab, cd", "ef."], "ab cd\nef")
    assert tally.row("level") == ["level", "1", "1", "100.0", "80.0"]
    tally.count(["ab, cd", "ef."], "ab, cd ef.")
    assert tally.row("level") == ["level", "2", "1", "100.0", "90.0"]
