"""How this process holds memory. What concerns heaps is glibc's; other C libraries do as they do."""

from __future__ import annotations

import ctypes
import gc

_C = ctypes.CDLL(None)
_M_ARENA_MAX = -8  # malloc.h; mallopt(3)
_ARENAS = 2
_USUAL = gc.get_threshold()
_BORN = 100_000
"""New objects before garbage is looked for while a command loads."""


def share_heap() -> None:
    """Have all threads allocate from few heaps. Call it before the first thread.

    Otherwise each thread may get a heap of its own: what one has freed another does not find, and a process in which
    threads take turns at large plans holds several times what it uses.
    """
    if (mallopt := getattr(_C, "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def collect_rarely() -> None:
    """Have the garbage collector look rarely, until ``keep_out_of_collections``.

    A fifth of a command's start went to collections, among modules that stay.
    """
    gc.set_threshold(_BORN)


def keep_out_of_collections() -> None:
    """Have the garbage collector never look again at what is there now. Call it when everything has been set up.

    Modules, models and routes are some hundred thousand objects that stay: to go through them all, which every full
    collection does, holds up each request of that moment by 20 to 70 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_USUAL)


def give_back() -> None:
    """Return free pages of the heaps to the system (malloc_trim(3)): some milliseconds for 100 MB. Blocks."""
    if (trim := getattr(_C, "malloc_trim", None)) is not None:
        trim(0)
