"""Processes that read small files for this one (``helping`` is what they run).

Reading thousands of small files is work of the interpreter, and one interpreter does it on one processor, whatever the
threads. A helper does a part of it. Nothing depends on helpers: whoever asks takes None for an answer, where none is
free, one has died, waits too long for storage or finds something else than was planned, and then reads itself. They
are started when there is work for them: one takes 15 MB, and many servers never send thousands of small files.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import subprocess
import sys
import threading
import time
from array import array
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import structlog

from pannier.streams.helping import (
    ANSWER,
    COUNT,
    HELLO,
    LONGEST_ANSWER,
    ORDERS,
    REQUEST,
    SLOT,
    SLOTS,
    Request,
    unpack_columns,
    unpack_looked,
)
from pannier.volumes.looking import Looked

_PATIENCE = 1.0
"""Seconds to wait for an answer: storage that hangs for one volume must not hold up those who read another."""
_MOST = 3
_WORTH = 1_000
"""Small files that are asked for within a second before helpers are started: to start one costs as much as to read
thousands."""
_AGAIN = 60.0
"""Seconds between two starts of helpers in place of those that died."""
_ENDING = 5.0

_NEVER = float("-inf")

_log = structlog.get_logger("pannier.helpers")


def sensible_number() -> int:
    """Return how many helpers serve a process well: with itself one for each processor, and no more than a few."""
    return min(_MOST, len(os.sched_getaffinity(0)) - 1) if _supported() else 0


def _supported() -> bool:
    return hasattr(os, "memfd_create") and hasattr(socket, "SOCK_SEQPACKET") and hasattr(os, "sched_getaffinity")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a helper made of files, valid until the ticket is released; of each its CRC-32, and whether it is packed.

    ``whole`` is what ``contents`` are the parts of, whose ``lengths`` these are.
    """

    whole: memoryview
    lengths: array[int]
    checksums: array[int]
    methods: bytes

    @property
    def contents(self) -> list[memoryview]:
        """Each content."""
        ends = list(accumulate(self.lengths))
        return [self.whole[start:stop] for start, stop in pairwise((0, *ends))]


@dataclass(eq=False, slots=True)
class Ticket:
    """A request that a helper works on. Release it, whatever becomes of it."""

    helper: _Helper
    slot: int
    told: bytes | None = None
    """The message that answered it; empty if there will be none."""
    released: bool = False

    def result(self) -> Answer | None:
        """Wait for the answer; None if there is none, or none soon. Blocks."""
        told = self._wait()
        if told is None:
            return None
        whole, columns = told
        checksums, lengths, methods = unpack_columns(columns)
        return Answer(whole, lengths, checksums, methods)

    def looked(self) -> Looked | None:
        """Wait for what was seen in a directory, as ``result``."""
        told = self._wait()
        return None if told is None else unpack_looked(told[0], *COUNT.unpack(told[1]))

    def is_told(self) -> bool:
        """Whether the answer, or that there is none, can be had without waiting."""
        return self.helper.receive(self, 0.0, patient=False)

    def _wait(self) -> tuple[memoryview, bytes] | None:
        if not self.helper.receive(self, time.monotonic() + _PATIENCE) or not self.told:
            return None
        _, done, length = ANSWER.unpack_from(self.told)
        return (self.helper.slot(self.slot)[:length], self.told[ANSWER.size :]) if done else None

    def release(self) -> None:
        """Let the memory be used by others, once the helper has answered. Idempotent."""
        self.helper.release(self)


class Helpers:
    """The helpers of a process; usable from any thread."""

    def __init__(self, number: int) -> None:
        self._number = number if _supported() else 0
        self._helpers: list[_Helper] = []
        self._lock = threading.Lock()
        self._started = self._counted_since = _NEVER
        self._counted = 0
        self._closed = False

    def __len__(self) -> int:
        """How many there are, or are to be when there is work for them."""
        return len(self._helpers) or self._number

    def ready(self, files: int) -> bool:
        """Whether there are processes to ask, now that ``files`` small files are to be read.

        Enough of these within a second have them started, for whoever asks once they are up; those that cannot be are
        done without. That blocks for some milliseconds.
        """
        if not self._helpers and self._number:
            now = time.monotonic()
            if now - self._counted_since > 1:
                self._counted_since, self._counted = now, 0
            self._counted += files  # by any thread: one that is lost in between only has them start later
            due = self._counted >= _WORTH and now - self._started > _AGAIN
            if due and self._lock.acquire(blocking=False):
                try:
                    self._fill()
                finally:
                    self._lock.release()
        return bool(self._helpers)

    def ask(self, root: int, request: Request, *, waiting: int = SLOTS) -> Ticket | None:
        """Have files below the open directory ``root`` read; None if no helper is free.

        ``waiting``: how many requests a helper may have, this one included.
        """
        for helper in sorted(self._helpers, key=_Helper.load):
            if helper.lost:
                self._replace(helper)
            elif (ticket := helper.ask(root, request, waiting)) is not None:
                return ticket
        return None

    def close(self) -> None:
        """End the processes. Blocks. Idempotent."""
        with self._lock:
            self._closed = True
            helpers, self._helpers = self._helpers, []
        for helper in helpers:
            helper.close()

    def _fill(self) -> None:
        self._started = time.monotonic()
        try:
            while len(self._helpers) < self._number and not self._closed:
                self._helpers = [*self._helpers, _Helper()]
        except (OSError, subprocess.SubprocessError) as error:
            _log.warning("a helper process could not be started; files are read without it", reason=str(error))

    def _replace(self, helper: _Helper) -> None:
        with self._lock:
            if helper in self._helpers:
                _log.warning("a helper process has died; files are read without it")
                self._helpers = [other for other in self._helpers if other is not helper]
                helper.close()
            if time.monotonic() - self._started > _AGAIN:
                self._fill()


