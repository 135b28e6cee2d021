"""Archives unpacked while they come, in one pass: ZIP (stored, deflate) and TAR (plain, gzip, Zstandard)."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Self, cast

from pannier.archive.entries import Kind
from pannier.errors import show
from pannier.sdk.intake import Intake
from pannier.sdk.packed import Gunzip, Unzstd
from pannier.sdk.problems import ClientError
from pannier.sdk.tree import EntryRefused, Tree
from pannier.sdk.verification import Checked
from pannier.sdk.zip_reading import Damaged, ZipEntry, ZipReading

_PIECE = 2**20
_LARGEST_RECORD = 2**20
"""Bytes of a pax or GNU header: names and times, and a reader keeps them in memory."""


class UnknownFormat(ClientError):
    """What comes is in no format that is unpacked here."""


Unpack = Callable[[Intake, Tree], Checked]


def unpack_zip(intake: Intake, tree: Tree) -> Checked:
    """Unpack a ZIP. Modes and links are known from its directory only, so they are set when that has come.

    Raises:
        EntryRefused: An entry is not unpacked here.
        Damaged: It is no ZIP, or not sound.
    """
    reading = ZipReading(intake)
    for entry in reading.entries():
        header = entry.header
        if entry.is_directory:
            if header.size or header.packed or header.late:
                raise EntryRefused(header.name, "a directory that has content")
            tree.directory(header.name, header.mtime, None)
        else:
            tree.file(header.name, _content(entry), header.mtime, None)
    for listed in reading.listed:
        if listed.kind is Kind.LINK:
            tree.become_link(listed.name)
        elif listed.mode:
            tree.set_mode(listed.name, listed.mode)
    tree.finish()
    return Checked(tree.made, "every CRC-32 agrees")


def _content(entry: ZipEntry) -> Iterator[bytes | memoryview]:
    yield from entry.chunks()
    if not entry.intact:
        raise Damaged(f"{show(entry.header.name)}: the checksum does not agree with the content")


def unpack_tar(intake: Intake, tree: Tree) -> Checked:
    """Unpack a TAR.

    Raises:
        EntryRefused: An entry is not unpacked here.
        Damaged: It is no TAR, or cut off.
    """
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], _File(intake)),
            mode="r|",
            bufsize=_PIECE // 4,
            tarinfo=_Member,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            for member in archive:
                _unpack_member(archive, member, tree)
    except (tarfile.TarError, OverflowError, ValueError) as error:
        raise Damaged(f"the archive is damaged: {error}") from None
    while intake.read(_PIECE):
        pass
    tree.finish()
    return Checked(None, "a tar has no checksums of its contents")


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    name = member.name.encode("utf-8", "surrogateescape")
    mtime = int(member.mtime)
    if member.isdir():
        tree.directory(name + b"/", mtime, member.mode & 0o777)
    elif member.issym():
        tree.link(name, member.linkname.encode("utf-8", "surrogateescape"))
    elif member.isreg() and not member.issparse():
        content = archive.extractfile(member)
        assert content is not None, "a regular file has content"
        tree.file(name, iter(lambda: content.read(_PIECE), b""), mtime, member.mode & 0o777)
    else:
        raise EntryRefused(name, "it is neither a file nor a directory nor a symbolic link")


class _Member(tarfile.TarInfo):
    """An entry whose header is not larger than a header should be."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.size > _LARGEST_RECORD:
            raise Damaged(f"the archive is damaged: a header of {member.size:,} bytes")
        return member


class _File:
    """An intake, as tarfile reads it."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def read(self, size: int) -> bytes:
        return bytes(self._intake.read(size))


_FORMATS: dict[str, Unpack] = {
    "application/zip": unpack_zip,
    "application/x-tar": unpack_tar,
    "application/gzip": lambda intake, tree: unpack_tar(Gunzip(intake), tree),
    "application/zstd": lambda intake, tree: unpack_tar(Unzstd(intake), tree),
}


def unpack_of(media_type: str) -> Unpack:
    """Return what unpacks a media type.

    Raises:
        UnknownFormat: Nothing here does.
    """
    unpack = _FORMATS.get(media_type)
    if unpack is None:
        raise UnknownFormat(f"what comes is {media_type or 'of no type'}, which is not unpacked here; save it with -o")
    return unpack
