"""Paths through a scored lattice: the best ones, and how probable each arc and each text is.

Nodes are the borders between pieces, 0..P. Arcs lead from a border to a later one: a candidate with a label,
or a skipped piece. Where a length is prescribed, a state is a border and the characters written so far.

Probabilities come from turning the lattice into a Markov chain: with the log-mass of all continuations known
at every node (one backward pass), each arc gets the probability of being taken next. All numbers then lie in
0..1, nothing overflows, and what underflows is negligible.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf, log
from operator import itemgetter, mul

import numpy as np
from numpy.typing import NDArray

from model.path_scores import NEVER, PathScores

SKIP = -1
_LABELS_TRIED = 5
# Paths that add less than this share to the probability of a text are left out of its sum.
_NEGLIGIBLE = 1e-5

Choices = list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class LengthCounter:
    """Keeps count of a path's characters in as few columns of a table as the length range allows.

    Two ways of counting, whichever needs fewer columns:

    - the *surplus* of pieces over characters: a candidate of n pieces adds n - 1, a skipped piece adds 1. A
      row of P pieces that must hold at least L characters needs P - L + 1 columns, few for tight fields.
    - characters *saturating* at the minimum, if the pieces cannot exceed the maximum: the last column means
      "enough". A row of any length needs a single column.

    Attributes:
        columns: width of the table.
        allowed: bool for each column, whether a path may end there.
        saturating: which way is used.
    """

    columns: int
    allowed: tuple[bool, ...]
    saturating: bool

    @classmethod
    def of(cls, min_length: int, max_length: int, pieces: int) -> "LengthCounter":
        """The counter of a range of lengths, for a row of so many pieces."""
        least = max(min_length, 0)
        if max_length >= pieces and 2 * least <= pieces:
            return cls(least + 1, (False,) * least + (True,), True)
        width = max(pieces - least + 1, 0)
        return cls(width, tuple(surplus >= pieces - max_length for surplus in range(width)), False)

    @property
    def counts(self) -> bool:
        """Whether there is anything to count."""
        return self.columns != 1 or not self.saturating

    def shift(self, pieces: int, character: bool) -> int:
        """By how many columns an arc over so many pieces moves a path; ``columns`` if out of the table."""
        return int(character) if self.saturating else min(pieces - int(character), self.columns)

    def padded(self, row: list[float], nothing: float) -> list[float]:
        """The row of an arc's end, such that dropping ``shift`` columns gives what its start looks up."""
        return [*row, row[-1]] if self.saturating else row + [nothing] * self.columns

    def moved(self, row: list[float], shift: int) -> list[float]:
        """Masses at an arc's end, from those at its start: column m moves to m + shift."""
        if shift == 0:
            return row
        if self.saturating:
            return [0.0, *row[:-2], row[-2] + row[-1]] if len(row) > 1 else row
        return [0.0] * shift + row

    def column(self, column: int, shift: int) -> int:
        """The column after an arc."""
        return min(column + shift, self.columns - 1) if self.saturating else column + shift


@dataclass(frozen=True, slots=True)
class Path:
    """One way through the lattice: its score, its candidates from left to right, and the label of each.

    Paths with the same labels spell the same text.
    """

    score: float
    candidates: tuple[int, ...]
    labels: tuple[int, ...]


