"""Text of others on the terminal: what would steer it is shown as an escape."""

import re

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Control characters, what turns the direction of writing, breaks lines, or is half a character.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, keep: str = "") -> str:
    r"""The text with ``\x1b`` and the like for characters that are none to read.

    Args:
        text: as it came.
        keep: characters that stay.
    """
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
