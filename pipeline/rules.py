"""From what a template states about a field to what the decoder is told about its rows."""

from dataclasses import replace
from functools import lru_cache

from model.automata import CHECK_DIGITS, AllOf, Automaton, Lexicon, accepts_text
from model.decoding import Constraint, Reading
from segmentation.field_rules import CHARSET_CHARACTERS, spelling
from segmentation.patterns import compile_pattern
from segmentation.templates import FieldSpec


@lru_cache(maxsize=1024)
def constraint_of(spec: FieldSpec) -> Constraint:
    """What may stand in one row of a field.

    A paragraph's length says nothing about a single row of it, except the most; its lexicon is a dictionary.
    """
    paragraph = spec.layout == "paragraph"
    return Constraint(
        charset=spec.charset,
        min_length=0 if paragraph else spec.min_length,
        max_length=spec.max_length,
        permutation=spec.permutation,
        spaces=spec.charset == "text",
        automaton=None if paragraph else _automaton(spec),
        words=Lexicon.of(_spellings(spec)) if paragraph and spec.lexicon else None,
    )


def _automaton(spec: FieldSpec) -> Automaton | None:
    parts: list[Automaton] = []
    if spec.pattern:
        parts.append(compile_pattern(spec.pattern, CHARSET_CHARACTERS[spec.charset]))
    if spec.lexicon:
        parts.append(Lexicon.of(_spellings(spec)))
    if spec.check_digit:
        parts.append(CHECK_DIGITS[spec.check_digit])
    if len(parts) > 1:
        return AllOf(tuple(parts))
    return parts[0] if parts else None


@lru_cache(maxsize=1024)
def _spellings(spec: FieldSpec) -> dict[str, str]:
    """The characters of every value of a lexicon, and the value."""
    return {spelling(value, spec.charset): value for value in spec.lexicon}


def obeys(spec: FieldSpec, text: str) -> bool:
    """Whether a text of one row has a length that its field allows, and obeys the rules of the field.

    Args:
        spec: the field, no paragraph.
        text: as it stands in the output, see ``with_values``; spaces do not count.
    """
    if spec.lexicon and text not in spec.lexicon:
        return False
    characters = spelling(text, spec.charset) if spec.lexicon else "".join(text.split())
    if not spec.min_length <= len(characters) <= spec.max_length:
        return False
    if spec.permutation and len(set(characters)) < len(characters):
        return False
    automaton = constraint_of(spec).automaton
    return automaton is None or accepts_text(automaton, characters)


def with_values(spec: FieldSpec, reading: Reading) -> Reading:
    """The reading with the values of the lexicon as the template writes them, spaces and all."""
    if not spec.lexicon or spec.layout == "paragraph":
        return reading
    values = _spellings(spec)

    def value(text: str) -> str:
        return values.get("".join(text.split()), text)

    runners_up = tuple((value(text), confidence) for text, confidence in reading.runners_up)
    return replace(reading, text=value(reading.text), runners_up=runners_up)
