"""What tests ask of their own process: its descriptors, its privileges."""

from __future__ import annotations

import gc
import os
import resource
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


@contextmanager
def no_descriptor_kept() -> Iterator[None]:
    """Fail if the block leaves a descriptor open, or closes one that is not its own."""
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before


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
