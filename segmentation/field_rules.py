"""What a template may state about the text of a field: pattern, lexicon, check digit, permutation.

Everything is checked as the template is read, so that what contradicts itself never reaches a worker. The
values of a lexicon file become part of the field: workers do not see the files of who starts the job.
"""

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segmentation.composed_text import composed
from segmentation.patterns import READABLE, Pattern, PatternError, compile_pattern

RULE_KEYS = frozenset({"pattern", "lexicon", "check_digit", "permutation"})
CHECK_DIGITS = {"luhn": ("digits",), "mod11": ("digits", "alphanumeric")}
MAX_VALUES = 200_000
MAX_LEXICON_BYTES = 20_000_000
CHARSET_CHARACTERS = {
    "digits": READABLE[:10],
    "upper": READABLE[10:36],
    "lower": READABLE[36:],
    "letters": READABLE[10:],
    "alphanumeric": READABLE[:36],
    "text": READABLE,
}

Fail = Callable[[str, str, str], ValueError]


def spelling(value: str, charset: str) -> str:
    """The characters of a value as a writer puts them into a field, one by one.

    Spaces, punctuation and accents go; the case follows a charset that has only one.

    Raises:
        ValueError: a letter or digit that the charset does not have, which is named.
    """
    allowed = CHARSET_CHARACTERS[charset]
    if charset in ("upper", "alphanumeric"):
        value = value.upper()
    elif charset == "lower":
        value = value.lower()
    plain = [c for c in unicodedata.normalize("NFKD", value) if c.isalnum()]
    for character in plain:
        if character not in allowed:
            raise ValueError(character)
    return "".join(plain)


