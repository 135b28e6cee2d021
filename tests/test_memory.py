"""What the process does with its memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAP = """
import threading
from pannier import memory
memory.share_heap()
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def fill(kept):
    kept += [bytes(2_000) for _ in range(25_000)]  # 50 MB, too small for mmap
    pin.append(bytes(2_000))  # what keeps the heap's top where it is
pin = []
for _ in range(4):
    kept = []
    thread = threading.Thread(target=fill, args=(kept,))
    thread.start()
    thread.join()
    del thread
    full = rss()
    del kept
    memory.give_back()
print(full, rss())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_what_threads_freed_goes_back_to_the_system() -> None:
    """In a process of its own: what other tests hold would be counted too."""
    done = subprocess.run([sys.executable, "-c", _HEAP], capture_output=True, text=True, check=True, timeout=60)
    full, left = map(int, done.stdout.split())
    assert full - left > 40_000_000


_PIECES = """
import resource, threading
from pannier import memory
from pannier.streams.archive import _MOST_GATHERED
from pannier.streams.runs import _RUN_BYTES
memory.share_heap()
runs = (_MOST_GATHERED + _RUN_BYTES) * 6 // 5 // _RUN_BYTES  # the last one is whole, and each file has a header
def turns():
    for turn in range(104):
        if turn == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        parts = [bytes(_RUN_BYTES) for _ in range(runs)]
        piece = b"".join(parts)
        del parts, piece
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=turns)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_pieces_that_come_and_go_are_not_taken_from_the_system_each_time() -> None:
    """A hundred times 3 MiB are 77,000 pages, each of which would be a page fault."""
    done = subprocess.run([sys.executable, "-c", _PIECES], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 10_000


_COLLECTIONS = """
import asyncio, gc, sys
from pannier import memory

class Knot:
    def __init__(self):
        self.self = self

def full():
    return gc.get_stats()[2]["collections"]

async def main():
    memory.keep_out_of_collections()
    task = asyncio.create_task(memory.tidy(lambda: 1, every=0.01, grown=50_000))
    await asyncio.sleep(0.05)
    before = full()
    kept = [[] for _ in range(45_000)]  # by itself the collector would go through them twice
    await asyncio.sleep(0.2)
    print("busy", full() - before)
    more = [[] for _ in range(10_000)]
    await asyncio.sleep(0.2)
    print("grown", full() - before)
    task.cancel()
    knots = [Knot() for _ in range(120_000)]
    del knots, kept, more
    before = full()
    task = asyncio.create_task(memory.tidy(lambda: 0, every=0.01))
    while not (full() - before):
        await asyncio.sleep(0.01)
    print("idle", sum(isinstance(each, Knot) for each in gc.get_objects()))
    await asyncio.sleep(0.2)
    print("at rest", full() - before)

asyncio.run(main())
"""


def test_all_objects_are_gone_through_when_nobody_waits_or_too_many_came() -> None:
    done = subprocess.run([sys.executable, "-c", _COLLECTIONS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["busy 0", "grown 1", "idle 0", "at rest 1"]


_BUSY = """
import asyncio
from pannier import memory
memory.share_heap()

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main():
    kept = [bytes(2_000) for _ in range(25_000)]
    pin = bytes(2_000)
    full = rss()
    del kept
    task = asyncio.create_task(memory.tidy(lambda: 1, every=0.01, trim_every=0.02))
    async with asyncio.timeout(30):
        while full - rss() < 40_000_000:
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_what_is_free_goes_back_while_requests_are_being_answered() -> None:
    subprocess.run([sys.executable, "-c", _BUSY], check=True, timeout=60)
