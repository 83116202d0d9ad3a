"""Fits the maps of ``model.calibration`` to fields whose truth is known."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.calibration import IDENTITY, LEAST_PROBABILITY, ConfidenceMap, evidence_features
from model.evidence import Evidence

# Weight of the identity in a fit, in fields, for each number of a map. Ink is left out by hundredths, tenths
# under the root, so that its weight has to be large.
_PRIOR = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1 / 20, 1.0])
_IDENTITY = IDENTITY.weights


def fit_map(
    stated: ArrayLike,
    right: ArrayLike,
    lengths: ArrayLike | None = None,
    evidence: Sequence[Evidence] | None = None,
) -> ConfidenceMap:
    """The map under which what came true was likeliest, drawn a little to the identity.

    Args:
        stated: (N,) probabilities, 0..1.
        right: (N,) whether the reading was right.
        lengths: (N,) characters of each text, from 1; None for a map that does not ask.
        evidence: N, for each reading; None for a map that does not ask.
    """
    p = np.clip(np.asarray(stated, np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    features = np.zeros((len(p), len(_IDENTITY)))
    features[:, :3] = np.column_stack([np.log(p), -np.log1p(-p), np.ones_like(p)])
    free = [2]
    if lengths is not None:
        features[:, 3] = np.log(np.maximum(np.asarray(lengths, np.float64), 1))
        free.append(3)
    if evidence is not None:
        features[:, 4:] = evidence_features(evidence)
        free += [4, 5, 6]
    truth = np.asarray(right, np.float64)
    best = (math.inf, IDENTITY)
    for slopes in ([0, 1], [1], [0], []):  # a slope that would be negative is left out
        weights = _logistic_fit(features, truth, slopes + free)
        loss = _loss(features @ weights, truth)
        if weights[:2].min() >= 0 and loss < best[0]:
            best = loss, ConfidenceMap(*map(float, weights))
    return best[1]


def _logistic_fit(
    features: NDArray[np.float64], truth: NDArray[np.float64], free: list[int]
) -> NDArray[np.float64]:
    """Newton's method on the weights that are free; the others are 0."""
    weights, goal = np.zeros(len(_IDENTITY)), np.array(_IDENTITY)
    weights[free] = goal[free]
    x = features[:, free]
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = x.T @ (chance - truth) + (_PRIOR * (weights - goal))[free]
        spread = np.maximum(chance * (1 - chance), 1e-9)
        curvature = (x * spread[:, None]).T @ x + np.diag(_PRIOR[free])
        step = np.linalg.solve(curvature, gradient)
        weights[free] -= step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _loss(logits: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.sum(np.logaddexp(0, logits) - truth * logits))
