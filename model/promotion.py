"""Whether one model reads worse than another, told apart from chance.

Both read the same crops, so only those that one reads right and the other wrong say anything: between equally
good models they fall to either as a fair coin does (McNemar, "Note on the sampling error of the difference
between correlated proportions or percentages", Psychometrika 1947; here exactly, by the binomial
distribution).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Below this chance of seeing it between equals, a difference is called one. A comparison has some ten sets:
# were this larger, a good model would often fail by bad luck on one of them.
SURE = 0.01
BETTER, SAME, WORSE = "better", "same", "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two models read one set.

    Attributes:
        name: of the set.
        count: crops that both read.
        old_errors, new_errors: crops read wrong.
        lost: crops that only the old model reads right.
        gained: crops that only the new one reads right.
    """

    name: str
    count: int
    old_errors: int
    new_errors: int
    lost: int
    gained: int

    @property
    def change(self) -> float:
        """New less old error rate, -1..1; below 0 is better."""
        return (self.new_errors - self.old_errors) / max(1, self.count)

    @property
    def chance(self) -> float:
        """How likely equally good models differ so much or more in this direction, 0..1."""
        return tail(max(self.lost, self.gained), self.lost + self.gained)

    def verdict(self, allowed: float) -> str:
        """``WORSE`` where the error rate rose by more than ``allowed`` and not by chance."""
        if self.change > allowed and self.chance < SURE:
            return WORSE
        return BETTER if self.change < 0 and self.chance < SURE else SAME

    def as_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "set": self.name,
            "count": self.count,
            "old_error_rate": round(self.old_errors / max(1, self.count), 6),
            "new_error_rate": round(self.new_errors / max(1, self.count), 6),
            "change": round(self.change, 6),
            "only_old_right": self.lost,
            "only_new_right": self.gained,
            "chance": round(self.chance, 6),
        }


def compare_readings(name: str, old: NDArray[np.bool_], new: NDArray[np.bool_]) -> Comparison:
    """Compares what two models read right of the same crops, bool (N,) each."""
    lost, gained = int(np.sum(old & ~new)), int(np.sum(new & ~old))
    return Comparison(name, len(old), int(np.sum(~old)), int(np.sum(~new)), lost, gained)


def tail(heads: int, throws: int) -> float:
    """The chance that a fair coin falls on heads at least ``heads`` times of ``throws``, 0..1."""
    if heads <= 0:
        return 1.0
    logs = [_log_choose(throws, k) - throws * math.log(2) for k in range(heads, throws + 1)]
    highest = max(logs, default=-math.inf)
    if highest == -math.inf:
        return 0.0
    return min(1.0, math.exp(highest) * math.fsum(math.exp(value - highest) for value in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def format_comparisons(comparisons: list[Comparison], allowed: float) -> str:
    """A table, a row a set: error rates in per cent, the change in points, and the verdict."""
    rows = [("set", "crops", "old error", "new error", "change", "chance", "")]
    rows += [
        (
            c.name,
            f"{c.count:,}",
            f"{100 * c.old_errors / max(1, c.count):.2f} %",
            f"{100 * c.new_errors / max(1, c.count):.2f} %",
            f"{100 * c.change:+.2f}",
            f"{c.chance:.3f}",
            c.verdict(allowed),
        )
        for c in comparisons
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:6], widths[1:6], strict=True)),
        ]
        lines.append("  ".join([*cells, row[6]]).rstrip())
    return "\n".join(lines)
