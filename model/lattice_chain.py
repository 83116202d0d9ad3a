"""How probable each arc of a lattice is, and each text.

Probabilities come from turning the lattice into a Markov chain: with the log-mass of all continuations known
at every node (one backward pass), each arc gets the probability of being taken next. All numbers then lie in
0..1, nothing overflows, and what underflows is negligible.
"""

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
        if len(path.labels) == self._pieces and len(set(zip(*self._spans, strict=True))) == len(self.masses):
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
                if stop > ahead:
                    ahead = stop
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


def _kept(allowed: float, wrong_length: float) -> float:
    """The mass that a length range keeps, see ``candidate_probabilities``; above 0."""
    return max(allowed + wrong_length * (1.0 - allowed), 1e-300)


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