class RuleReader:
    """Reads the rule keys of one field.

    Attributes:
        rules: the arguments of ``FieldSpec`` that the keys make.
        length: shortest and longest text that is left.
        files: contents of the files that were read, for the template's hash.
    """

    def __init__(
        self, entry: Mapping[str, Any], key: str, layout: str, charset: str, file: str, fail: Fail
    ) -> None:
        """Takes the field's table, its name in errors, its layout and charset, and the template's file."""
        self._entry, self._key, self._layout, self._charset = entry, key, layout, charset
        self._folder, self._fail = Path(file).parent, fail
        self.files: list[bytes] = []

    def read(self, low: int, high: int) -> tuple[dict[str, Any], int, int]:
        """Checks all rules against each other and against a length range, which they may narrow.

        Returns:
            Arguments of ``FieldSpec``, and the length range: as given if the template states one.
        """
        entry, stated = self._entry, "length" in self._entry
        layouts = {"lexicon": ("line", "comb", "paragraph")}
        for name in sorted(RULE_KEYS & entry.keys()):
            if self._layout not in layouts.get(name, ("line", "comb")):
                raise self._fail(f"{self._key} {name}", f"means nothing to a {self._layout}", "Leave it out.")
        pattern = self._pattern() if "pattern" in entry else None
        lexicon = self._lexicon() if "lexicon" in entry else ()
        check_digit = self._check_digit() if "check_digit" in entry else ""
        permutation = self._permutation()
        possible: list[tuple[str, list[int]]] = []
        if pattern:
            possible.append(("pattern", pattern.lengths(high)))
        if lexicon and self._layout != "paragraph":
            self._check_lexicon(lexicon, pattern, low if stated else 0, high)
            possible.append(("lexicon", sorted({len(spelling(v, self._charset)) for v in lexicon})))
        if permutation:
            possible.append(("permutation", list(range(len(CHARSET_CHARACTERS[self._charset]) + 1))))
        for name, lengths in possible:
            fitting = [n for n in lengths if low <= n <= high]
            if not fitting:
                raise self._fail(
                    f"{self._key} {name}",
                    f"allows no text of {low} to {high} characters",
                    f"Correct {name} or length (or cells).",
                )
            if not stated or name == "permutation":
                low, high = max(low, fitting[0]), min(high, fitting[-1])
        rules = {"lexicon": lexicon, "check_digit": check_digit, "permutation": permutation}
        return {"pattern": entry.get("pattern", ""), **rules}, low, high

    def _pattern(self) -> Pattern:
        value, key = self._entry["pattern"], f"{self._key} pattern"
        if not isinstance(value, str) or not value:
            raise self._fail(key, f"{value!r} is no text", "Write it in single quotes: '[A-Z]{2}\\d{4}'.")
        try:
            pattern = compile_pattern(value, CHARSET_CHARACTERS[self._charset])
        except PatternError as error:
            raise self._fail(
                key, f"is not understood: {error}", "docs/templates.md lists what a pattern may hold."
            ) from None
        if pattern.empty:
            raise self._fail(
                key, f"allows nothing that the charset {self._charset} can spell", "Correct one of the two."
            )
        return pattern

    def _lexicon(self) -> tuple[str, ...]:
        key = f"{self._key} lexicon"
        values = [composed(value) for value in self._values(key)]
        if self._layout == "paragraph":
            values = [word for value in values for word in value.split()]
        spelled: dict[str, str] = {}
        for value in values:
            try:
                letters = spelling(value, self._charset)
            except ValueError as error:
                raise self._fail(
                    key,
                    f"{value!r} has {str(error)!r}, which the charset {self._charset} lacks",
                    "Correct the value or the charset.",
                ) from None
            if letters and spelled.setdefault(letters, value) != value and self._layout != "paragraph":
                raise self._fail(
                    key,
                    f"{spelled[letters]!r} and {value!r} are written with the same characters",
                    "Keep one of them.",
                )
        if not 0 < len(spelled) <= MAX_VALUES:
            raise self._fail(
                key, f"has {len(spelled)} values", f"Give 1 to {MAX_VALUES} of letters or digits."
            )
        return tuple(spelled.values())

    def _values(self, key: str) -> list[str]:
        value = self._entry["lexicon"]
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return [v.strip() for v in value]
        if not isinstance(value, str) or not value:
            raise self._fail(
                key, "is neither a list of values nor a path", 'Write ["yes", "no"] or "values.txt".'
            )
        path = self._folder / value
        try:
            if path.exists() and not path.is_file():
                raise self._fail(key, f"{path} is no file", "Name a file with one value a line.")
            with path.open("rb") as stream:
                data = stream.read(MAX_LEXICON_BYTES + 1)
            if len(data) > MAX_LEXICON_BYTES:
                raise self._fail(key, f"{path} has more than {MAX_LEXICON_BYTES:,} bytes", "Shorten it.")
            lines = data.decode("utf-8-sig").splitlines()
        except OSError as error:
            raise self._fail(
                key,
                f"{path} cannot be read ({error.strerror})",
                "Give the path from the template's folder of a file with one value a line.",
            ) from None
        except UnicodeDecodeError:
            raise self._fail(key, f"{path} is not UTF-8", "Save it as UTF-8.") from None
        self.files.append(data)
        return [line.strip() for line in lines]

    def _check_lexicon(self, lexicon: tuple[str, ...], pattern: Pattern | None, low: int, high: int) -> None:
        for value in lexicon:
            letters = spelling(value, self._charset)
            if not low <= len(letters) <= high:
                raise self._fail(
                    f"{self._key} lexicon",
                    f"{value!r} has {len(letters)} characters, but length says {low} to {high}",
                    "Correct the value or the length (or cells).",
                )
            if pattern and not pattern.matches(letters):
                raise self._fail(
                    f"{self._key} lexicon",
                    f"{value!r} does not fit the pattern",
                    "Correct the value or the pattern.",
                )

    def _check_digit(self) -> str:
        value, key = self._entry["check_digit"], f"{self._key} check_digit"
        if not isinstance(value, str) or value not in CHECK_DIGITS:
            raise self._fail(key, f"{value!r} is unknown", f"Write one of: {', '.join(CHECK_DIGITS)}.")
        if self._charset not in CHECK_DIGITS[value]:
            raise self._fail(
                key,
                f"{value} means nothing to the charset {self._charset}",
                f"Write charset = {' or '.join(repr(c) for c in CHECK_DIGITS[value])}.",
            )
        return str(value)

    def _permutation(self) -> bool:
        value, key = self._entry.get("permutation", False), f"{self._key} permutation"
        if not isinstance(value, bool):
            raise self._fail(key, f"{value!r} is not true or false", "Write permutation = true.")
        others = sorted(self._entry.keys() & (RULE_KEYS - {"permutation"}))
        if value and others:
            raise self._fail(key, f"cannot be combined with {others[0]}", "Leave out one of the two.")
        return value
