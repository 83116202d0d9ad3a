"""The two networks that read a form: one of characters, one of two digits in one body of ink."""

from dataclasses import dataclass
from pathlib import Path

from model.classifier import Classifier, ModelFile, classifier_of, read_model
from model.pairs import PairReader, load_pairs


@dataclass(frozen=True)
class Networks:
    """What reads the crops of a page.

    Attributes:
        characters: classifies crops of 28x28.
        pairs: reads bodies of ink in digit fields that may be two digits; None to leave that out.
    """

    characters: Classifier
    pairs: PairReader | None = None


def load_networks(path: str | Path | None = None, threads: int = 1) -> Networks:
    """Loads a model of characters, the shipped one if None, and with it the shipped reader of pairs.

    Raises:
        ClassifierError: the file is missing, is no LiteRT model, or takes or gives other shapes.
    """
    return networks_of(read_model(path), threads)


def networks_of(model: ModelFile, threads: int = 1) -> Networks:
    """Loads a model of characters whose bytes are at hand; see ``load_networks``."""
    return Networks(classifier_of(model, threads), load_pairs(threads=threads))
