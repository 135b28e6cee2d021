"""Server processes, and what the kernel says of them: CPU time and memory of a process and all below it.

A server starts in a session of its own, so what it starts (nginx's worker, `tar`) is found by that session's number, is
counted with it, and ends with it. Standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_START_LIMIT, _STOP_LIMIT = 60.0, 15.0
"""Seconds."""


class ServerFailed(Exception):
    """A server did not start, or ended before it was asked to; the text has the end of its log."""


class ServerProcess:
    """A running server; a context manager that leaves no process behind.

    Args:
        command: What to run.
        log: File that gets what it says.
        ready: Asked again and again until it no longer returns None; what it returned then is :attr:`told`.
        descriptors: Those of ours that it inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], str | None],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        self._command, self._log, self._ready = list(command), log, ready
        self._environment, self._cwd, self._descriptors = environment, cwd, descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self.told = ""
        self.idle_rss = 0

    def __enter__(self) -> ServerProcess:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=dict(self._environment) if self._environment is not None else None,
                cwd=self._cwd,
                pass_fds=self._descriptors,
            )
        try:
            deadline = time.monotonic() + _START_LIMIT
            while (told := self._ready()) is None:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailed(f"{self._command[0]} did not start: {self.log_end()}")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.told = told
        self.idle_rss = self.rss()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it and all that it started: kindly first, then not."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                pass
        for pid in _session(process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(_STOP_LIMIT)
        self._process = None

    def check(self) -> None:
        """Raise ServerFailed if it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self._command[0]} ended: {self.log_end()}")

    def log_end(self) -> str:
        """Return the last lines of what it said."""
        return " / ".join(self.log_text().splitlines()[-5:])

    def log_text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, of all its processes, of those that have ended too."""
        ticks = 0
        for pid in _session(self.pid):
            fields = _stat(pid)
            if fields is not None:
                ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
        return ticks / _TICK

    def rss(self) -> int:
        """Return the bytes of memory that its processes hold now."""
        return sum(_status(pid, "VmRSS") for pid in _session(self.pid))

    def peak_rss(self) -> int:
        """Return the most bytes that its processes held since the last reset; those that have ended are not counted."""
        return sum(_status(pid, "VmHWM") for pid in _session(self.pid))

    def reset_peak(self) -> None:
        for pid in _session(self.pid):
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM
            except OSError:
                pass


def _session(leader: int) -> list[int]:
    """Return the processes of a session."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if (fields := _stat(pid)) is not None and int(fields[3]) == leader]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat behind the name, the first being the state; None if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _status(pid: int, field: str) -> int:
    """Return bytes from /proc/PID/status; 0 if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in text.splitlines() if line.startswith(f"{field}:")), 0)