class PathFinder:
    """Finds the best paths of a lattice whose number of characters a counter allows."""

    def __init__(self, scores: PathScores, counter: LengthCounter) -> None:
        """Builds the arcs, and the best continuation of every state."""
        self._counter = counter
        self._pieces = len(scores.skips)
        skip = counter.shift(1, character=False)
        self._arcs: list[list[tuple[int, int, int, Choices]]] = [
            [(node + 1, SKIP, skip, [(score, SKIP)])] for node, score in enumerate(scores.skips.tolist())
        ]
        tried = np.argsort(-scores.labels, axis=1)[:, :_LABELS_TRIED]
        rows = np.arange(len(tried))[:, None]
        values = scores.labels[rows, tried] + scores.cuts[:, None]
        choices = zip(values.tolist(), tried.tolist(), strict=True)
        spans = zip(scores.starts, scores.stops, strict=True)
        for index, ((start, stop), (best, labels)) in enumerate(zip(spans, choices, strict=True)):
            if best[0] <= NEVER:
                continue
            shift = counter.shift(stop - start, character=True)
            self._arcs[start].append((stop, index, shift, list(zip(best, labels, strict=True))))
        self._continuations = self._best_continuations()

    @property
    def feasible(self) -> bool:
        """Whether any path has an allowed length."""
        return max(self._continuations[0][:1], default=-inf) > -inf

    def _best_continuations(self) -> list[list[float]]:
        """Best score to the end, for every node and column."""
        counter = self._counter
        last = counter.padded([0.0 if allowed else -inf for allowed in counter.allowed], -inf)
        rows = [last] * (self._pieces + 1)
        for node in range(self._pieces - 1, -1, -1):
            row = [-inf] * counter.columns
            for stop, _, shift, choices in self._arcs[node]:
                score = choices[0][0]
                rest = zip(row, rows[stop][shift:], strict=False)
                row = [a if a > score + b else score + b for a, b in rest]
            rows[node] = counter.padded(row, -inf)
        return rows

    def best_paths(self, limit: int, margin: float) -> Iterator[Path]:
        """Yields up to ``limit`` paths, best first, none more than ``margin`` below the best.

        Each path is the best continuation of a prefix; the ways in which it could have gone on otherwise
        are queued with their exact final score. Labels beyond the five best of a candidate are not tried.
        """
        if not self.feasible:
            return
        best = self._continuations[0][0]
        bounds = [best - margin] * limit
        queue: list[tuple[float, int, _Way]] = [(-best, 0, (best, 0.0, 0, 0, ()))]
        pushed = 0
        for _ in range(limit):
            if not queue:
                return
            final, _, way = heapq.heappop(queue)
            while way[2] < self._pieces:
                ways = self._ways_on(way, bounds[0])
                way = max(ways)
                for other in ways:
                    if other is not way:
                        heapq.heappushpop(bounds, other[0])
                        pushed += 1
                        heapq.heappush(queue, (-other[0], pushed, other))
            yield _path(-final, way[4])

    def _ways_on(self, way: "_Way", bound: float) -> list["_Way"]:
        """The ways one arc longer whose final score exceeds the bound, but the best in any case."""
        _, score, node, column, prefix = way
        counter = self._counter
        ways: list[_Way] = []
        best: _Way = (-inf, -inf, node, column, ())
        for stop, candidate, shift, choices in self._arcs[node]:
            after = counter.column(column, shift)
            if after >= counter.columns:
                continue
            rest = self._continuations[stop][after]
            for value, label in choices:
                final = score + value + rest
                if final <= bound and final <= best[0]:
                    break
                steps = prefix if candidate == SKIP else (prefix, candidate, label)
                longer = (final, score + value, stop, after, steps)
                if final > best[0]:
                    best = longer
                if final > bound:
                    ways.append(longer)
        return ways or [best]


# Best final score, score so far, node, column, and the steps as a chain (earlier steps, candidate, label).
_Way = tuple[float, float, int, int, tuple]


def _path(score: float, prefix: tuple) -> Path:
    candidates, labels = [], []
    while prefix:
        prefix, candidate, label = prefix
        candidates.append(candidate)
        labels.append(label)
    return Path(score, tuple(reversed(candidates)), tuple(reversed(labels)))


