"""How a worker's process takes memory from the system and gives it back."""

import ctypes
import os

# Of glibc's mallopt, in malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_LARGEST_BUFFER = 32 << 20  # bytes; no buffer of a usual page is larger, and glibc takes no more
_KEPT_FREE = 40 << 20  # bytes
_BY_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """From now on this process keeps the memory of a page for the next page.

    The buffers of a page are so large that glibc hands each back to the system when it is freed, and the next
    page has all its memory cleared and mapped anew, which takes a few per cent of its time. Other allocators,
    and what the user has set in the environment, are left as they are.

    Returns:
        Whether anything was set.
    """
    if any(name in os.environ for name in _BY_USER):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc: musl, macOS; Windows has no such handle
        return False
    return bool(set_option(_MMAP_THRESHOLD, _LARGEST_BUFFER) and set_option(_TRIM_THRESHOLD, _KEPT_FREE))
