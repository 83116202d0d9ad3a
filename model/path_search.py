"""Paths through a scored lattice: the best ones.

Nodes are the borders between pieces, 0..P. Arcs lead from a border to a later one: a candidate with a label,
or a skipped piece. Where a length is prescribed, a state is a border and the characters written so far.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from operator import sub

from model.close_labels import CloseLabels
from model.path_scores import NEVER, PathScores

SKIP = -1


@dataclass(frozen=True, slots=True)
class LengthCounter(ABC):
    """Keeps count of a path's characters, as a column of a table in which every arc moves it to the right.

    There are two ways of counting, of which ``of`` chooses the one that needs fewer columns.

    Attributes:
        columns: width of the table. A path that is moved out of it can have no allowed length.
        allowed: bool for each column, whether a path may end there.
    """

    columns: int
    allowed: tuple[bool, ...]

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(min_length: int, max_length: int, pieces: int) -> "LengthCounter":
        """The counter of a range of lengths, for a row of so many pieces."""
        least = max(min_length, 0)
        if max_length >= pieces and 2 * least <= pieces:
            return _CharacterCounter(least + 1, (False,) * least + (True,))
        width = max(pieces - least + 1, 0)
        return _SurplusCounter(width, tuple(surplus >= pieces - max_length for surplus in range(width)))

    @property
    @abstractmethod
    def counts(self) -> bool:
        """Whether there is anything to count."""

    @abstractmethod
    def shift(self, pieces: int, character: bool) -> int:
        """By how many columns an arc over so many pieces moves a path; ``columns`` if out of the table."""

    def shifts(self, scores: PathScores) -> list[int]:
        """By how many columns a candidate of 0, 1, 2... pieces moves a path, up to the widest candidate."""
        widest = max(map(sub, scores.stops, scores.starts), default=0)
        return [self.shift(pieces, character=True) for pieces in range(widest + 1)]

    @abstractmethod
    def fits(self, shift: int) -> bool:
        """Whether an arc that moves a path so far leads anywhere within the table."""

    @abstractmethod
    def column(self, column: int, shift: int) -> int:
        """The column after an arc; ``columns`` or more if out of the table."""

    @abstractmethod
    def moved(self, row: list[float], shift: int) -> list[float]:
        """Masses by column at an arc's end, from those at its start; what leaves the table may be cut off."""

    @abstractmethod
    def padded(self, row: list[float], nothing: float) -> list[float]:
        """Values by column at an arc's end, so lengthened that its start finds column m at m + shift.

        Args:
            row: a value for each column.
            nothing: what stands for columns out of the table.
        """


@dataclass(frozen=True, slots=True)
class _CharacterCounter(LengthCounter):
    """Counts characters up to the least length; the last column means "enough".

    For rows whose pieces cannot exceed the greatest length. A row of any length needs a single column.
    """

    @property
    def counts(self) -> bool:
        return self.columns > 1

    def shift(self, pieces: int, character: bool) -> int:
        return int(character)

    def fits(self, shift: int) -> bool:
        return True

    def column(self, column: int, shift: int) -> int:
        return min(column + shift, self.columns - 1)

    def moved(self, row: list[float], shift: int) -> list[float]:
        if shift == 0 or len(row) == 1:
            return row
        return [0.0, *row[:-2], row[-2] + row[-1]]

    def padded(self, row: list[float], nothing: float) -> list[float]:
        return [*row, row[-1]]


@dataclass(frozen=True, slots=True)
class _SurplusCounter(LengthCounter):
    """Counts by how many pieces the characters are fewer: one of n pieces adds n - 1, a skipped piece 1.

    A row of P pieces that must hold at least L characters needs P - L + 1 columns, few for tight fields, and
    none where the pieces are too few.
    """

    @property
    def counts(self) -> bool:
        return True

    def shift(self, pieces: int, character: bool) -> int:
        return min(pieces - int(character), self.columns)

    def fits(self, shift: int) -> bool:
        return shift < self.columns

    def column(self, column: int, shift: int) -> int:
        return column + shift

    def moved(self, row: list[float], shift: int) -> list[float]:
        return [0.0] * shift + row

    def padded(self, row: list[float], nothing: float) -> list[float]:
        return row + [nothing] * self.columns


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
        close = scores.close or CloseLabels.of(scores.labels)
        self._values, self._labels = close.values.tolist(), close.labels.tolist()
        self._best: list[float] = (close.values[:, 0] + scores.cuts).tolist()
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
            for value, label in zip(self._values[candidate], self._labels[candidate], strict=True):
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
    return Path(score, tuple(candidates[::-1]), tuple(labels[::-1]))
