"""Patterns a template may state: a small part of Python's regular expressions, as a finite automaton.

Understood are characters (``A``), sets (``[A-Z0-9]``, ``[^IO]``), ``\\d`` for any digit, ``.`` for any
character, ``?``, ``*``, ``+``, ``{n}``, ``{m,n}``, ``{m,}``, ``|`` and groups in round brackets. A pattern
describes the whole text. It may name only what the reader can read: letters and digits without accents.

Method: the pattern becomes an automaton with empty moves (Thompson, "Regular Expression Search Algorithm",
CACM 11(6), 1968), from which sets of places are made the states of a deterministic one.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

READABLE = string.digits + string.ascii_uppercase + string.ascii_lowercase
MAX_STATES = 2_000
MAX_REPEATS = 200
MAX_DEPTH = 50


class PatternError(ValueError):
    """A pattern that cannot be understood; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A deterministic automaton; state 0 is the start, and from every state an end can be reached.

    Attributes:
        moves: for every state, character -> next state.
        ends: the states in which a text may end.
    """

    moves: tuple[Mapping[str, int], ...]
    ends: frozenset[int]

    @property
    def start(self) -> int:
        """The state before the first character."""
        return 0

    def step(self, state: int, character: str) -> int | None:
        """The state after one more character, or None if no text goes on like this."""
        return self.moves[state].get(character)

    def accepts(self, state: int) -> bool:
        """Whether a text may end here."""
        return state in self.ends

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        state: int | None = self.start
        for character in text:
            state = None if state is None else self.step(state, character)
        return state is not None and self.accepts(state)

    @property
    def empty(self) -> bool:
        """Whether no text at all fits."""
        return not self.ends

    def lengths(self, limit: int) -> list[int]:
        """The lengths, up to a limit, of the texts that fit; ascending."""
        found, here = [], {0}
        for length in range(limit + 1):
            if not here:
                break
            if here & self.ends:
                found.append(length)
            here = {after for state in here for after in self.moves[state].values()}
        return found


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, alphabet: str = READABLE) -> Pattern:
    """Makes the automaton of a pattern.

    Args:
        pattern: see the module.
        alphabet: the characters that a field may hold; all others are struck from the pattern.

    Raises:
        PatternError: the pattern is not understood or needs more than ``MAX_STATES`` states.
    """
    places = _Places(alphabet)
    first, last = _Parser(pattern, places).parse()
    return _alive(*_deterministic(places, first, last))


class _Places:
    """The automaton with empty moves, while it grows."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = frozenset(alphabet)
        self.empty: list[list[int]] = []
        self.reading: list[tuple[frozenset[str], int] | None] = []

    def new(self) -> int:
        if len(self.empty) >= 20 * MAX_STATES:
            raise PatternError("it is too long or repeats too much")
        self.empty.append([])
        self.reading.append(None)
        return len(self.empty) - 1

    def reached(self, places: set[int]) -> frozenset[int]:
        """The places and all that empty moves lead to."""
        found, todo = set(places), list(places)
        while todo:
            new = set(self.empty[todo.pop()]) - found
            found |= new
            todo.extend(new)
        return frozenset(found)


# The first and the last place of a part of the pattern.
_Part = tuple[int, int]