class LatticeChain:
    """The lattice as a Markov chain over its nodes; see the module.

    Attributes:
        shares: float64 (N, C) probability of each label given that the candidate is on the path. Rows sum
            to less than 1: the rest is that the candidate is unreadable.
    """

    def __init__(self, scores: PathScores, counter: LengthCounter, temperature: float) -> None:
        """Weighs every arc by exp(score / temperature), summed over its labels."""
        self._temperature, self._counter = temperature, counter
        self._pieces = len(scores.skips)
        labels = np.exp((scores.labels + (scores.cuts - scores.unreadable)[:, None]) / temperature)
        totals = 1.0 + labels.sum(axis=1)
        self.shares: NDArray[np.float64] = labels / totals[:, None]
        masses = (scores.unreadable / temperature + np.log(totals)).tolist()
        skips = (scores.skips / temperature).tolist()
        skip = counter.shift(1, character=False)
        arcs: list[list[_Arc]] = [[(p + 1, SKIP, skip, mass)] for p, mass in enumerate(skips)]
        spans = zip(scores.starts, scores.stops, masses, strict=True)
        for index, (start, stop, mass) in enumerate(spans):
            if mass * temperature < NEVER / 2:
                continue
            arcs[start].append((stop, index, counter.shift(stop - start, character=True), mass))
        self._arcs, self._log_mass = _normalized(arcs)
        self._label_weights: list[list[float]] | None = None

    @property
    def log_mass(self) -> float:
        """Logarithm of the summed weights of all paths of any length."""
        return self._log_mass

    def path_probability(self, path: Path) -> float:
        """Probability of one path with its labels, among all paths of any length."""
        return exp(min(path.score / self._temperature - self._log_mass, 0.0))

    def text_probability(self, path: Path) -> float:
        """Probability of the path's text: of all paths that spell it, among all paths of any length."""
        if self._label_weights is None:
            self._label_weights = self.shares.tolist()
        weights, text, last = self._label_weights, path.labels, len(path.labels)
        negligible = _NEGLIGIBLE * self.path_probability(path)
        rows: list[dict[int, float]] = [{} for _ in range(self._pieces + 1)]
        rows[0][0] = 1.0
        for node, arcs in enumerate(self._arcs):
            alive = [(at, mass) for at, mass in rows[node].items() if mass > negligible]
            for stop, candidate, _, probability in arcs if alive else ():
                row = rows[stop]
                if candidate == SKIP:
                    for at, mass in alive:
                        row[at] = row.get(at, 0.0) + mass * probability
                    continue
                shares = weights[candidate]
                for at, mass in alive:
                    if at < last:
                        row[at + 1] = row.get(at + 1, 0.0) + mass * probability * shares[text[at]]
        return rows[-1].get(last, 0.0)

    def candidate_probabilities(self, wrong_length: float) -> tuple[NDArray[np.float64], float]:
        """How probable each candidate is, and how much mass the length range keeps.

        Returns:
            float64 (N,), the probability that candidate i is on the path, readable or not; and the mass of
            all paths where those of a wrong length weigh ``wrong_length`` times their own: the probability
            of a text of allowed length is its ``text_probability`` divided by this.
        """
        counter = self._counter
        ends = self._probabilities_to_end()
        allowed = sum(ends[0][:1])
        kept = max(allowed + wrong_length * (1.0 - allowed), 1e-300)
        visits = [1.0] + [0.0] * self._pieces
        rows = [[0.0] * counter.columns for _ in visits]
        rows[0][:1] = [1.0] * min(counter.columns, 1)
        result = [0.0] * len(self.shares)
        for node, arcs in enumerate(self._arcs):
            here, visited = rows[node], visits[node]
            for stop, candidate, shift, probability in arcs:
                visits[stop] += visited * probability
                right = visited
                if counter.counts:
                    gained = zip(rows[stop], counter.moved(here, shift), strict=False)
                    rows[stop] = [a + probability * b for a, b in gained]
                    right = sum(map(mul, here, ends[stop][shift:]))
                if candidate != SKIP:
                    result[candidate] = probability * (right + wrong_length * (visited - right)) / kept
        return np.array(result), kept

    def _probabilities_to_end(self) -> list[list[float]]:
        """Probability of ending with an allowed length, for every node and (padded) column."""
        counter = self._counter
        last = counter.padded([float(allowed) for allowed in counter.allowed], 0.0)
        rows = [last] * (self._pieces + 1)
        if counter.counts:
            for node in range(self._pieces - 1, -1, -1):
                row = [0.0] * counter.columns
                for stop, _, shift, probability in self._arcs[node]:
                    rest = zip(row, rows[stop][shift:], strict=False)
                    row = [a + probability * b for a, b in rest]
                rows[node] = counter.padded(row, 0.0)
        return rows


# The node it leads to, its candidate, its shift (see LengthCounter), its log-mass or probability.
_Arc = tuple[int, int, int, float]
_MASS = itemgetter(3)


def _normalized(arcs: list[list[_Arc]]) -> tuple[list[list[_Arc]], float]:
    """Log-masses of arcs to probabilities of being taken next, and the log-mass of all paths."""
    masses = [0.0] * (len(arcs) + 1)
    result: list[list[_Arc]] = []
    for node in range(len(arcs) - 1, -1, -1):
        terms = [(stop, candidate, shift, mass + masses[stop]) for stop, candidate, shift, mass in arcs[node]]
        most = max(map(_MASS, terms))
        weights = [exp(term[3] - most) for term in terms]
        total = sum(weights)
        masses[node] = most + log(total)
        shares = zip(terms, weights, strict=True)
        result.append([(stop, candidate, shift, w / total) for (stop, candidate, shift, _), w in shares])
    result.reverse()
    return result, masses[0]
