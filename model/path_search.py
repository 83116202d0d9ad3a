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
from functools import lru_cache
from math import exp, inf, log
from operator import mul, sub

import numpy as np
from numpy.typing import NDArray

from model.path_scores import NEVER, CloseLabels, PathScores, Readable

SKIP = -1
# Paths that add less than this share to the probability of a text are left out of its sum.
_NEGLIGIBLE = 1e-5


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
    @lru_cache(maxsize=1024)
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

    def shifts(self, scores: PathScores) -> list[int]:
        """By how many columns a candidate of 0, 1, 2... pieces moves a path, up to the widest candidate."""
        widest = max(map(sub, scores.stops, scores.starts), default=0)
        return [self.shift(pieces, character=True) for pieces in range(widest + 1)]

    def fits(self, shift: int) -> bool:
        """Whether an arc that moves a path so far leads anywhere within the table."""
        return self.saturating or shift < self.columns

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
        self._scores, self._counter = scores, counter
        self._pieces = len(scores.skips)
        self._skips = scores.skips.tolist()
        self._cuts = scores.cuts.tolist()
        self._close = scores.close or CloseLabels.of(scores.labels, inf)
        likeliest = [labels[0][0] for labels in self._close.labels]
        self._best = [value + cut for value, cut in zip(likeliest, self._cuts, strict=True)]
        self._arcs: list[list[tuple[int, int, int]]] = [[] for _ in self._skips]
        skip = counter.shift(1, character=False)
        if counter.fits(skip):
            for node, arcs in enumerate(self._arcs):
                arcs.append((node + 1, SKIP, skip))
        shifts = counter.shifts(scores)
        for index, (start, stop) in enumerate(zip(scores.starts, scores.stops, strict=True)):
            shift = shifts[stop - start]
            if self._best[index] > NEVER and counter.fits(shift):
                self._arcs[start].append((stop, index, shift))
        self._continuations = self._best_continuations()

    @property
    def feasible(self) -> bool:
        """Whether any path has an allowed length."""
        return max(self._continuations[0][:1], default=-inf) > -inf

    def _best_continuations(self) -> list[list[float]]:
        """Best score to the end, for every node and column."""
        counter, skips, values = self._counter, self._skips, self._best
        last = counter.padded([0.0 if allowed else -inf for allowed in counter.allowed], -inf)
        rows = [last] * (self._pieces + 1)
        for node in range(self._pieces - 1, -1, -1):
            row = [-inf] * counter.columns
            for stop, candidate, shift in self._arcs[node]:
                score = skips[node] if candidate == SKIP else values[candidate]
                if counter.columns == 1:  # nearly all rows of digits
                    row = [max(row[0], score + rows[stop][0])]
                    continue
                rest = zip(row, rows[stop][shift:], strict=False)
                row = [a if a > score + b else score + b for a, b in rest]
            rows[node] = counter.padded(row, -inf)
        return rows

    def best_paths(self, limit: int, margin: float) -> Iterator[Path]:
        """Yields up to ``limit`` paths, best first, none that is ``margin`` or more below the best.

        Each path leaves the best continuation of a state, once, and follows the best one from there; the
        places where it may leave that one too are queued with their exact final score. Labels beyond the five
        best of a candidate are not tried.
        """
        if not self.feasible:
            return
        best = self._continuations[0][0]
        if margin > self._close.margin:
            self._close = CloseLabels.of(self._scores.labels, margin)
        tracks: dict[tuple[int, int], list[_Track]] = {}
        nearest = [-margin] * limit  # the smallest losses queued so far, negative; a heap, the largest first
        queue: list[tuple[float, int, tuple, _Track]] = []
        steps: tuple = ()
        pushed, loss, node, column = 0, 0.0, 0, 0
        for _ in range(limit):
            while node < self._pieces:
                state = (node, column)
                if state not in tracks:
                    tracks[state] = self._tracks(node, column, margin)
                here = tracks[state]
                for track in here[1:]:
                    total = loss + track[0]
                    if total >= -nearest[0]:
                        break
                    heapq.heappushpop(nearest, -total)
                    pushed += 1
                    heapq.heappush(queue, (total, pushed, steps, track))
                _, node, column, candidate, label = here[0]
                if candidate != SKIP:
                    steps = (steps, candidate, label)
            yield _path(best - loss, steps)
            if not queue:
                return
            loss, _, steps, (_, node, column, candidate, label) = heapq.heappop(queue)
            if candidate != SKIP:
                steps = (steps, candidate, label)

    def _tracks(self, node: int, column: int, margin: float) -> list["_Track"]:
        """The ways to go on from a state that lose less than the margin against the best, best first."""
        counter = self._counter
        best = self._continuations[node][column]
        tracks: list[_Track] = []
        for stop, candidate, shift in self._arcs[node]:
            after = counter.column(column, shift)
            if after >= counter.columns:
                continue
            rest = self._continuations[stop][after]
            if candidate == SKIP:
                loss = best - (self._skips[node] + rest)
                if loss < margin or loss <= 0.0:
                    tracks.append((loss, stop, after, SKIP, SKIP))
                continue
            cut = self._cuts[candidate]
            for value, label in self._close.labels[candidate]:
                loss = best - (value + cut + rest)
                if loss >= margin and loss > 0.0:
                    break
                tracks.append((loss, stop, after, candidate, label))
        tracks.sort()
        return tracks


