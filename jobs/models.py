"""Opens the model that a command was asked to use."""

from collections.abc import Callable
from pathlib import Path

from jobs.cli import stderr_hidden
from jobs.exit_codes import CommandError, ExitCode
from model.classifier import Classifier, ClassifierError, load_classifier


def open_model(path: str | Path | None = None, load: Callable[[], Classifier] | None = None) -> Classifier:
    """Loads a classifier without the chatter of its runtime.

    Args:
        path: a ``.tflite`` file; the shipped model if None.
        load: called instead, where something else knows the path.

    Raises:
        CommandError: it is missing or no model.
    """
    try:
        with stderr_hidden():
            return load() if load else load_classifier(path)
    except (ClassifierError, OSError) as error:
        raise CommandError(ExitCode.BAD_MODEL, f"--model: {error}") from None
