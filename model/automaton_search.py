"""Paths through a lattice and an automaton at once: the best ones, their joint mass, and each label's share.

A state is a border between pieces and a state of the automaton. The states are laid out from left to right.
One is kept if the best path through it, finished as if there were no automaton, comes within a margin of the
best path of all, and if it is among the ``MAX_STATES`` best of its border. Where no border has more, as with
every small automaton, the search is exact for all paths within the margin.
"""

import heapq
from collections.abc import Hashable, Iterator
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

from model.automata import Automaton
from model.path_scores import PathScores
from model.path_search import SKIP, Path

MAX_STATES = 300

# What leads out of a state: border after, number of the state after, candidate, label, score.
_Edge = tuple[int, int, int, int, float]


class SteeredLattice:
    """The states of a lattice under an automaton, and the edges between them.

    Attributes:
        potential: best score from each border to the end, without the automaton.
    """

    def __init__(self, scores: PathScores, automaton: Automaton, margin: float = inf) -> None:
        """Lays out the states.

        Args:
            scores: of the lattice.
            automaton: which texts are allowed.
            margin: how far, in score, a path may stay behind the best path without the automaton.
        """
        self._scores, self._automaton = scores, automaton
        self._pieces = len(scores.skips)
        self._arcs = self._lay_arcs()
        self.potential = self._potentials()
        self._states: list[list[Hashable]] = []
        self._edges: list[list[list[_Edge]]] = [[] for _ in range(self._pieces + 1)]
        self._walk(self.potential[0] - margin)
        self._ends = [automaton.accepts(state) for state in self._states[-1]]
        self._rest = self._best_rests()

    def _lay_arcs(self) -> list[list[tuple[int, int, list[tuple[float, int]]]]]:
        """Candidates by the border at which they begin: border after, index, scored labels, best first."""
        arcs: list[list[tuple[int, int, list[tuple[float, int]]]]] = [[] for _ in range(self._pieces)]
        order = np.argsort(-self._scores.labels, axis=1)
        values = np.take_along_axis(self._scores.labels, order, axis=1) + self._scores.cuts[:, None]
        spans = zip(self._scores.starts, self._scores.stops, values.tolist(), order.tolist(), strict=True)
        for index, (start, stop, best, labels) in enumerate(spans):
            arcs[start].append((stop, index, list(zip(best, labels, strict=True))))
        return arcs

    def _potentials(self) -> list[float]:
        best = [0.0] * (self._pieces + 1)
        skips = self._scores.skips.tolist()
        for border in range(self._pieces - 1, -1, -1):
            ways = [labels[0][0] + best[stop] for stop, _, labels in self._arcs[border]]
            best[border] = max([skips[border] + best[border + 1], *ways])
        return best

    def _walk(self, bound: float) -> None:
        """Reaches all states worth keeping, border by border."""
        reached: list[dict[Hashable, float]] = [{} for _ in range(self._pieces + 1)]
        numbers: list[dict[Hashable, int]] = [{} for _ in range(self._pieces + 1)]
        skips, characters = self._scores.skips.tolist(), self._scores.characters
        steps: dict[Hashable, list[Hashable | None]] = {}

        def reach(border: int, state: Hashable, score: float) -> int:
            best = reached[border]
            if score > best.get(state, -inf):
                best[state] = score
            return numbers[border].setdefault(state, len(numbers[border]))

        reach(0, self._automaton.start, 0.0)
        for border in range(self._pieces):
            here = reached[border]
            kept = heapq.nlargest(MAX_STATES, here, key=here.__getitem__) if len(here) > MAX_STATES else here
            rows: list[list[_Edge]] = [[] for _ in here]
            for state in kept:
                if state not in steps:
                    steps[state] = [self._automaton.step(state, character) for character in characters]
                score, after, edges = here[state], steps[state], rows[numbers[border][state]]
                if score + skips[border] + self.potential[border + 1] >= bound:
                    number = reach(border + 1, state, score + skips[border])
                    edges.append((border + 1, number, SKIP, SKIP, skips[border]))
                for stop, candidate, labels in self._arcs[border]:
                    least = bound - score - self.potential[stop]
                    for value, label in labels:
                        if value < least:
                            break
                        if after[label] is not None:
                            number = reach(stop, after[label], score + value)
                            edges.append((stop, number, candidate, label, value))
            self._edges[border] = rows
        self._states = [list(row) for row in numbers]

    def _best_rests(self) -> list[list[float]]:
        """Best score from each state to an accepted end."""
        rests = [[-inf] * len(states) for states in self._states]
        rests[-1] = [0.0 if end else -inf for end in self._ends]
        for border in range(self._pieces - 1, -1, -1):
            rests[border] = [
                max([score + rests[stop][number] for stop, number, _, _, score in edges], default=-inf)
                for edges in self._edges[border]
            ]
        return rests

    @property
    def best_score(self) -> float:
        """Score of the best path that the automaton accepts; minus infinity if there is none."""
        return self._rest[0][0]

    def best_paths(self, limit: int) -> Iterator[Path]:
        """Yields up to ``limit`` accepted paths, best first."""
        # Of equal scores the one that came farthest goes first: else all ways to break ties are searched.
        queue: list[tuple[float, int, int, float, int, int, tuple]]
        queue = [(-self.best_score, 0, 0, 0.0, 0, 0, ())]
        pushed = 0
        while queue and limit:
            final, _, _, score, border, number, steps = heapq.heappop(queue)
            if final == inf:
                return
            if border == self._pieces:
                limit -= 1
                yield _path(-final, steps)
                continue
            for stop, after, candidate, label, value in self._edges[border][number]:
                rest = self._rest[stop][after]
                if rest > -inf:
                    pushed += 1
                    longer = steps if candidate == SKIP else (steps, candidate, label)
                    total = -(score + value + rest)
                    entry = (round(total, 9), -stop, pushed, score + value, stop, after, longer)
                    heapq.heappush(queue, entry)

    def log_mass(self, temperature: float) -> float:
        """Logarithm of the summed weights exp(score / temperature) of all accepted paths."""
        mass = self._masses(temperature)[0][0]
        return self.potential[0] / temperature + log(mass) if mass > 0.0 else -inf

    def shares(self, temperature: float) -> NDArray[np.float64]:
        """Probability that candidate i is on an accepted path and reads label k: float64 (N, C)."""
        result = np.zeros(self._scores.labels.shape)
        masses = self._masses(temperature)
        if masses[0][0] <= 0.0:
            return result
        visits = [[0.0] * len(states) for states in self._states]
        visits[0][0] = 1.0 / masses[0][0]
        for border, rows in enumerate(self._edges[:-1]):
            for number, edges in enumerate(rows):
                visited = visits[border][number]
                for stop, after, candidate, label, score in edges if visited else ():
                    weight = self._weight(border, stop, score, temperature)
                    visits[stop][after] += visited * weight
                    if candidate != SKIP:
                        result[candidate, label] += visited * weight * masses[stop][after]
        return result

    def _weight(self, border: int, stop: int, score: float, temperature: float) -> float:
        """An edge's weight relative to the best way on, at most 1, so that nothing overflows."""
        return exp((score + self.potential[stop] - self.potential[border]) / temperature)

    def _masses(self, temperature: float) -> list[list[float]]:
        """Mass of all ways from each state to an accepted end, relative to the border's potential."""
        masses = [[0.0] * len(states) for states in self._states]
        masses[-1] = [float(end) for end in self._ends]
        for border in range(self._pieces - 1, -1, -1):
            masses[border] = [
                sum(
                    self._weight(border, stop, score, temperature) * masses[stop][number]
                    for stop, number, _, _, score in edges
                )
                for edges in self._edges[border]
            ]
        return masses


