"""Names for fields and characters that outlive runs: the bytes of the scan, the page, the form, the field."""

import base64
import binascii
import re
from typing import NamedTuple

FIELD_ID = r"^[0-9a-z]{1,64}-[1-9][0-9]{0,8}-[A-Za-z0-9_-]{4,800}$"
CHARACTER_ID = r"^[0-9a-z]{1,64}-[1-9][0-9]{0,8}-[A-Za-z0-9_-]{4,800}\.(0|[1-9][0-9]{0,5})$"
_BETWEEN = "\x00"  # in no name: neither TOML nor Parquet readers like it


class FieldKey(NamedTuple):
    """A field of a scan, whichever run has read it; ``page`` counts from 1."""

    sha256: str
    page: int
    template: str
    field: str

    @property
    def id(self) -> str:
        """The key as one word for addresses; ``parse_field_id`` gives the key back."""
        names = f"{self.template}{_BETWEEN}{self.field}".encode()
        return f"{self.sha256}-{self.page}-{base64.urlsafe_b64encode(names).decode().rstrip('=')}"


class CharacterKey(NamedTuple):
    """A character of a field by its position, from 0."""

    field: FieldKey
    position: int

    @property
    def id(self) -> str:
        """The key as one word."""
        return f"{self.field.id}.{self.position}"


def parse_field_id(text: str) -> FieldKey | None:
    """The key that a word stands for; None if no key has this word."""
    if not re.fullmatch(FIELD_ID, text):
        return None
    sha256, page, names = text.split("-", 2)
    try:
        decoded = base64.b64decode(names + "=" * (-len(names) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    template, between, field = decoded.partition(_BETWEEN)
    key = FieldKey(sha256, int(page), template, field)
    return key if between and key.id == text else None


def parse_character_id(text: str) -> CharacterKey | None:
    """The key that a word stands for; None if no key has this word."""
    if not re.fullmatch(CHARACTER_ID, text):
        return None
    field_id, _, position = text.rpartition(".")
    key = parse_field_id(field_id)
    return CharacterKey(key, int(position)) if key else None
