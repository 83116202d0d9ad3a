"""Opens the model that a command was asked to use."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs.cli import stderr_hidden
from jobs.exit_codes import CommandError, ExitCode
from model.classifier import Classifier, ClassifierError, load_classifier

Loaded = TypeVar("Loaded")


def open_model(path: str | Path | None = None) -> Classifier:
    """Loads a classifier, the shipped one if None, without the chatter of its runtime.

    Raises:
        CommandError: it is missing or no model.
    """
    return quietly(lambda: load_classifier(path))


def quietly(load: Callable[[], Loaded]) -> Loaded:
    """Calls what loads a model, without the chatter of its runtime.

    Raises:
        CommandError: it is missing or no model.
    """
    try:
        with stderr_hidden():
            return load()
    except (ClassifierError, OSError) as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--model: {error}") from None
