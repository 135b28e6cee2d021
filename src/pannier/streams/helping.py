"""A helper process: reads small files whole for the server that started it, so that two interpreters share that work.

It is told which files in a piece of memory that both processes see, one message and the folder's descriptor for each
run of files, and answers in the same piece of memory and one message. It opens nothing but what lies beneath that
descriptor, by the same code as the server, and compares each file with its identity. If anything is not as planned, it
answers without a content: the server then reads that run itself, and finds out what is wrong.

It imports little, to be small, and ends when the server does: the socket says so, whatever ended the server.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from operator import add

from pannier.archive.recipes import RECIPES
from pannier.crc import crc32_each
from pannier.errors import PannierError
from pannier.streams.deflate import packed_whole
from pannier.volumes.identities import IDENTITY_LENGTH
from pannier.volumes.looking import Looked, look_beneath
from pannier.volumes.sources import PosixWholeReader

SLOTS = 12
"""Requests that a helper has at once, answered ones included: most of a long piece, and what comes after it."""
SLOT = 1024 * 1024 + 256 * 1024
"""Bytes of memory for one request, and then for its answer."""
REQUEST = struct.Struct("=BBII")
"""The slot; the order, of ``ORDERS``; how many files; bytes of their identities."""
READ, PACK, LOOK = "", "pack", "look"
ORDERS = (READ, PACK, LOOK, *RECIPES)
"""What can be asked for: contents as they are, packed by DEFLATE where that is smaller, or with heads by a recipe; and
to look at what is in a directory."""
MOST_LOOKED_AT = 4_096
"""Names in a directory that is looked at; the server goes through a larger one itself, bit by bit."""
ANSWER = struct.Struct("=BBI")
"""The slot; whether it was done; how many bytes stand in the slot. Then follow the columns of ``unpack_columns``."""
HELLO = ANSWER.pack(255, False, 0)
"""What is said first, of no slot: whoever asks before that would wait for an interpreter to start."""
COUNT = struct.Struct("=I")
"""How many names; the columns of the answer to ``LOOK``."""
_LONGEST_HEAD = 64
"""Bytes that a recipe puts before a content, its name not counted, at most."""
LONGEST_ANSWER = 64 * 1024
"""Bytes of a message."""


@dataclass(frozen=True, slots=True)
class Request:
    """Files that are to be read whole.

    Attributes:
        sizes: Bytes of each, ``array("Q")``; none is empty.
        mtimes: Times of modification, ``array("q")``.
        identity_ends: Where each identity ends in ``identities``, ``array("I")``.
        identities: All of them as one string.
        source_ends: Where each source ends in ``sources``, ``array("I")``.
        sources: Where each is below the folder's descriptor, a path without links, as one string.
        order: One of ``ORDERS``.
    """

    sizes: array[int]
    mtimes: array[int]
    identity_ends: array[int]
    identities: bytes
    source_ends: array[int]
    sources: bytes
    order: str = READ

    def write(self, memory: memoryview) -> bool:
        """Put it into a slot; False if it, or the contents, would not fit."""
        columns = self.sizes, self.mtimes, self.identity_ends, self.source_ends
        request = b"".join((*columns, self.identities, self.sources))
        heads = (_LONGEST_HEAD * len(self.sizes) + len(self.sources)) if self.order in RECIPES else 0
        if max(len(request), sum(self.sizes) + heads) > len(memory):
            return False
        memory[: len(request)] = request
        return True

    @classmethod
    def read(cls, memory: memoryview, order: str, count: int, identities: int) -> Request:
        """Return the request in a slot."""
        sizes, mtimes, identity_ends, source_ends = array("Q"), array("q"), array("I"), array("I")
        at = 0
        for column in (sizes, mtimes, identity_ends, source_ends):
            stop = at + count * column.itemsize
            column.frombytes(memory[at:stop])
            at = stop
        joined = bytes(memory[at : at + identities + source_ends[-1]])
        return cls(sizes, mtimes, identity_ends, joined[:identities], source_ends, joined[identities:], order)

    def each_source(self) -> list[bytes]:
        """Return the sources."""
        return _cut(self.sources, self.source_ends)

    def files(self, sources: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, int, bytes]]:
        """Give what ``WholeReader.read`` takes, of each source."""
        identities = _cut(self.identities, self.identity_ends)
        return zip(sources, identities, self.sizes, sources, strict=True)


def pack_columns(checksums: Sequence[int], lengths: Sequence[int], methods: bytes | bytearray) -> bytes:
    """Return the columns of an answer: CRC-32 and length in the slot of each content, and whether it is packed."""
    return b"".join((array("I", checksums), array("I", lengths), methods))


def unpack_columns(columns: bytes) -> tuple[array[int], array[int], bytes]:
    """Return what was given to ``pack_columns``."""
    count = len(columns) // 9
    checksums, lengths = array("I"), array("I")
    checksums.frombytes(columns[: 4 * count])
    lengths.frombytes(columns[4 * count : 8 * count])
    return checksums, lengths, columns[8 * count :]


def request_to_look(source: bytes) -> Request:
    """Return what asks to look at the directory at ``source``."""
    return Request(array("Q", [0]), array("q", [0]), array("I", [0]), b"", array("I", [len(source)]), source, LOOK)


def pack_looked(looked: Looked) -> bytes:
    """Return what was seen in a directory as one string."""
    columns = (looked.modes, looked.users, looked.groups, looked.sizes, looked.mtimes, looked.ctimes)
    return b"".join((*columns, looked.identities, b"\0".join(looked.names)))


def unpack_looked(packed: memoryview, count: int) -> Looked:
    """Return what was given to ``pack_looked``, ``count`` names."""
    columns = [array(kind) for kind in "IIIQqq"]
    at = 0
    for column in columns:
        stop = at + count * column.itemsize
        column.frombytes(packed[at:stop])
        at = stop
    stop = at + count * IDENTITY_LENGTH
    names = bytes(packed[stop:]).split(b"\0") if count else []
    modes, users, groups, sizes, mtimes, ctimes = columns
    return Looked(names, modes, users, groups, sizes, mtimes, ctimes, bytes(packed[at:stop]))


def _cut(joined: bytes, ends: array[int]) -> list[bytes]:
    return [joined[start:stop] for start, stop in pairwise((0, *ends))]


def _answer(root: int, request: Request, slot: memoryview) -> tuple[int, bytes]:
    """Do what is asked, and return how many bytes stand in the slot then, and the columns."""
    if request.order == LOOK:
        return _looked(root, request.sources, slot)
    sources = request.each_source()
    with closing(PosixWholeReader(root)) as reader:
        contents = reader.read(request.files(sources))
    checksums, methods = crc32_each(contents), bytearray(len(contents))
    if request.order == PACK:
        for at, content in enumerate(contents):
            if (smaller := packed_whole(content)) is not None:
                contents[at], methods[at] = smaller, 1
    lengths, parts = list(map(len, contents)), contents
    if (recipe := RECIPES.get(request.order)) is not None:
        heads = recipe(sources, request.sizes, request.mtimes, checksums)
        lengths = list(map(add, lengths, map(len, heads)))
        parts = [b""] * (2 * len(contents))
        parts[0::2], parts[1::2] = heads, contents
    joined = b"".join(parts)
    slot[: len(joined)] = joined
    return len(joined), pack_columns(checksums, lengths, methods)


def _looked(root: int, source: bytes, slot: memoryview) -> tuple[int, bytes]:
    try:
        looked = look_beneath(root, source, MOST_LOOKED_AT)
    finally:
        os.close(root)
    packed = b"" if looked is None else pack_looked(looked)
    if looked is None or len(packed) > len(slot):
        raise OverflowError
    slot[: len(packed)] = packed
    return len(packed), COUNT.pack(len(looked.names))


def serve(connection: socket.socket, memory: memoryview) -> None:
    """Say that this process is up, and answer until nobody is there to ask."""
    connection.send(HELLO)
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, REQUEST.size, 1)
        if not message:
            return
        number, order, count, identities = REQUEST.unpack(message)
        slot = memory[number * SLOT : (number + 1) * SLOT]
        try:
            request = Request.read(slot, ORDERS[order], count, identities)
            length, columns = _answer(descriptors[0], request, slot)
            answer = ANSWER.pack(number, True, length) + columns
        except (PannierError, OSError, OverflowError, MemoryError):
            answer = ANSWER.pack(number, False, 0)
        connection.send(answer)


def main() -> None:
    """Run as ``python -m pannier.streams.helping SOCKET MEMORY``, the numbers of two descriptors."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # told to the whole group; the server says when to end
        signal.signal(kind, signal.SIG_IGN)
    gc.freeze()
    connection, memory = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    with connection, mmap.mmap(memory, SLOTS * SLOT) as mapped, memoryview(mapped) as whole:
        os.close(memory)
        try:
            serve(connection, whole)
        except (ConnectionError, BrokenPipeError):
            pass


if __name__ == "__main__":
    main()
