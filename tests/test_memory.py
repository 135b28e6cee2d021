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
