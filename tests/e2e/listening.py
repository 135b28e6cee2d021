"""A program that listens at a port: waited for, and ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cli.commands import LIMIT


@contextmanager
def listening(process: subprocess.Popen[bytes], port: int, said: Callable[[], str]) -> Iterator[None]:
    """Wait until something listens at a port, and end the program with the block; ``said`` is what it wrote."""
    try:
        deadline = time.monotonic() + LIMIT
        while not _listens(port):
            assert process.poll() is None, said()
            assert time.monotonic() < deadline, said()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
