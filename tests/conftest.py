"""What every test starts from."""

import logging
import warnings

import pytest

from segmentation import isolation

WORKER_BYTES = 250_000_000

LEVEL = logging.root.level


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """A command quietens the log of its whole process; the next test must not inherit that.

    Nor what a fixture of a whole module ran before the first test of it.
    """
    logging.root.setLevel(LEVEL)
    with warnings.catch_warnings():
        yield
    logging.root.setLevel(LEVEL)


@pytest.fixture(autouse=True)
def as_large_as_a_worker(monkeypatch):
    """With all that other tests have loaded, this process alone is larger than what a worker may have."""
    monkeypatch.setattr(isolation, "resident_bytes", lambda: WORKER_BYTES)
