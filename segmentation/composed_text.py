"""One spelling for one text: ``é`` may be one character or an ``e`` with an accent after it."""

import unicodedata


def composed(text: str) -> str:
    """A text with letters and their accents as one character each (Unicode NFC).

    macOS names files so that they are two, and what is typed or copied there may be so too. Texts that people
    cannot tell apart are to be equal, and an accent alone is no character that could be wrong.
    """
    return unicodedata.normalize("NFC", text)
