"""The C library's heap: told to give back what large bodies took.

It learns from large blocks to keep them, and has a heap for each thread: after one manifest of 4 MiB a worker would
stay tens of megabytes larger for good. Where the library cannot be told (musl, macOS) nothing happens.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # glibc, malloc.h
_LARGE = 1024 * 1024

_SPARE = 32 * 1024 * 1024
"""Free bytes that may lie at the heap's end until the next `trim_heap`. Where every free block goes back at once, an
upload takes its buffers from the kernel anew each time, page by page."""

_library = ctypes.CDLL(None)


def limit_heap() -> None:
    """Give large blocks pages of their own, and all threads two heaps together. To be called before threads start.

    What is free is given back by `trim_heap`, which is to be called each second.
    """
    mallopt = getattr(_library, "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((_ARENA_MAX, 2), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _SPARE)):
            mallopt(parameter, value)


def trim_heap() -> None:
    """Give back free pages; some microseconds where there are none."""
    malloc_trim = getattr(_library, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
