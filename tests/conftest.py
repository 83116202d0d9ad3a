"""What every test starts from."""

import logging
import warnings

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """A command quietens the log of its whole process; the next test must not inherit that."""
    level = logging.root.level
    with warnings.catch_warnings():
        yield
    logging.root.setLevel(level)
