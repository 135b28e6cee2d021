"""Runs a program with what `deploy/pannier.service` leaves it, as far as a process can take that from itself.

Arguments: a file with the names of the system calls that are allowed, then the program and its arguments. Taken are all
other system calls (they fail with EPERM, by libseccomp, which systemd uses too), every capability, the right to gain
privileges, and memory that can be written and run.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CAPBSET_DROP, _NO_NEW_PRIVS, _MDWE = 24, 38, 65
"""prctl(2)."""
_REFUSE_EXEC_GAIN = 1
_ALLOW = 0x7FFF0000
_EPERM = 0x00050000 | 1
_LAST_CAPABILITY = 63


def confine(allowed: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # fails where this process is not root, and has none
    if libc.prctl(_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0):
        print("confined: this kernel cannot refuse memory that is written and run", file=sys.stderr)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_EPERM)))
    for name in allowed:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are of other machines
            assert seccomp.seccomp_rule_add(rules, ctypes.c_uint32(_ALLOW), number, 0) == 0, name
    assert seccomp.seccomp_load(rules) == 0, "the filter cannot be loaded"


confine(Path(sys.argv[1]).read_text().split())
os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - what the test says, without a shell
