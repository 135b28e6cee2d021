"""A ZIP read from its first byte to its last, in one pass: what comes by a connection cannot be read otherwise.

Local headers say where contents begin and end, but not what they are (modes and links stand in the directory at the
end), and a hostile archive may have them say anything. So whatever they said is compared with the directory when that
comes: both have to tell of the same entries, in the same order, back to back, with nothing between them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pannier.archive import zip_parsing as parsing
from pannier.archive.zip_parsing import Header, Listed
from pannier.archive.zip_records import DEFLATED, STORED
from pannier.crc import crc32
from pannier.errors import show
from pannier.sdk.intake import Exactly, Intake
from pannier.sdk.problems import ClientError
from pannier.window import Window

CUT_OFF = "the archive is cut off: it has no end"
_PIECE = 2**20
_LONGEST_END = parsing.END_64_LENGTH + parsing.LOCATOR_64_LENGTH + parsing.END_LENGTH + 0xFFFF


class Damaged(ClientError):
    """An archive is not what it says of itself.

    Attributes:
        window: The bytes of it that are to blame, where they are known.
    """

    def __init__(self, reason: str, window: Window | None = None) -> None:
        super().__init__(reason)
        self.window = window


@dataclass(frozen=True, slots=True)
class _Seen:
    header: Header
    window: Window
    intact: bool


class ZipEntry:
    """One entry whose content is next in the stream; take it with ``chunks`` before the next entry.

    Attributes:
        header: What stands before its content.
        intact: After all chunks: whether checksum and sizes are those that its records say.
    """

    def __init__(self, header: Header, source: Exactly) -> None:
        self.header, self._source = header, source
        self.intact: bool | None = None

    @property
    def is_directory(self) -> bool:
        return self.header.name.endswith(b"/")

    def chunks(self) -> Iterator[memoryview | bytes]:
        """Yield the content, in pieces of up to 1 MiB, never more than its header says.

        Raises:
            Damaged: It is cut off, longer than its records say, or packed in a way that cannot be read.
        """
        crc = size = packed = 0
        for piece, took in self._pieces():
            packed += took
            size += len(piece)
            if not self.header.late and size > self.header.size:
                raise Damaged(f"{show(self.header.name)}: its content is larger than its header says")
            if piece:
                crc = crc32(piece, crc)
                yield piece
        said = self.header.crc32, self.header.packed, self.header.size
        if self.header.late:
            said = self._descriptor()
        self.header = Header(
            self.header.name,
            self.header.method,
            *said,
            mtime=self.header.mtime,
            late=self.header.late,
            wide=self.header.wide,
        )
        self.intact = (crc, packed, size) == said

    def _pieces(self) -> Iterator[tuple[memoryview | bytes, int]]:
        """Yield the content in pieces, each with how many bytes of the archive it took."""
        return self._stored() if self.header.method == STORED else self._inflated()

    def _stored(self) -> Iterator[tuple[memoryview, int]]:
        left = self.header.packed
        while left:
            piece = self._source.some(min(left, _PIECE))
            if not piece:
                raise Damaged(CUT_OFF)
            left -= len(piece)
            yield piece, len(piece)

    def _inflated(self) -> Iterator[tuple[bytes, int]]:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        left = None if self.header.late else self.header.packed
        rest: bytes | memoryview = b""
        try:
            while not unpacker.eof:
                took = 0
                if not rest and left != 0:
                    rest = self._source.some(_PIECE // 4 if left is None else min(left, _PIECE // 4))
                    took = len(rest)
                    if not took:
                        raise Damaged(CUT_OFF)
                    left = left if left is None else left - took
                piece = unpacker.decompress(rest, _PIECE)
                if not piece and not rest and not unpacker.eof:
                    raise Damaged(f"{show(self.header.name)}: its packed content has no end")
                rest = unpacker.unconsumed_tail
                yield piece, took
        except zlib.error:
            raise Damaged(f"{show(self.header.name)}: its packed content cannot be read") from None
        if unpacker.unused_data:
            if left is not None:
                raise Damaged(f"{show(self.header.name)}: something stands behind its packed content")
            self._source.give_back(unpacker.unused_data)
            yield b"", -len(unpacker.unused_data)
        elif left:
            raise Damaged(f"{show(self.header.name)}: something stands behind its packed content")

    def _descriptor(self) -> tuple[int, int, int]:
        try:
            return parsing.parse_descriptor(self._source.take(parsing.descriptor_length(self.header.wide)))
        except EOFError:
            raise Damaged(CUT_OFF) from None
        except ValueError as error:
            raise Damaged(f"{show(self.header.name)}: {error}") from None


class ZipReading:
    """Reads a ZIP from an intake, whose reads block: for a thread.

    Attributes:
        listed: After ``entries``: what the directory says of each, in their order.
    """

    def __init__(self, intake: Intake) -> None:
        self._source = Exactly(intake)
        self._seen: list[_Seen] = []
        self.listed: list[Listed] = []

    def entries(self) -> Iterator[ZipEntry]:
        """Yield each entry; then read the directory and compare.

        Raises:
            Damaged: It is no ZIP, cut off, or directory and entries tell of different things.
        """
        try:
            yield from self._locals()
            self._compare(self._end())
        except EOFError:
            raise Damaged(CUT_OFF) from None

    @property
    def broken(self) -> list[tuple[Header, Window]]:
        """The entries that are not intact, each with where all of it stands."""
        return [(seen.header, seen.window) for seen in self._seen if not seen.intact]

    def _locals(self) -> Iterator[ZipEntry]:
        source = self._source
        while True:
            start = source.at
            signature = source.take(4)
            if signature != parsing.LOCAL:
                source.give_back(signature)
                return
            entry = ZipEntry(self._header(signature), source)
            yield entry
            if entry.intact is None:  # whoever does not want the content still has to pass it
                for _ in entry.chunks():
                    pass
            self._seen.append(_Seen(entry.header, Window(start, source.at), bool(entry.intact)))

    def _header(self, signature: bytes) -> Header:
        source, start = self._source, self._source.at - len(signature)
        fixed = signature + source.take(parsing.LOCAL_LENGTH - len(signature))
        name_length, extra_length = parsing.local_rest(fixed)
        name = source.take(name_length)
        try:
            header = parsing.parse_local(fixed, name, source.take(extra_length))
            if header.method not in (STORED, DEFLATED):
                raise ValueError(f"it is packed by method {header.method}, which is not known here")
            if header.method == STORED and header.late and not self._says_its_size(header):
                raise ValueError("its header does not say how long it is")
        except ValueError as error:
            raise Damaged(f"{show(name)}: {error}", Window(start, source.at)) from None
        return header

    @staticmethod
    def _says_its_size(header: Header) -> bool:
        # of ours, a stored entry with a descriptor has its size in the Zip64 field all the same
        return header.wide and header.packed == header.size

    def _end(self) -> parsing.End:
        source, at = self._source, self._source.at
        while True:
            signature = source.take(4)
            if signature != parsing.CENTRAL:
                source.give_back(signature)
                break
            fixed = signature + source.take(parsing.CENTRAL_LENGTH - len(signature))
            name_length, extra_length, comment_length = parsing.central_rest(fixed)
            name, extra = source.take(name_length), source.take(extra_length)
            source.take(comment_length)
            try:
                self.listed.append(parsing.parse_central(fixed, name, extra))
            except ValueError as error:
                raise Damaged(f"{show(name)}: {error}") from None
        length = source.at - at
        try:
            end = parsing.parse_end(source.rest(_LONGEST_END))
        except ValueError as error:
            raise Damaged(f"the archive is damaged: {error}") from None
        if (end.entries, end.offset, end.length) != (len(self.listed), at, length):
            raise Damaged("the archive is damaged: its end does not know where its directory is")
        return end

    def _compare(self, end: parsing.End) -> None:
        if len(self._seen) != end.entries:
            raise Damaged(
                f"the archive is damaged: it has {len(self._seen):,} entries, and its directory {end.entries:,}"
            )
        for seen, listed in zip(self._seen, self.listed, strict=True):
            header = seen.header
            here = (header.name, header.method, header.crc32, header.packed, header.size, header.late)
            there = (listed.name, listed.method, listed.crc32, listed.packed, listed.size, listed.late)
            if here != there or seen.window.start != listed.offset:
                raise Damaged(f"{show(header.name)}: the directory says something else of it than it does itself")
