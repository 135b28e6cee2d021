"""What services hand to the API layer: readers. They know no HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pannier.errors import SourceUnreadable
from pannier.streams.queues import most_held
from pannier.window import Window

HELD_BACK = 64 * 1024
"""The last bytes of every response, kept until all files it touched were checked again (``docs/architecture.md``)."""

COPIED = most_held()
"""Bytes that follow, copied or not, before pages that were sent by reference are taken to be through: as many as the
queues of both ends can hold, so that nothing refers to them any more, not even for a client, or a proxy, on this host.
The last of a response are always copied."""


@dataclass(frozen=True, slots=True)
class FileSpan:
    """A run of bytes of an open file, for the writer to read, hash and send in one go.

    The writer calls ``feed`` once for each run of bytes that it read and that has left, in order, from a worker thread;
    or, of a quiet file, ``passed`` with the number of bytes that left without having been read here. It may stop early
    where the file ends early; the reader notices. Pulling the next item says that the writer, and the kernel on its
    behalf, is done with this one, unless it is ``lasting``; the descriptor is valid until then.

    Attributes:
        fd: The descriptor; read by offset only, it may be shared.
        offset: First byte, absolute in the file.
        length: Number of bytes.
        path: The file's name for messages, relative to its folder.
        unread: How many of its first bytes may leave without being read: nobody has touched the file for long. The
            kernel then sends references to its pages, and a write before the client has them would reach the client.
        lasting: Whether the file is given back only after a ``Barrier`` beyond it.
    """

    fd: int
    offset: int
    length: int
    path: bytes
    feed: Callable[[memoryview], None]
    passed: Callable[[int], None]
    unread: int = 0
    lasting: bool = False

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes and feed them, for who has them leave whatever happens; empty at the file's end.

        Raises:
            SourceUnreadable: They cannot be read.
        """
        with self._readable():
            data = os.pread(self.fd, length, offset)
        self.feed(memoryview(data))
        return data

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer as far as there is content and return how far; nothing is fed. Errors as ``read``."""
        with self._readable():
            return os.preadv(self.fd, [buffer], offset)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceUnreadable(self.path, error.strerror or "it cannot be read") from error


@dataclass(frozen=True, slots=True)
class Barrier:
    """No bytes: pulling the item after it says that the client has what left unread before byte ``before``.

    Bytes are counted from the first that the reader gave. A writer that sends nothing unread never gets one.
    """

    before: int


Item = bytes | FileSpan | Barrier


@dataclass(frozen=True, slots=True)
class Version:
    """What distinguishes this representation: a strong ETag, quotes included, and when it last changed (Unix s)."""

    etag: str
    last_modified: int


class StreamReader(Protocol):
    """Something that can be sent: all of it, or any window."""

    @property
    def media_type(self) -> str: ...

    @property
    def filename(self) -> str: ...

    @property
    def length(self) -> int | None:
        """Bytes; None for encoded output, which has no ranges."""

    @property
    def version(self) -> Version | None: ...

    def read(self, window: Window | None = None) -> AsyncGenerator[Item, None]:
        """Give the bytes of ``window`` (default: all), in order.

        The last item is ``bytes`` of at most ``HELD_BACK``, given only after every file touched was checked again.
        Close it explicitly (``contextlib.aclosing``) when it is not read to its end.

        Raises:
            SourceChanged: A file is not what was planned; what was given so far must not be taken for a whole.
            VolumeFailed: A file cannot be read.
            ChecksumsPending: Before the first item: too much is unhashed.
        """
