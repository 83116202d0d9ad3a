"""How probable each arc of a lattice is, and each text.

Probabilities come from turning the lattice into a Markov chain: with the log-mass of all continuations known
at every node (one backward pass), each arc gets the probability of being taken next. All numbers then lie in
0..1, nothing overflows, and what underflows is negligible.
"""

from dataclasses import dataclass
from math import exp, log
from operator import mul

import numpy as np
from numpy.typing import NDArray

from model.close_labels import Readable
from model.path_scores import NEVER, PathScores
from model.path_search import SKIP, LengthCounter, Path

# Paths that add less than this share to the probability of a text are left out of its sum.
_NEGLIGIBLE = 1e-5


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
        self._spans = scores.starts, scores.stops
        spans = zip(scores.starts, scores.stops, self.masses, strict=True)
        shifts = counter.shifts(scores)
        for index, (start, stop, mass) in enumerate(spans):
            if mass * temperature >= NEVER / 2:
                arcs[start].append((stop, index, shifts[stop - start], mass))
        self._arcs, self._log_mass = _normalized(arcs)
        self._tables: _TextTables | None = None

    @property
    def log_mass(self) -> float:
        """Logarithm of the summed weights of all paths of any length."""
        return self._log_mass

    def path_probability(self, path: Path) -> float:
        """Probability of one path with its labels, among all paths of any length."""
        return exp(min(path.score / self.temperature - self._log_mass, 0.0))

    def text_probability(self, path: Path) -> float:
        """Probability of the path's text: of all paths that spell it, among all paths of any length."""
        if len(path.labels) == self._pieces and self._spans_are_apart():
            return self.path_probability(path)  # a character for each piece: no other path spells as many
        negligible = _NEGLIGIBLE * self.path_probability(path)
        return _Spelling(self._arcs, self._text_tables, path.labels, negligible).probability()

    def _spans_are_apart(self) -> bool:
        """Whether no two candidates cover the same pieces."""
        return len(set(zip(*self._spans, strict=True))) == len(self.masses)

    @property
    def _text_tables(self) -> "_TextTables":
        """What all texts of this lattice are spelt with; made when it is first asked for."""
        if self._tables is None:
            self._tables = _TextTables.of(self._arcs, self.shares)
        return self._tables

    def candidate_probabilities(self, wrong_length: float) -> tuple[NDArray[np.float64], float]:
        """How probable each candidate is, and how much mass the length range keeps.

        Returns:
            float64 (N,), the probability that candidate i is on the path, readable or not; and the mass of
            all paths where those of a wrong length weigh ``wrong_length`` times their own: the probability
            of a text of allowed length is its ``text_probability`` divided by this.
        """
        counter = self._counter
        if counter.columns == 1:
            return self._uncounted_probabilities(wrong_length)
        ends = self._probabilities_to_end()
        allowed = sum(ends[0][:1])
        kept = _kept(allowed, wrong_length)
        visits = [1.0] + [0.0] * self._pieces
        rows = [[0.0] * counter.columns for _ in visits]
        rows[0][:1] = [1.0] * min(counter.columns, 1)
        result = [0.0] * len(self.shares)
        for node, arcs in enumerate(self._arcs):
            here, visited = rows[node], visits[node]
            for stop, candidate, shift, probability in arcs:
                visits[stop] += visited * probability
                moved = counter.moved(here, shift) if shift else here
                rows[stop] = [a + probability * b for a, b in zip(rows[stop], moved, strict=False)]
                if candidate != SKIP:
                    right = sum(map(mul, here, ends[stop][shift:]))
                    result[candidate] = probability * (right + wrong_length * (visited - right)) / kept
        return np.array(result), kept

    def _uncounted_probabilities(self, wrong_length: float) -> tuple[NDArray[np.float64], float]:
        """The same with a table of one column, so that each arc is allowed on all paths or on none.

        That is the case of rows of any length, and of those with as many characters as pieces: nearly all.
        """
        counter = self._counter
        ends = [float(counter.allowed[0])] * (self._pieces + 1)
        if counter.counts:
            for node in range(self._pieces - 1, -1, -1):
                ways = [p * ends[stop] for stop, _, shift, p in self._arcs[node] if shift == 0]
                ends[node] = sum(ways)
        kept = _kept(ends[0], wrong_length)
        visits = [1.0] + [0.0] * self._pieces
        allowed = list(visits)
        result = [0.0] * len(self.shares)
        for node, arcs in enumerate(self._arcs):
            here, visited = allowed[node], visits[node]
            for stop, candidate, shift, probability in arcs:
                visits[stop] += visited * probability
                right = 0.0
                if counter.fits(shift):
                    allowed[stop] += here * probability
                    right = here * ends[stop]
                if candidate != SKIP:
                    result[candidate] = probability * (right + wrong_length * (visited - right)) / kept
        return np.array(result), kept

    def _probabilities_to_end(self) -> list[list[float]]:
        """Probability of ending with an allowed length, for every node and (padded) column."""
        counter = self._counter
        last = counter.padded([float(allowed) for allowed in counter.allowed], 0.0)
        rows = [last] * (self._pieces + 1)
        for node in range(self._pieces - 1, -1, -1):
            row = [0.0] * counter.columns
            for stop, _, shift, probability in self._arcs[node]:
                rest = zip(row, rows[stop][shift:], strict=False)
                row = [a + probability * b for a, b in rest]
            rows[node] = counter.padded(row, 0.0)
        return rows


