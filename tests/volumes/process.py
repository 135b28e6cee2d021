"""What tests ask of processes: their descriptors, their privileges, and to be in the way."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be an ordinary user for the block: root may read anything, so nothing about permissions shows under it."""
    if os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _open_paths() -> Counter[str]:
    """What descriptors of this process lead to, but for sockets and the like, which other tests' loops let go of."""
    found: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("/") and not target.startswith(("/proc", "/dev")):
            found[target] += 1
    return found


@contextmanager
def no_descriptor_kept() -> Iterator[None]:
    """Fail if the block leaves a file or directory open."""
    gc.collect()
    before = _open_paths()
    yield
    assert not _open_paths() - before


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """Let the process open at most ``spare`` descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    holders = [os.dup(0)]
    while holders[-1] <= highest:  # the limit is on the number: no hole may stay below
        holders.append(os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (holders[-1] + 1 + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in holders:
            os.close(number)


@contextmanager
def renaming(*moves: tuple[bytes, bytes]) -> Iterator[None]:
    """Rename in this order, again and again, in another process: threads of one take turns too politely."""
    program = """if True:
        import os, sys
        names = [bytes.fromhex(name) for name in sys.argv[1:]]
        moves = list(zip(names[::2], names[1::2]))
        print(flush=True)
        while os.getppid() != 1:
            for source, target in moves:
                os.rename(source, target)
    """
    with _in_the_way(program, [name for move in moves for name in move]):
        yield


@contextmanager
def exchanging(one: bytes, other: bytes) -> Iterator[None]:
    """Have two things change places, atomically, again and again, in another process."""
    # with pauses: without them it holds the directory's lock nearly always, and who reads there comes by turns at best
    program = """if True:
        import ctypes, os, random, sys, time
        one, other = (bytes.fromhex(name) for name in sys.argv[1:])
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
        print(flush=True)
        while os.getppid() != 1:
            for _ in range(1000):
                if exchange(-100, one, -100, other, 2):
                    sys.exit(os.strerror(ctypes.get_errno()))
                time.sleep(random.random() * 0.0002)
    """
    with _in_the_way(program, [one, other]):
        yield


@contextmanager
def _in_the_way(program: str, names: list[bytes]) -> Iterator[None]:
    arguments = [name.hex() for name in names]
    with subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
            assert process.poll() is None, "the race ended early"
        finally:
            process.kill()
