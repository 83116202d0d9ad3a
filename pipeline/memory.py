"""Memory of a worker: what one page has freed is kept for the next one.

Rasters of a page are buffers of megabytes. As it comes, glibc hands many of them back to the system when they
are freed, and asks for them anew for the next page; then the system has to find and clear the memory again,
four kilobytes at a time. That is about a twentieth of the time that a page takes.
"""

import ctypes
import os
from collections.abc import Mapping

# Of mallopt, as in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # bytes of one buffer: the most that glibc takes, and four pages of 300 dpi
MOST_KEPT = 128 << 20  # bytes that may lie free at the end of the heap


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Has glibc keep what this process frees, instead of handing it back; any other library is left alone.

    Args:
        environment: variables of the process. Whoever has told glibc how to allocate, by ``MALLOC_...`` or
            ``GLIBC_TUNABLES``, has the last word.

    Returns:
        Whether it was done.
    """
    told = any(name.startswith("MALLOC_") for name in environment)
    if told or "glibc.malloc" in environment.get("GLIBC_TUNABLES", "") or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT))


def _is_glibc() -> bool:
    """Whether this process runs on glibc, whose numbers for ``mallopt`` these are."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # Windows; musl and macOS do not know the name
        return False
