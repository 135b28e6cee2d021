"""How this process holds memory. What concerns heaps is glibc's; other C libraries do as they do."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import time
from collections.abc import Callable

_C = ctypes.CDLL(None)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h; mallopt(3)
_ARENAS = 2
_MAPPED = 2 * 1024 * 1024
"""Bytes from which on something is memory of its own, given back to the system as soon as it is free: more than a piece
has, with its headers and last run. The columns of a large plan, up to 8 MiB, leave the fewer holes the earlier they
are out of the heap."""
_KEPT = 8 * 1024 * 1024
"""Free bytes at the end of a heap that are kept for what comes next."""
_USUAL = gc.get_threshold()
_BORN = 100_000
"""New objects before garbage is looked for while a command loads."""

_NEVER = 2**31 - 1
_EVERY = 5.0
"""Seconds between two looks at whether nobody waits."""
_TRIM_EVERY = 60.0
_GROWN = 500_000
"""Blocks of memory, some 40 MB, after which garbage is looked for though somebody waits."""


def share_heap() -> None:
    """Have all threads allocate from few heaps, which keep what is freed for a while. Call it before the first thread.

    Otherwise each thread may get a heap of its own: what one has freed another does not find, and a process in which
    threads take turns at large plans holds several times what it uses.

    Pieces of an archive of small files are 1 MiB, and come and go hundreds of times a second: each time given back to
    the system, and taken from it page by page, they cost three times what it takes to fill them.
    """
    if (mallopt := getattr(_C, "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


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
    give_back()  # what setting up needed


def leave_quickly() -> None:
    """Have the interpreter end without going through all objects once more. Call it last.

    A quarter of a second of each command went to that. What lies in a cycle then is not finalized: the system takes
    back descriptors and memory, and whatever must be closed or written has been.
    """
    gc.freeze()


async def tidy(
    running: Callable[[], int], *, every: float = _EVERY, grown: int = _GROWN, trim_every: float = _TRIM_EVERY
) -> None:
    """Look for garbage among all objects when nobody waits, and give back what is free. Never returns.

    A thousand connections with their streams are 200,000 objects: to go through them holds up everybody for 0.1 s. So
    that is not done whenever enough of them were made, but when nothing runs, or much more is in use than after the
    last time. Among young objects, where nearly all garbage is, it is looked for as ever, which takes milliseconds.

    Buffers of many sizes that come and go, with small things that stay between them, leave a heap with more and more
    free pages: in a soak about 1 MiB a minute. They go back when nothing runs, and now and then while something does.

    Args:
        running: Tells how many requests are being answered.
        every: Seconds between two looks.
        grown: Blocks of memory (``sys.getallocatedblocks``) in use beyond those after the last time.
        trim_every: Seconds after which free pages are given back though requests are being answered.
    """
    young, middle, _ = _USUAL
    gc.set_threshold(young, middle, _NEVER)
    used, trimmed = sys.getallocatedblocks(), time.monotonic()
    while True:
        await asyncio.sleep(every)
        idle = not running()
        something_was_done = gc.get_count()[2] > 0
        if (idle and something_was_done) or sys.getallocatedblocks() - used > grown:
            gc.collect()
            used = sys.getallocatedblocks()
            if idle:
                give_back()
                trimmed = time.monotonic()
        if not idle and time.monotonic() - trimmed > trim_every:
            await asyncio.to_thread(give_back)
            trimmed = time.monotonic()


def give_back() -> None:
    """Return free pages of the heaps to the system (malloc_trim(3)): some milliseconds for 100 MB. Blocks."""
    if (trim := getattr(_C, "malloc_trim", None)) is not None:
        trim(0)