def _path(score: float, steps: tuple) -> Path:
    candidates, labels = [], []
    while steps:
        steps, candidate, label = steps
        candidates.append(candidate)
        labels.append(label)
    return Path(score, tuple(reversed(candidates)), tuple(reversed(labels)))


def readable_log_mass(scores: PathScores, least: int, most: int, temperature: float) -> float:
    """Logarithm of the summed weights of all paths of ``least`` to ``most`` characters, all readable."""
    pieces = len(scores.skips)
    labels = np.logaddexp.reduce((scores.labels + scores.cuts[:, None]) / temperature, axis=1)
    most = min(most, pieces)
    rows = np.full((pieces + 1, most + 2), -inf)  # one column more than is ever read, for what is too long
    rows[0, 0] = 0.0
    arcs: list[list[tuple[int, float]]] = [[] for _ in range(pieces)]
    for start, stop, mass in zip(scores.starts, scores.stops, labels.tolist(), strict=True):
        arcs[start].append((stop, mass))
    for border in range(pieces):
        row = rows[border]
        skip = scores.skips[border] / temperature
        rows[border + 1] = np.logaddexp(rows[border + 1], row + skip)
        for stop, mass in arcs[border]:
            rows[stop, 1:] = np.logaddexp(rows[stop, 1:], row[:-1] + mass)
    allowed = rows[-1, least : most + 1]
    return float(np.logaddexp.reduce(allowed)) if len(allowed) else -inf