@dataclass(eq=False, slots=True)
class _Helper:
    """One process, and what it was asked."""

    lost: bool = False
    silent: bool = True
    """Whether nothing was heard of it since it was started, or since somebody has waited for it in vain."""
    _free: list[int] = field(default_factory=lambda: list(range(SLOTS)))
    _asked: dict[int, Ticket] = field(default_factory=dict)
    """By slot: the tickets that wait for an answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _receiving: threading.Lock = field(default_factory=threading.Lock)
    _memory: memoryview = field(init=False)
    _socket: socket.socket = field(init=False)
    _poll: select.poll = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("pannier", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, SLOTS * SLOT)
            self._memory = memoryview(mmap.mmap(memory, SLOTS * SLOT))
            numbers = (theirs.fileno(), memory)
            # -P: what is called pannier in the working directory is none of ours
            command = [sys.executable, "-P", "-m", "pannier.streams.helping", *map(str, numbers)]
            self._process = subprocess.Popen(  # noqa: S603 - of our own, with two numbers
                command, stdin=subprocess.DEVNULL, pass_fds=numbers
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(memory)
            theirs.close()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def load(self) -> int:
        return len(self._asked)

    def slot(self, number: int) -> memoryview:
        return self._memory[number * SLOT : (number + 1) * SLOT]

    def ask(self, root: int, request: Request, waiting: int) -> Ticket | None:
        if self.silent or not self._free:  # it may be up by now, or have answered what nobody waits for any more
            self._take(0)
        with self._lock:
            if self.lost or self.silent or not self._free or len(self._asked) >= waiting:
                return None
            slot = self._free[-1]
            if not request.write(self.slot(slot)):
                return None
            order = ORDERS.index(request.order)
            message = REQUEST.pack(slot, order, len(request.sizes), len(request.identities))
            try:
                socket.send_fds(self._socket, [message], [root])
            except OSError:
                self._lose()
                return None
            self._free.pop()
            ticket = self._asked[slot] = Ticket(self, slot)
            return ticket

    def receive(self, ticket: Ticket, until: float, *, patient: bool = True) -> bool:
        """Wait until a ticket is answered, or until then; return whether it is. One that hangs is waited for once."""
        while ticket.told is None:
            left = 0 if self.silent else until - time.monotonic()
            if not self._take(max(left, 0), ticket) and ticket.told is None:
                self.silent = self.silent or patient
                return False
        return True

    def release(self, ticket: Ticket) -> None:
        with self._lock:
            if not ticket.released:
                ticket.released = True
                if ticket.told is not None:
                    self._free.append(ticket.slot)

    def close(self) -> None:
        self.lost = True
        self._socket.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _take(self, seconds: float, mine: Ticket | None = None) -> bool:
        """Take one answer, whosever it is; False if none came in time. Others may take that to ``mine`` meanwhile."""
        if not self._receiving.acquire(timeout=seconds):
            return False
        try:
            if mine is not None and mine.told is not None:
                return True
            if not self.lost and not self._poll.poll(seconds * 1000):
                return False
            try:
                message = b"" if self.lost else self._socket.recv(LONGEST_ANSWER)
            except OSError:
                message = b""
            with self._lock:  # inside the other lock: whoever polls next must find what was taken for him
                self._told(message)
        finally:
            self._receiving.release()
        return True

    def _told(self, message: bytes) -> None:
        if not message:
            self._lose()
            return
        self.silent = False
        if message == HELLO:
            return
        ticket = self._asked.pop(message[0])
        ticket.told = message
        if ticket.released:
            self._free.append(ticket.slot)

    def _lose(self) -> None:
        self.lost = True
        for ticket in self._asked.values():
            ticket.told = b""
        self._asked.clear()


NONE = Helpers(0)
"""No helpers: everything is read here."""
