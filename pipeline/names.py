"""Names of files that are no text: Unix allows any bytes, of which tables and messages cannot hold all."""


def is_text(path: str) -> bool:
    """Whether a path, as Python has it from the system, is valid UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(path: str) -> str:
    r"""The same path if it is valid UTF-8, else with escapes such as ``\xe9`` for the bytes that are not."""
    return to_bytes(path).decode("utf-8", "backslashreplace")


def to_bytes(path: str) -> bytes:
    """The bytes of a path as the system has them."""
    return path.encode("utf-8", "surrogateescape")


def from_bytes(path: bytes) -> str:
    """The path as Python has it from the system; the inverse of ``to_bytes``."""
    return path.decode("utf-8", "surrogateescape")