# Score lost against the best continuation; the node and column it leads to, the candidate and its label.
_Track = tuple[float, int, int, int, int]


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
        masses: of each candidate, with any label or unreadable, the logarithm of its weight.
        temperature: by which scores are divided.
    """

    def __init__(self, scores: PathScores, counter: LengthCounter, temperature: float) -> None:
        """Weighs every arc by exp(score / temperature), summed over its labels."""
        self.temperature, self._counter = temperature, counter
        self._pieces = len(scores.skips)
        readable = scores.readable
        if readable is None or readable.temperature != temperature:
            readable = Readable.of(scores.labels, scores.cuts, scores.unreadable, temperature)
        self.shares: NDArray[np.float64] = readable.shares
        self.masses: list[float] = readable.masses.tolist()
        skips = (scores.skips / temperature).tolist()
        skip = counter.shift(1, character=False)
        arcs: list[list[_Arc]] = [[(p + 1, SKIP, skip, mass)] for p, mass in enumerate(skips)]
        self._distinct = len(set(zip(scores.starts, scores.stops, strict=True))) == len(self.masses)
        spans = zip(scores.starts, scores.stops, self.masses, strict=True)
        shifts = counter.shifts(scores)
        for index, (start, stop, mass) in enumerate(spans):
            if mass * temperature >= NEVER / 2:
                arcs[start].append((stop, index, shifts[stop - start], mass))
        self._arcs, self._log_mass = _normalized(arcs)
        self._tables: tuple[list[list[float]], list[tuple[int, float, float] | None]] | None = None

    @property
    def log_mass(self) -> float:
        """Logarithm of the summed weights of all paths of any length."""
        return self._log_mass

    def path_probability(self, path: Path) -> float:
        """Probability of one path with its labels, among all paths of any length."""
        return exp(min(path.score / self.temperature - self._log_mass, 0.0))

    def text_probability(self, path: Path) -> float:
        """Probability of the path's text: of all paths that spell it, among all paths of any length."""
        if len(path.labels) == self._pieces and self._distinct:
            return self.path_probability(path)  # a character for each piece: no other path spells as many
        text, last = path.labels, len(path.labels)
        negligible = _NEGLIGIBLE * self.path_probability(path)
        weights, straight = self._text_tables()
        rows: list[dict[int, float]] = [{} for _ in range(self._pieces + 1)]
        rows[0][0] = 1.0
        node = ahead = 0  # ``ahead`` is the last node that was reached
        while node < self._pieces:
            alive = [(at, mass) for at, mass in rows[node].items() if mass > negligible]
            if len(alive) == 1 and ahead == node:
                # Nothing is left but one beginning of the text: where there is no choice, it just goes on.
                at, mass = alive[0]
                way = straight[node]
                while way is not None and at < last and mass * way[2] <= negligible < mass:
                    mass *= way[1] * weights[way[0]][text[at]]
                    at, node = at + 1, node + 1
                    way = straight[node]
                if node > ahead:
                    rows[node][at] = mass
                    ahead = node
                    continue
            for stop, candidate, _, probability in self._arcs[node] if alive else ():
                ahead = max(ahead, stop)
                row = rows[stop]
                if candidate == SKIP:
                    for at, mass in alive:
                        row[at] = row.get(at, 0.0) + mass * probability
                    continue
                shares = weights[candidate]
                for at, mass in alive:
                    if at < last:
                        row[at + 1] = row.get(at + 1, 0.0) + mass * probability * shares[text[at]]
            node += 1
        return rows[-1].get(last, 0.0)

    def _text_tables(self) -> tuple[list[list[float]], list[tuple[int, float, float] | None]]:
        """Of each candidate the share of each label; and the ways on from nodes with a single piece ahead.

        A way is a candidate, its probability and that of leaving it out; None where there is a choice of
        candidates, or none, and at the end.
        """
        if self._tables is None:
            straight = [
                (arcs[1][1], arcs[1][3], arcs[0][3]) if len(arcs) == 2 and arcs[1][0] == arcs[0][0] else None
                for arcs in self._arcs
            ]
            self._tables = self.shares.tolist(), [*straight, None]
        return self._tables

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
                if counter.columns == 1:  # nearly all rows of digits
                    right = 0.0
                    if counter.fits(shift):
                        rows[stop][0] += here[0] * probability
                        right = here[0] * ends[stop][0]
                else:
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
                    if counter.columns == 1:
                        row[0] += probability * rows[stop][shift]
                        continue
                    rest = zip(row, rows[stop][shift:], strict=False)
                    row = [a + probability * b for a, b in rest]
                rows[node] = counter.padded(row, 0.0)
        return rows


# The node it leads to, its candidate, its shift (see LengthCounter), its log-mass or probability.
_Arc = tuple[int, int, int, float]


def _normalized(arcs: list[list[_Arc]]) -> tuple[list[list[_Arc]], float]:
    """Log-masses of arcs to probabilities of being taken next, and the log-mass of all paths."""
    masses = [0.0] * (len(arcs) + 1)
    result: list[list[_Arc]] = []
    for node in range(len(arcs) - 1, -1, -1):
        here = arcs[node]
        if len(here) == 2:  # nearly all of them; the general way takes twice as long
            (after, skip, skip_shift, leave), (stop, candidate, shift, take) = here
            leave, take = leave + masses[after], take + masses[stop]
            most = max(leave, take)
            leave, take = exp(leave - most), exp(take - most)
            total = leave + take
            masses[node] = most + log(total)
            result.append([(after, skip, skip_shift, leave / total), (stop, candidate, shift, take / total)])
            continue
        terms = [mass + masses[stop] for stop, _, _, mass in here]
        most = max(terms)
        weights = [exp(term - most) for term in terms]
        total = sum(weights)
        masses[node] = most + log(total)
        shares = zip(here, weights, strict=True)
        result.append([(stop, candidate, shift, w / total) for (stop, candidate, shift, _), w in shares])
    result.reverse()
    return result, masses[0]