class _Parser:
    """Reads a pattern from left to right, and lays out the places of each part as it goes."""

    def __init__(self, pattern: str, places: _Places) -> None:
        self.pattern, self.places = pattern, places
        self.at, self.depth = 0, 0

    def parse(self) -> _Part:
        part = self.choice()
        if self.at < len(self.pattern):
            raise self.wrong("a closing bracket without an opening one")
        return part

    def wrong(self, problem: str) -> PatternError:
        return PatternError(f"{problem} at character {self.at + 1}")

    @property
    def next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def choice(self) -> _Part:
        first, last = self.places.new(), self.places.new()
        while True:
            begin, end = self.sequence()
            self.places.empty[first].append(begin)
            self.places.empty[end].append(last)
            if self.next != "|":
                return first, last
            self.at += 1

    def sequence(self) -> _Part:
        first = last = self.places.new()
        while self.next not in ("", "|", ")"):
            begin, end = self.repeated()
            self.places.empty[last].append(begin)
            last = end
        return first, last

    def repeated(self) -> _Part:
        begin = self.at
        part = self.single()
        least, most = self.repeats()
        if (least, most) == (1, 1):
            return part
        after = self.at
        first = last = self.places.new()
        end = self.places.new()
        for number in count():
            if number >= least:
                self.places.empty[last].append(end)
            if number == most:
                break
            self.at = begin  # the same text again makes a fresh copy of its places
            copy = part if number == 0 else self.single()
            self.places.empty[last].append(copy[0])
            last = copy[1]
            if most is None and number >= least:
                self.places.empty[last] += [copy[0], end]
                break
        self.at = after
        return first, end

    def repeats(self) -> tuple[int, int | None]:
        signs: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        if self.next in signs and self.next:
            self.at += 1
            found = signs[self.pattern[self.at - 1]]
        elif self.next == "{":
            found = self.counted()
        else:
            return 1, 1
        if self.next in ("?", "*", "+", "{") and self.next:
            raise self.wrong("a repeat of a repeat")
        return found

    def counted(self) -> tuple[int, int | None]:
        close = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : max(close, 0)].partition(",")
        if not (low.isdecimal() and low.isascii() and (high == "" or (high.isdecimal() and high.isascii()))):
            raise self.wrong("a repeat that is not like {3} or {2,5}")
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > MAX_REPEATS or (most is not None and most < max(least, 1)):
            raise self.wrong(f"a repeat that is not from 1 to {MAX_REPEATS} with the smaller number first")
        self.at = close + 1
        return least, most

    def single(self) -> _Part:
        sign = self.next
        if sign == "(":
            self.at += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.wrong("too many groups within groups")
            if self.next == "?":
                raise self.wrong("a group with an extension")
            part = self.choice()
            if self.next != ")":
                raise self.wrong("an opening bracket that is never closed")
            self.at += 1
            self.depth -= 1
            return part
        characters = self.set() if sign == "[" else self.character()
        first, last = self.places.new(), self.places.new()
        self.places.reading[first] = (frozenset(characters) & self.places.alphabet, last)
        return first, last

    def character(self) -> str:
        sign = self.next
        if sign == ".":
            self.at += 1
            return READABLE
        if sign == "\\":
            if self.pattern[self.at + 1 : self.at + 2] != "d":
                raise self.wrong("a backslash before something else than d")
            self.at += 2
            return string.digits
        if sign not in READABLE:
            raise self.wrong(f"{sign!r}, which is neither a letter or digit nor a sign that patterns have")
        self.at += 1
        return sign

    def set(self) -> set[str]:
        self.at += 1
        negated = self.next == "^"
        self.at += int(negated)
        found: set[str] = set()
        while self.next != "]":
            if not self.next:
                raise self.wrong("a set that is never closed")
            begin = self.at
            low = self.character()
            if self.pattern[begin] == ".":
                raise self.wrong("a dot within a set")
            if self.next == "-" and len(low) == 1:
                self.at += 1
                high = self.character() if self.next else ""
                if len(high) != 1 or READABLE.find(low) > READABLE.find(high) or not _alike(low, high):
                    raise self.wrong(f"a range {low}-{high} that does not go up within digits or one case")
                low = READABLE[READABLE.index(low) : READABLE.index(high) + 1]
            found |= set(low)
        if not found:
            raise self.wrong("an empty set")
        self.at += 1
        return set(READABLE) - found if negated else found


def _alike(a: str, b: str) -> bool:
    return any(
        a in kind and b in kind for kind in (string.digits, string.ascii_uppercase, string.ascii_lowercase)
    )


def _deterministic(places: _Places, first: int, last: int) -> tuple[list[dict[str, int]], set[int]]:
    start = places.reached({first})
    numbers, moves, todo = {start: 0}, [], [start]
    for here in todo:
        after: dict[str, set[int]] = {}
        for place in here:
            reading = places.reading[place]
            for character in reading[0] if reading else ():
                after.setdefault(character, set()).add(reading[1])  # type: ignore[index]
        row: dict[str, int] = {}
        for character, targets in after.items():
            state = places.reached(targets)
            if state not in numbers:
                if len(numbers) >= MAX_STATES:
                    raise PatternError("it is too long or repeats too much")
                numbers[state] = len(numbers)
                todo.append(state)
            row[character] = numbers[state]
        moves.append(row)
    return moves, {number for state, number in numbers.items() if last in state}


def _alive(moves: list[dict[str, int]], ends: set[int]) -> Pattern:
    """Without the moves into states from which no end can be reached."""
    before: dict[int, set[int]] = {}
    for state, row in enumerate(moves):
        for after in row.values():
            before.setdefault(after, set()).add(state)
    alive, todo = set(ends), list(ends)
    while todo:
        new = before.get(todo.pop(), set()) - alive
        alive |= new
        todo.extend(new)
    kept = tuple(
        {c: s for c, s in row.items() if s in alive} if state in alive else {}
        for state, row in enumerate(moves)
    )
    return Pattern(kept, frozenset(ends))
