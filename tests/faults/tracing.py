"""System calls of a running server that fail: made so by strace(1), which needs the right to trace it.

Nothing is in between: the server makes its calls, and the kernel answers some with an error, as a disk or a file server
in trouble would have it do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LIMIT = 30.0


def tracer_of(pid: int, thread: str) -> str:
    try:
        status = Path(f"/proc/{pid}/task/{thread}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    return next(line.split()[1] for line in status.splitlines() if line.startswith("TracerPid:"))


@contextmanager
def failing(
    pid: int, calls: str, error: str, *, paths: Sequence[Path] = (), log: Path, first: int = 1
) -> Iterator[None]:
    """Have system calls of a process fail, of all its threads, for the block.

    Args:
        pid: The process.
        calls: Their names, with commas; a ``?`` before one that not every machine has.
        error: The name of the error number.
        paths: Only calls that are about one of these, by name or by descriptor; without any, all calls.
        log: Where what failed is written.
        first: Which call of each thread is the first to fail.
    """
    only = [argument for path in paths for each in (path.name, str(path)) for argument in ("-P", each)]
    command = ["strace", "-f", "-q", "-o", str(log), "-p", str(pid), *only]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={first}+"]
    strace = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + LIMIT
        while "0" in {tracer_of(pid, thread) for thread in os.listdir(f"/proc/{pid}/task")}:
            if strace.poll() is not None or time.monotonic() > deadline:
                assert strace.stderr is not None
                raise AssertionError(f"the server cannot be traced: {strace.stderr.read().decode()}")
            time.sleep(0.01)
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=LIMIT)


def failed(log: Path) -> list[str]:
    """Return the calls that were made to fail, as strace wrote them."""
    return [line for line in log.read_text(errors="replace").splitlines() if "(INJECTED)" in line]
