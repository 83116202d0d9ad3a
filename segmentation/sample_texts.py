"""Invented texts for sample forms: something plausible for every field of any template."""

import string

import numpy as np

from segmentation.templates import FieldSpec, FormTemplate

ALPHABETS = {
    "digits": string.digits,
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "letters": string.ascii_letters,
    "alphanumeric": string.digits + string.ascii_letters,
}
# The preamble of the Constitution of the United States, in the spelling of NIST's forms; public domain.
PREAMBLE = (
    "We, the People of the United States, in order to form a more perfect Union, establish Justice, "
    "insure domestic Tranquility, provide for the common Defense, promote the general Welfare, and secure "
    "the Blessings of Liberty to ourselves and our posterity, do ordain and establish this CONSTITUTION "
    "for the United States of America."
)
GIVEN_NAMES = "Ada Ben Clara David Elsa Frank Grace Henry Ida Jonas Karin Liam Mara Nils Olga Paul Rosa Vera"
SURNAMES = "Abbot Baker Castle Dunn Ellis Fisher Grant Hill Ivers Jensen Keller Lang Moore Novak Quist Zeller"
PLACES = ("Oak Hill, OH", "Fairview, PA", "Riverton, WY", "Millbrook, NY", "Cedar Point, KS", "Ashford, CT")
TICKED = "x"  # as the job reads a tick
BLANK_SHARE = 0.15  # of the free texts; codes are always filled in


def random_texts(template: FormTemplate, rng: np.random.Generator) -> dict[str, str]:
    """Invents what a writer puts into a form.

    Fields of digits or letters get random ones, as many as the field takes (a shuffled alphabet if that is
    its size). The ``text`` lines of a form get, in turn, a person's name, a date, and a place, or stay blank.
    Paragraphs get as much of a well-known text as fits, or stay blank. Combs of letters get names or places,
    some of the others stay blank. Half of the boxes for ticks are ticked, and one of most groups.

    Returns:
        field name -> text, for every field of the template in its order; "" for a blank one.
    """
    texts: dict[str, str] = {}
    chosen: dict[str, str] = {}
    lines_so_far = 0
    for spec in template.fields:
        if spec.layout == "mark":
            if spec.group and spec.group not in chosen:
                boxes = [other.name for other in template.fields if other.group == spec.group]
                chosen[spec.group] = str(rng.choice(["", *boxes, *boxes]))
            is_ticked = chosen[spec.group] == spec.name if spec.group else rng.random() < 0.5
            texts[spec.name] = TICKED if is_ticked else ""
            continue
        if spec.layout == "comb":
            texts[spec.name] = _comb_text(spec, rng)
            continue
        if spec.charset in ALPHABETS:
            texts[spec.name] = random_code(spec, rng)
            continue
        is_paragraph = spec.layout == "paragraph"
        text = PREAMBLE if is_paragraph else (_name, _date, _place)[lines_so_far % 3](rng)
        lines_so_far += 0 if is_paragraph else 1
        blank = rng.random() < (0.4 if is_paragraph else BLANK_SHARE)
        texts[spec.name] = "" if blank else _shortened(text, spec)
    return texts


def random_code(spec: FieldSpec, rng: np.random.Generator) -> str:
    """Random characters of a field's charset, as many as it takes."""
    alphabet = ALPHABETS[spec.charset]
    shortest = min(max(spec.min_length, 1), spec.max_length)
    length = int(rng.integers(shortest, min(spec.max_length, shortest + 12) + 1))
    once_each = length == len(alphabet)
    return "".join(alphabet[i] for i in rng.choice(len(alphabet), length, replace=not once_each))


def _comb_text(spec: FieldSpec, rng: np.random.Generator) -> str:
    """Words in capitals with a cell between them, or a code; "" for some that may stay blank."""
    if spec.min_length == 0 and rng.random() < BLANK_SHARE:
        return ""
    if spec.charset in ("digits", "alphanumeric") or spec.min_length == spec.max_length:
        return random_code(spec, rng) if spec.charset in ALPHABETS else ""
    words = (_name, _town)[int(rng.integers(2))](rng)
    text = words.lower() if spec.charset == "lower" else words.upper()
    return text[: spec.cells].strip() if len(text) <= spec.cells else text.split()[0][: spec.cells]


def _town(rng: np.random.Generator) -> str:
    return str(rng.choice(PLACES)).split(",")[0]


def _shortened(text: str, spec: FieldSpec) -> str:
    """As many whole words as the field's length allows, spaces not counted; "" if they are too few."""
    kept: list[str] = []
    for word in text.split():
        if sum(map(len, kept)) + len(word) > spec.max_length:
            break
        kept.append(word)
    return " ".join(kept) if sum(map(len, kept)) >= spec.min_length else ""


def _name(rng: np.random.Generator) -> str:
    return f"{rng.choice(GIVEN_NAMES.split())} {rng.choice(SURNAMES.split())}"


def _date(rng: np.random.Generator) -> str:
    return f"{rng.integers(1, 13)}/{rng.integers(1, 29)}/{rng.integers(80, 100)}"


def _place(rng: np.random.Generator) -> str:
    return f"{rng.choice(PLACES)} {rng.integers(10_000, 100_000)}"
