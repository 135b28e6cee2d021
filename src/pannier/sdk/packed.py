"""Intakes of what comes packed as a whole: gzip and Zstandard."""

from __future__ import annotations

import zlib
from typing import Any

from pannier.sdk.intake import Intake
from pannier.sdk.problems import ClientError
from pannier.sdk.zip_reading import CUT_OFF, Damaged

_PIECE = 2**18
_UNREADABLE = "the archive is damaged: its packed content cannot be read"


class ToolMissing(ClientError):
    """A package is needed that is not installed."""


class Gunzip:
    """What a gzip stream (RFC 1952) holds; its checksum and length are compared at its end."""

    def __init__(self, packed: Intake) -> None:
        self._packed = packed
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._rest: bytes | memoryview = b""

    def read(self, most: int) -> bytes:
        """Return the next bytes; see ``Intake``.

        Raises:
            Damaged: It is cut off, or not what its checksum says.
        """
        try:
            while True:
                if self._unpacker.eof:
                    self._rest = self._unpacker.unused_data or self._packed.read(_PIECE)
                    if not self._rest:
                        return b""
                    self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
                if not self._rest:
                    self._rest = self._packed.read(_PIECE)
                    if not self._rest:
                        raise Damaged(CUT_OFF)
                piece = self._unpacker.decompress(self._rest, most)
                self._rest = self._unpacker.unconsumed_tail
                if piece:
                    return piece
        except zlib.error:
            raise Damaged(_UNREADABLE) from None


class Unzstd:
    """What a Zstandard stream (RFC 8878) holds; the checksum of each frame that has one is compared."""

    def __init__(self, packed: Intake) -> None:
        """Needs the package zstandard.

        Raises:
            ToolMissing: It is not installed.
        """
        try:
            import zstandard
        except ImportError:
            raise ToolMissing("a tar.zst needs the package zstandard: pip install zstandard") from None
        self._packed = packed
        self._error: type[Exception] = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor
        self._frame: Any = None
        self._pieces = memoryview(b"")
        self._rest: bytes | memoryview = b""

    def read(self, most: int) -> bytes:
        """Return the next bytes; see ``Intake``.

        Raises:
            Damaged: It is cut off, or not what its checksums say.
        """
        while not self._pieces:
            if not self._rest:
                self._rest = self._packed.read(_PIECE // 4)  # so that what it unpacks to stays small
            if not self._rest:
                if self._frame is not None:
                    raise Damaged(CUT_OFF)
                return b""
            if self._frame is None:
                self._frame = self._decompressor().decompressobj()
            try:
                self._pieces = memoryview(self._frame.decompress(self._rest))
            except self._error:
                raise Damaged(_UNREADABLE) from None
            self._rest = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        taken, self._pieces = self._pieces[:most], self._pieces[most:]
        return bytes(taken)
