"""What a text may be, told character by character: finite automata that steer a path through a lattice.

Any object with ``start``, ``step`` and ``accepts`` is one, such as the patterns that form templates hold.
States are compared and hashed by the search, nothing else; fewer states make a faster one.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class Automaton(Protocol):
    """Reads a text from left to right."""

    @property
    def start(self) -> Hashable:
        """The state before the first character."""
        ...

    def step(self, state: Any, character: str) -> Hashable | None:
        """The state after one more character, or None if no text goes on like this."""
        ...

    def accepts(self, state: Any) -> bool:
        """Whether a text may end in this state."""
        ...


def accepts_text(automaton: Automaton, text: str) -> bool:
    """Whether an automaton accepts the whole of a text, which holds no spaces."""
    state: Hashable | None = automaton.start
    for character in text:
        if state is None:
            return False
        state = automaton.step(state, character)
    return state is not None and automaton.accepts(state)


@dataclass(frozen=True, slots=True)
class LengthRange:
    """Texts of ``least`` to ``most`` characters; ``most`` None for any number. A state is their count."""

    least: int
    most: int | None = None

    @property
    def start(self) -> int:
        """Nothing written yet."""
        return 0

    def step(self, state: int, character: str) -> int | None:
        """One more; counted only as far as it matters."""
        if self.most is None:
            return min(state + 1, self.least)
        return state + 1 if state < self.most else None

    def accepts(self, state: int) -> bool:
        """Whether there are enough."""
        return state >= self.least


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The texts of a list; a state is the part of the sorted list that begins with what has been read.

    States: first and last index of that part, the last not included, and the number of characters read. A
    sorted list takes a tenth of the memory that a tree of dictionaries would.

    Attributes:
        words: ASCII, sorted, none twice; ``of`` makes it so.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Lexicon":
        """The lexicon of words in any order."""
        return cls(tuple(sorted(set(words))))

    @property
    def start(self) -> tuple[int, int, int]:
        """All words."""
        return 0, len(self.words), 0

    def step(self, state: tuple[int, int, int], character: str) -> tuple[int, int, int] | None:
        """The words that go on with this character."""
        low, high, depth = state
        if low == high:
            return None
        prefix = self.words[low][:depth] + character
        low = bisect_left(self.words, prefix, low, high)
        high = bisect_left(self.words, prefix + "\x7f", low, high)
        return (low, high, depth + 1) if low < high else None

    def accepts(self, state: tuple[int, int, int]) -> bool:
        """Whether one of these words ends here: then it is the first of them."""
        low, high, depth = state
        return low < high and len(self.words[low]) == depth


@dataclass(frozen=True, slots=True)
class Luhn:
    """Digits of which the last is the check digit of ISO/IEC 7812-1, known as Luhn or mod 10.

    From the right every second digit is doubled, 9 is taken off what exceeds 9, and the sum is a multiple of
    10. A state is the sum modulo 10 if the text ends here, the same if one more digit follows, and whether
    there are two digits yet (one digit cannot check itself): at most 201 states.
    """

    @property
    def start(self) -> tuple[int, int, int]:
        """No digit yet."""
        return 0, 0, 0

    def step(self, state: tuple[int, int, int], character: str) -> tuple[int, int, int] | None:
        """The last digit counts once, and twice when another one follows."""
        if not ("0" <= character <= "9"):
            return None
        digit = int(character)
        _, followed, count = state
        doubled = 2 * digit - 9 * (digit > 4)
        return (followed + digit) % 10, (state[0] + doubled) % 10, min(count + 1, 2)

    def accepts(self, state: tuple[int, int, int]) -> bool:
        """Whether the sum is a multiple of 10."""
        return state[0] == 0 and state[2] == 2


@dataclass(frozen=True, slots=True)
class Mod11:
    """Digits of which the last is the check digit of ISO 2108 (ISBN-10), known as mod 11.

    From the right the characters weigh 1, 2, 3 ..., and the weighted sum is a multiple of 11. A check digit
    of 10 is written X. The weights go on rising for longer numbers; schemes that start them again (2 to 7)
    are others. A state is the sum of digits and the weighted sum, both modulo 11, and 0 to 3 for: nothing
    yet, one digit, more, ended with an X.
    """

    @property
    def start(self) -> tuple[int, int, int]:
        """No digit yet."""
        return 0, 0, 0

    def step(self, state: tuple[int, int, int], character: str) -> tuple[int, int, int] | None:
        """One more character raises the weight of all before it by one."""
        digits, weighted, count = state
        if count == 3:
            return None
        if character in "Xx" and count:
            return 0, (weighted + digits + 10) % 11, 3
        if not ("0" <= character <= "9"):
            return None
        digit = int(character)
        return (digits + digit) % 11, (weighted + digits + digit) % 11, min(count + 1, 2)

    def accepts(self, state: tuple[int, int, int]) -> bool:
        """Whether the weighted sum is a multiple of 11."""
        return state[1] == 0 and state[2] >= 2


CHECK_DIGITS: dict[str, Automaton] = {"luhn": Luhn(), "mod11": Mod11()}


@dataclass(frozen=True, slots=True)
class AllOf:
    """Texts that each of some automata accepts; a state holds one of each."""

    parts: tuple[Automaton, ...]

    @property
    def start(self) -> tuple[Hashable, ...]:
        """All at their start."""
        return tuple(part.start for part in self.parts)

    def step(self, state: tuple[Hashable, ...], character: str) -> tuple[Hashable, ...] | None:
        """None as soon as one of them has none."""
        states = []
        for part, own in zip(self.parts, state, strict=True):
            after = part.step(own, character)
            if after is None:
                return None
            states.append(after)
        return tuple(states)

    def accepts(self, state: tuple[Hashable, ...]) -> bool:
        """Whether all accept."""
        return all(part.accepts(own) for part, own in zip(self.parts, state, strict=True))
