"""How this process holds memory, where the C library is glibc; others do as they do."""

from __future__ import annotations

import ctypes

_C = ctypes.CDLL(None)
_M_ARENA_MAX = -8  # malloc.h; mallopt(3)
_ARENAS = 2


def share_heap() -> None:
    """Have all threads allocate from few heaps. Call it before the first thread.

    Otherwise each thread may get a heap of its own: what one has freed another does not find, and a process in which
    threads take turns at large plans holds several times what it uses.
    """
    if (mallopt := getattr(_C, "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return free pages of the heaps to the system (malloc_trim(3)): some milliseconds for 100 MB. Blocks."""
    if (trim := getattr(_C, "malloc_trim", None)) is not None:
        trim(0)