@dataclass(frozen=True, slots=True)
class _TextTables:
    """What is looked up for every text.

    Attributes:
        shares: of each candidate, the share of each label.
        straight: of each node, the end among them, the way on where there is a single piece ahead: its
            candidate, the probability of that, and of leaving it out. None where there is a choice of
            candidates, or none.
    """

    shares: list[list[float]]
    straight: list[tuple[int, float, float] | None]

    @classmethod
    def of(cls, arcs: "list[list[_Arc]]", shares: NDArray[np.float64]) -> "_TextTables":
        """Those of a chain; the first arc of each node leaves a piece out."""
        straight = [
            (here[1][1], here[1][3], here[0][3]) if len(here) == 2 and here[1][0] == here[0][0] else None
            for here in arcs
        ]
        return cls(shares.tolist(), [*straight, None])


class _Spelling:
    """The sum over all paths that spell a text, node by node from the left.

    Each node is reached with some beginnings of the text, told apart by their number of characters.
    """

    def __init__(
        self, arcs: "list[list[_Arc]]", tables: _TextTables, text: tuple[int, ...], negligible: float
    ) -> None:
        """Begins before the first piece; beginnings as improbable as ``negligible`` are not followed."""
        self._arcs, self._tables, self._text, self._negligible = arcs, tables, text, negligible
        # By node and characters written: the probability of all paths that come there so.
        self._beginnings: list[dict[int, float]] = [{} for _ in range(len(arcs) + 1)]
        self._beginnings[0][0] = 1.0
        self._farthest = 0  # the last node that was reached

    def probability(self) -> float:
        """Of the text, among all paths of any length."""
        beginnings, negligible, node, end = self._beginnings, self._negligible, 0, len(self._arcs)
        while node < end:
            alive = [(at, mass) for at, mass in beginnings[node].items() if mass > negligible]
            if len(alive) == 1 and self._farthest == node:
                after = self._go_straight(node, *alive[0])
                if after > node:
                    node = after
                    continue
            if alive:
                self._branch(node, alive)
            node += 1
        return beginnings[end].get(len(self._text), 0.0)

    def _go_straight(self, node: int, written: int, mass: float) -> int:
        """Follows the only beginning left while there is no choice; returns the node where that ends."""
        text, negligible, first = self._text, self._negligible, node
        shares, straight = self._tables.shares, self._tables.straight
        while (way := straight[node]) is not None and written < len(text):
            candidate, taken, left_out = way
            if mass * left_out > negligible or mass <= negligible:
                break
            mass *= taken * shares[candidate][text[written]]
            written, node = written + 1, node + 1
        if node > first:
            self._beginnings[node][written] = mass
            self._farthest = node
        return node

    def _branch(self, node: int, alive: list[tuple[int, float]]) -> None:
        """Takes beginnings, their lengths and probabilities, along all arcs of a node."""
        text, last, all_shares = self._text, len(self._text), self._tables.shares
        for stop, candidate, _, probability in self._arcs[node]:
            if stop > self._farthest:
                self._farthest = stop
            there = self._beginnings[stop]
            if candidate == SKIP:
                for at, mass in alive:
                    there[at] = there.get(at, 0.0) + mass * probability
                continue
            shares = all_shares[candidate]
            for at, mass in alive:
                if at < last:
                    there[at + 1] = there.get(at + 1, 0.0) + mass * probability * shares[text[at]]


def _kept(allowed: float, wrong_length: float) -> float:
    """The mass that a length range keeps, see ``candidate_probabilities``; above 0."""
    return max(allowed + wrong_length * (1.0 - allowed), 1e-300)


def allowed_share(kept: float, wrong_length: float) -> float:
    """The share, 0..1, of all mass that has an allowed length, from what ``candidate_probabilities`` kept.

    1 where other lengths weigh as much, so that nothing depends on it.
    """
    return (kept - wrong_length) / (1.0 - wrong_length) if wrong_length < 1.0 else 1.0


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
