"""How a transfer is shown: a bar on a terminal, else a line each ten seconds. All of it goes to stderr."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pannier.cli.terminal import note, silenced
from pannier.quantities import GIB, HOUR, KIB, MIB, MINUTE, TIB, show_size

if TYPE_CHECKING:
    from pannier.sdk.progress import Progress

_BETWEEN_BARS, _BETWEEN_LINES = 0.1, 10.0
"""Seconds."""
_RATE_WINDOW = 5.0
_FIRST_ESTIMATE = 3.0
"""Seconds before which nobody knows how long the rest takes."""
_WIDTH = 28
_ACCENT, _PLAIN = "\x1b[36m", "\x1b[0m"
_CLEAR = "\r\x1b[K"


class Meter:
    """Shows how far a transfer is; called with each ``Progress``, from one thread at a time. Close it at the end."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = sys.stderr, clock
        self._live = not silenced() and self._stream is not None and self._stream.isatty()
        self._pace = Pace(clock())
        self._shown_at = self._pace.began - (_BETWEEN_BARS if self._live else 0)
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        self._pace.add(now, progress.done)
        if progress.note is not None:
            self.say(progress.note)
        if silenced() or now - self._shown_at < (_BETWEEN_BARS if self._live else _BETWEEN_LINES):
            return
        self._shown_at = now
        parts = self._pace.parts(now, progress)
        if self._live:
            self._draw(progress, parts)
        else:
            note(" · ".join(parts).strip())

    def say(self, text: str) -> None:
        """Write a line of its own, above the bar."""
        self._wipe()
        note(text)

    def close(self) -> None:
        """Leave no bar behind."""
        self._wipe()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._pace.began

    def _draw(self, progress: Progress, parts: list[str]) -> None:
        assert self._stream is not None
        encoding = (self._stream.encoding or "ascii").lower()
        room = shutil.get_terminal_size().columns - 1
        if progress.total is not None:
            parts = [parts[0], bar(progress.done, progress.total, ascii_only="utf" not in encoding), *parts[1:]]
        line = "  ".join(parts).replace("\N{NO-BREAK SPACE}", " ")[:room]
        if "NO_COLOR" not in os.environ and progress.total is not None:
            first = len(parts[0]) + 2
            line = f"{line[:first]}{_ACCENT}{line[first : first + _WIDTH]}{_PLAIN}{line[first + _WIDTH :]}"
        self._put(f"{_CLEAR}{line}")
        self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            self._put(_CLEAR)
            self._drawn = False

    def _put(self, text: str) -> None:
        assert self._stream is not None
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, UnicodeEncodeError):
            self._live = False  # whoever watched has left; the transfer goes on


class Pace:
    """How fast something is, and how long the rest may take. No I/O."""

    def __init__(self, began: float) -> None:
        self.began = began
        self._seen: deque[tuple[float, int]] = deque()
        self._estimate: float | None = None

    def add(self, now: float, done: int) -> None:
        """Remember how far it is."""
        if self._seen and now - self._seen[-1][0] < _BETWEEN_BARS:
            return
        self._seen.append((now, done))
        while now - self._seen[0][0] > _RATE_WINDOW and len(self._seen) > 2:
            self._seen.popleft()

    def rate(self) -> float:
        """Bytes per second, over the last five seconds."""
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) / (last - first)) if last > first else 0.0

    def parts(self, now: float, progress: Progress) -> list[str]:
        """Return what is said of a moment: share, amount, rate, time left, files."""
        if progress.total is None:
            said = [show_size(progress.done)]
        else:
            said = [share(progress.done, progress.total), amount(progress.done, progress.total)]
        rate = self.rate()
        if rate:
            said.append(f"{show_size(int(rate))}/s")
        if (left := self._left(now, progress, rate)) is not None:
            said.append(about(left))
        files, files_done = getattr(progress, "files", 0), getattr(progress, "files_done", 0)
        if files > 1:
            said.append(f"{files_done:,} of {files:,} files")
        return said

    def _left(self, now: float, progress: Progress, rate: float) -> float | None:
        """Return the seconds that are left; None where none is, that is not known, or swings by more than half."""
        if progress.total is None or not rate or now - self.began < _FIRST_ESTIMATE:
            return None
        if progress.done >= progress.total:
            return None  # all is here; what is left, as its last checks, is not a matter of bytes
        before, self._estimate = self._estimate, (progress.total - progress.done) / rate
        steady = before is None or abs(self._estimate - before) <= before / 2 + 1
        return self._estimate if steady else None


def share(done: int, total: int) -> str:
    """Return a share, cut down and never rounded up: 100 % means the last byte."""
    tenths = 1000 if done >= total else done * 1000 // total
    return "  100 %" if tenths >= 1000 else f"{tenths // 10:>3}.{tenths % 10} %"


def amount(done: int, total: int) -> str:
    """Return ``1.20 of 2.90 GiB``: both in the unit of the whole."""
    whole = show_size(total)
    number, _, unit = whole.partition("\N{NO-BREAK SPACE}")
    factor = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB, "PiB": 2**50}.get(unit)
    if factor is None:
        return f"{done:,} of {whole}"
    places = len(number.partition(".")[2])
    scaled = done * 10**places // factor  # cut down, as the share is
    shown = f"{scaled // 10**places}" + (f".{scaled % 10**places:0{places}}" if places else "")
    return f"{shown} of {whole}"


def about(seconds: float) -> str:
    """Return a time as nobody knows it better: ``about 20 s``, ``about 4 min``, ``about 2 h 10 min``."""
    if seconds < 55:
        step = 1 if seconds < 10 else 5
        return f"about {max(step, round(seconds / step) * step)} s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"about {max(1, minutes)} min"
    hours, rest = divmod(round(seconds / (10 * MINUTE)) * 10 * MINUTE, HOUR)
    return f"about {hours} h" + (f" {rest // MINUTE} min" if rest else "")


def bar(done: int, total: int, *, ascii_only: bool = False, width: int = _WIDTH) -> str:
    """Return a bar of ``width`` characters."""
    halves = 2 * width if done >= total else done * 2 * width // total
    full, half = divmod(halves, 2)
    if ascii_only:
        return "#" * full + "-" * (width - full)
    return "━" * full + "╸" * half + "─" * (width - full - half)
