"""glibc told to keep the memory that many pictures in a row give back and ask for again.

It returns large blocks to the system at once; each new one costs a page fault for every 4 KiB and a zeroed page.
"""

from __future__ import annotations

import ctypes
import functools
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_NEVER = 2**31 - 1
_LARGEST = 32 * 1024 * 1024
"""The most that it takes: HEAP_MAX_SIZE / 2 on 64-bit systems."""


@functools.cache
def keep_freed_memory() -> None:
    """Have blocks of up to 32 MiB reused, from now on; elsewhere than on the GNU C library nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


def return_freed_memory() -> None:
    """Return what is free of a large picture to the system; elsewhere than on the GNU C library nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
