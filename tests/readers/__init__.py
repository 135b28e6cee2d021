"""The ZIP and TAR readers that people use, behind one face: what we write is judged by them, not by us.

A test asks every reader in ``READERS`` (of ZIPs) or ``TAR_READERS`` the same two questions: what is in this archive
(``read``), and what does this one member hold (``digest``). A reader takes nothing for granted: a non-zero exit, any
word of warning, an odd checksum or a tool that is not installed is a ``ReaderFailed``, never a skip. ``tests/tools.sh``
installs the tools.

What they cannot tell is stated by their attributes. Besides: the streaming readers (``bsdtar-pipe``, ``java-stream``)
judge local headers only, and both bsdtar ones forgive an archive that ends within its central directory; readers
without modes give a symbolic link as a file that holds its target. No reader of TARs can check content, and all forgive
a TAR that ends between two members.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Literal, Protocol

__all__ = ["READERS", "TAR_READERS", "Member", "Reader", "ReaderFailed"]

_HERE = Path(__file__).resolve().parent
_NODE = _HERE.parent / "node"
_CHUNK = 1 << 20


class ReaderFailed(Exception):
    """A reader refused the archive, warned about it, or is not installed; the message holds its words."""


@dataclass(frozen=True)
class Member:
    """What a reader made of one member. A link's size and digest are those of its target; a directory has size 0."""

    kind: Literal["file", "dir", "link"]
    size: int
    sha256: str | None
    mtime: int | None
    """Whole Unix seconds; None when this reader does not give it, and for links."""
    mode: int | None
    """Permission bits, at most ``0o7777``; None when this reader does not give them."""


class Reader(Protocol):
    """One program that reads archives of one format."""

    @property
    def name(self) -> str: ...
    @property
    def zip64(self) -> bool:
        """Whether it reads Zip64 fields."""

    @property
    def checks_content(self) -> bool:
        """Whether it compares stored content with its CRC-32; one that does not shows a difference by ``sha256``."""

    @property
    def gives_times(self) -> bool: ...
    @property
    def mode_bits(self) -> int:
        """The bits of a mode that it keeps: 0 for a reader that has no modes, and takes a link for a file."""

    @property
    def gives_modes(self) -> bool: ...
    @property
    def nfc_names(self) -> bool:
        """Whether it gives names in NFC, however they stand in the archive."""

    def read(self, archive: Path, into: Path) -> dict[str, Member]:
        """Read every member to its end and return them by name, a directory's without its last slash.

        ``into`` is an empty directory of the caller's, for readers that extract; those do not tell a directory entry
        from a directory made for a file, so they leave out every directory that is not empty.

        Raises:
            ReaderFailed: the reader found anything to complain about, or is missing.
        """

    def digest(self, archive: Path, member: str) -> tuple[int, str]:
        """Stream one file through the reader, nothing written to a disk; return its size and SHA-256.

        Raises:
            ReaderFailed: as for ``read``; also when there is no such member.
        """


# ---------------------------------------------------------------- programs


def _program(name: str) -> str:
    """Return where ``name`` is installed."""
    path = shutil.which(name)
    if path is None:
        raise ReaderFailed(f"{name} is not installed: run tests/tools.sh")
    return path


def _environment() -> dict[str, str]:
    """Only what a program needs to start, so that no ``UNZIP`` or ``NODE_OPTIONS`` of this machine has a say."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


@contextmanager
def _piped(archive: Path | None) -> Iterator[IO[bytes] | int]:
    """Yield the archive's bytes as the reading end of a real pipe, which cannot seek; nothing for None."""
    if archive is None:
        yield subprocess.DEVNULL
        return
    with subprocess.Popen(["cat", archive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as cat:
        assert cat.stdout is not None
        yield cat.stdout
        cat.stdout.close()  # a reader may stop at the central directory: let cat end by SIGPIPE


def _any_word(output: bytes) -> bool:
    return bool(output.strip())


# 7-Zip exits with 0 after some warnings, and when no member has the name; it speaks about success as well.
_SEVEN_ZIP_COMPLAINS = re.compile(rb"(?mi)^(warning|error|archives with|no files to process|sub items)")


def _seven_zip_complaint(output: bytes) -> bool:
    return _SEVEN_ZIP_COMPLAINS.search(output) is not None or b"Everything is Ok" not in output


def _run(
    argv: Sequence[str | bytes | Path],
    consume: Callable[[IO[bytes]], None],
    complaint: Callable[[bytes], bool],
    piped: Path | None = None,
) -> None:
    """Run a program with its standard output given to ``consume``.

    Raises:
        ReaderFailed: it exited with anything but 0, or what it wrote to standard error is a complaint.
    """
    with tempfile.TemporaryFile() as errors, _piped(piped) as source:
        with subprocess.Popen(
            argv, stdin=source, stdout=subprocess.PIPE, stderr=errors, env=_environment(), umask=0
        ) as program:
            assert program.stdout is not None
            try:
                consume(program.stdout)
            except BaseException:
                program.kill()
                raise
        errors.seek(0)
        said = errors.read()
    if program.returncode != 0 or complaint(said):
        words = said.decode(errors="backslashreplace")
        raise ReaderFailed(f"exit {program.returncode} of {' '.join(map(str, argv))}\n{words}")


def _hashed(content: IO[bytes]) -> tuple[int, str]:
    size, sha256 = 0, hashlib.sha256()
    while chunk := content.read(_CHUNK):
        size += len(chunk)
        sha256.update(chunk)
    return size, sha256.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _put(members: dict[str, Member], name: str, member: Member) -> None:
    if name in members:
        raise ReaderFailed(f"two members are named {name!r}")
    members[name] = member


# ---------------------------------------------------------------- readers that extract


@dataclass(frozen=True)
class _Extracting:
    """A command-line tool: it extracts all into a directory, or one member to its standard output."""

    name: str
    extract: Callable[[Path, Path], list[str | Path]]
    print_member: Callable[[Path, str], list[str | Path]]
    list_member: Callable[[Path, str], list[str | Path]] | None = None
    """Says nothing when there is no such member; for a tool that prints nothing then and is content."""
    complaint: Callable[[bytes], bool] = _any_word
    piped: bool = False
    zip64: bool = True
    checks_content: bool = True
    gives_times: bool = True
    mode_bits: int = 0o7777
    nfc_names: bool = False

    @property
    def gives_modes(self) -> bool:
        return self.mode_bits != 0

    def read(self, archive: Path, into: Path) -> dict[str, Member]:
        if any(into.iterdir()):
            raise ValueError(f"{into} is not empty")
        said = bytearray()
        argv = self._installed(self.extract(archive, into))
        _run(argv, lambda out: said.extend(out.read()), _any_word, self._pipe(archive))
        if self.complaint(bytes(said)):
            raise ReaderFailed(f"{self.name}: {said.decode(errors='backslashreplace')}")
        return dict(self._walk(into))

    def digest(self, archive: Path, member: str) -> tuple[int, str]:
        found: list[tuple[int, str]] = []
        argv = self._installed(self.print_member(archive, member))
        _run(argv, lambda out: found.append(_hashed(out)), self.complaint, self._pipe(archive))
        if found[0][0] == 0 and self.list_member is not None:
            listed = bytearray()
            argv = self._installed(self.list_member(archive, member))
            _run(argv, lambda out: listed.extend(out.read()), self.complaint)
            if not listed:
                raise ReaderFailed(f"{self.name}: no such member: {member!r}")
        return found[0]

    def _installed(self, argv: list[str | Path]) -> list[str | Path]:
        return [_program(str(argv[0])), *argv[1:]]

    def _pipe(self, archive: Path) -> Path | None:
        return archive if self.piped else None

    def _walk(self, into: Path) -> Iterator[tuple[str, Member]]:
        for parent, directories, files in os.walk(os.fsencode(into)):
            for raw in (*directories, *files):
                path = os.path.join(parent, raw)
                status = os.lstat(path)
                name = os.fsdecode(os.path.relpath(path, os.fsencode(into)))
                mtime = status.st_mtime_ns // 1_000_000_000 if self.gives_times else None
                mode = stat.S_IMODE(status.st_mode) & self.mode_bits if self.gives_modes else None
                if stat.S_ISLNK(status.st_mode):
                    target = os.readlink(path)
                    yield name, Member("link", len(target), _sha256(target), None, mode)
                elif stat.S_ISDIR(status.st_mode):
                    if not os.listdir(path):
                        yield name, Member("dir", 0, None, mtime, mode)
                else:
                    with open(path, "rb") as content:
                        size, sha256 = _hashed(content)
                    yield name, Member("file", size, sha256, mtime, mode)


def _literally(member: str) -> str:
    """Return the shell pattern that matches ``member`` and nothing else, and is no option either."""
    pattern = re.sub(r"([\[\]*?\\])", r"\\\1", member)
    return f"[-]{pattern[1:]}" if pattern.startswith("-") else pattern


def _unzip_extract(archive: Path, into: Path) -> list[str | Path]:
    return ["unzip", "-qq", "-K", "-d", into, archive]  # -K: keep setuid, setgid and sticky


def _unzip_print(archive: Path, member: str) -> list[str | Path]:
    return ["unzip", "-p", archive, _literally(member)]


def _seven_zip_extract(archive: Path, into: Path) -> list[str | Path]:
    # -snld20: take links that climb within the tree too, which 7-Zip leaves out by default (and exits with 2)
    return ["7z", "x", "-y", "-bd", "-bb0", "-bsp0", "-snld20", f"-o{into}", "--", archive]


def _seven_zip_print(archive: Path, member: str) -> list[str | Path]:
    return ["7z", "x", "-so", "-spd", "-bd", "-bso2", "-bsp0", f"-i!{member}", "--", archive]  # -spd: no patterns


def _bsdtar_extract(archive: Path, into: Path) -> list[str | Path]:
    return ["bsdtar", "-x", "-p", "--no-same-owner", "-f", archive, "-C", into]


def _bsdtar_print(archive: Path, member: str) -> list[str | Path]:
    return ["bsdtar", "-x", "-O", "-f", archive, "--", _literally(unicodedata.normalize("NFC", member))]


def _bsdtar_pipe_extract(_: Path, into: Path) -> list[str | Path]:
    return _bsdtar_extract(Path("-"), into)


def _bsdtar_pipe_print(_: Path, member: str) -> list[str | Path]:
    return _bsdtar_print(Path("-"), member)


def _gnu_tar_extract(archive: Path, into: Path) -> list[str | Path]:
    # of times in the future, and before 1970, it warns: the tests have both
    return ["tar", "-x", "-p", "--no-same-owner", "--warning=no-timestamp", "-f", archive, "-C", into]


def _gnu_tar_print(archive: Path, member: str) -> list[str | Path]:
    return ["tar", "-x", "-O", "--no-wildcards", "-f", archive, "--", member]


def _gnu_tar_pipe_extract(_: Path, into: Path) -> list[str | Path]:
    return _gnu_tar_extract(Path("-"), into)


def _gnu_tar_pipe_print(_: Path, member: str) -> list[str | Path]:
    return _gnu_tar_print(Path("-"), member)


def _busybox_tar_extract(archive: Path, into: Path) -> list[str | Path]:
    return ["busybox", "tar", "-x", "-p", "-o", "-f", archive, "-C", into]


def _busybox_tar_print(archive: Path, member: str) -> list[str | Path]:
    # a name is always a pattern, and once escaped it is "not found" after it was: one that holds * ? [ cannot be had
    return ["busybox", "tar", "-x", "-O", "-f", archive, "--", member]


def _busybox_extract(archive: Path, into: Path) -> list[str | Path]:
    return ["busybox", "unzip", "-q", archive, "-d", into]


def _busybox_print(archive: Path, member: str) -> list[str | Path]:
    return ["busybox", "unzip", "-p", archive, _literally(member)]


def _busybox_list(archive: Path, member: str) -> list[str | Path]:
    return ["busybox", "unzip", "-lqq", archive, _literally(member)]


# ---------------------------------------------------------------- readers that list


def _kind(name: str, mode: int | None) -> Literal["file", "dir", "link"]:
    if name.endswith("/"):
        return "dir"
    return "link" if mode is not None and stat.S_ISLNK(mode) else "file"


def _member(name: str, size: int, sha256: str, mtime: int | None, mode: int | None) -> Member:
    """Make a member of what a listing reader says; ``mode`` is with its type bits."""
    kind = _kind(name, mode)
    return Member(
        kind,
        size,
        None if kind == "dir" else sha256,
        None if kind == "link" else mtime,
        None if mode is None else stat.S_IMODE(mode),
    )


@dataclass(frozen=True)
class _Listing:
    """A program of ours around a library: given an archive and perhaps one name, it prints a JSON line a member."""

    name: str
    command: Callable[[], list[str | Path]]
    gives_modes: bool
    zip64: bool = True
    checks_content: bool = True
    gives_times: bool = True
    nfc_names: bool = False

    @property
    def mode_bits(self) -> int:
        return 0o7777 if self.gives_modes else 0

    def read(self, archive: Path, into: Path) -> dict[str, Member]:
        members: dict[str, Member] = {}
        for name, member in self._lines(archive):
            _put(members, name.removesuffix("/"), member)
        return members

    def digest(self, archive: Path, member: str) -> tuple[int, str]:
        [(_, found)] = self._lines(archive, member)
        if found.sha256 is None:
            raise ReaderFailed(f"{member!r} is a directory")
        return found.size, found.sha256

    def _lines(self, archive: Path, *member: str) -> Iterable[tuple[str, Member]]:
        lines: list[bytes] = []
        _run([*self.command(), archive, *member], lambda out: lines.extend(out), _any_word)
        for line in lines:
            said = json.loads(line)
            yield said["name"], _member(said["name"], said["size"], said["sha256"], said["mtime"], said.get("mode"))


def _java(main: str) -> Callable[[], list[str | Path]]:
    return lambda: [_program("java"), "-XX:+UseSerialGC", "-Xmx256m", "-cp", _java_classes(), main]


@cache
def _java_classes() -> Path:
    """Compile the Java programs, once for each state of their sources, and return the directory of classes.

    Several test processes may do so at the same time: each compiles into a directory of its own, the first one moves
    it into place.
    """
    sources = sorted(_HERE.glob("*.java"))
    state = _sha256(b"".join(source.read_bytes() for source in sources))[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pannier-tests"
    classes = home / f"readers-{state}"
    if classes.is_dir():
        return classes
    home.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=home, prefix="javac-"))
    try:
        _run(
            [_program("javac"), "--release", "17", "-Xlint:all", "-Werror", "-d", made, *sources],
            lambda out: None,
            _any_word,
        )
        try:
            made.rename(classes)
        except OSError:
            if not classes.is_dir():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return classes


def _yauzl() -> list[str | Path]:
    if not (_NODE / "node_modules" / "yauzl").is_dir():
        raise ReaderFailed("yauzl is not installed: run tests/tools.sh")
    return [_program("node"), _NODE / "read_yauzl.mjs"]


def _unix_time(extra: bytes) -> int | None:
    """Return the modification time of the extra field 0x5455, in whole Unix seconds."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and length >= 5 and extra[4] & 1:
            return int(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + length :]
    return None


@dataclass(frozen=True)
class _PythonZipfile:
    """The standard library's ``zipfile``; reading a member to its end is what checks its CRC-32."""

    name: str = "zipfile"
    zip64: bool = True
    checks_content: bool = True
    gives_times: bool = True
    gives_modes: bool = True
    mode_bits: int = 0o7777
    nfc_names: bool = False

    def read(self, archive: Path, into: Path) -> dict[str, Member]:
        members: dict[str, Member] = {}
        with self._opened(archive) as opened:
            for info in opened.infolist():
                with opened.open(info) as content:
                    size, sha256 = _hashed(content)
                mode = info.external_attr >> 16 if info.create_system == 3 else None
                member = _member(info.orig_filename, size, sha256, _unix_time(info.extra), mode)
                _put(members, info.orig_filename.removesuffix("/"), member)
        return members

    def digest(self, archive: Path, member: str) -> tuple[int, str]:
        with self._opened(archive) as opened, opened.open(member) as content:
            return _hashed(content)

    @contextmanager
    def _opened(self, archive: Path) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(archive) as opened:
                yield opened
        except (
            zipfile.BadZipFile,
            EOFError,
            KeyError,
            NotImplementedError,
            OSError,
            RuntimeError,
            ValueError,
        ) as error:
            raise ReaderFailed(f"zipfile: {error}") from error


READERS: tuple[Reader, ...] = (
    _PythonZipfile(),
    _Extracting("unzip", _unzip_extract, _unzip_print),
    _Extracting("7z", _seven_zip_extract, _seven_zip_print, complaint=_seven_zip_complaint, mode_bits=0o777),
    _Extracting("bsdtar", _bsdtar_extract, _bsdtar_print, nfc_names=True),
    # Modes stand in the central directory, which comes too late in a pipe.
    _Extracting("bsdtar-pipe", _bsdtar_pipe_extract, _bsdtar_pipe_print, piped=True, mode_bits=0, nfc_names=True),
    _Listing("java-file", _java("ReadZipFile"), gives_modes=False),
    _Listing("java-stream", _java("ReadZipInputStream"), gives_modes=False),
    _Listing("yauzl", _yauzl, gives_modes=True),
    _Extracting(
        "busybox",
        _busybox_extract,
        _busybox_print,
        list_member=_busybox_list,
        zip64=False,
        checks_content=False,
        gives_times=False,
    ),
)
"""Every reader of ZIPs, each of another family of code."""


@dataclass(frozen=True)
class _PythonTarfile:
    """The standard library's ``tarfile``, on a file or on a real pipe."""

    name: str
    piped: bool
    zip64: bool = True
    checks_content: bool = False
    gives_times: bool = True
    gives_modes: bool = True
    mode_bits: int = 0o7777
    nfc_names: bool = False

    def read(self, archive: Path, into: Path) -> dict[str, Member]:
        members: dict[str, Member] = {}
        with self._opened(archive) as opened:
            for info in opened:
                _put(members, info.name, self._member(opened, info))
        return members

    def digest(self, archive: Path, member: str) -> tuple[int, str]:
        with self._opened(archive) as opened:
            for info in opened:
                content = opened.extractfile(info) if info.isreg() and info.name == member else None
                if content is not None:
                    with content:
                        return _hashed(content)
        raise ReaderFailed(f"{self.name}: no file {member!r}")

    def _member(self, opened: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
        mtime = int(info.mtime)
        if info.isdir():
            return Member("dir", info.size, None, mtime, info.mode)
        if info.issym():
            target = os.fsencode(info.linkname)
            return Member("link", len(target), _sha256(target), None, info.mode)
        content = opened.extractfile(info)
        if content is None:
            raise ReaderFailed(f"{self.name}: {info.name!r} is of type {info.type!r}")
        with content:
            size, sha256 = _hashed(content)
        if size != info.size:
            raise ReaderFailed(f"{self.name}: {info.name!r} has {size} bytes, not {info.size}")
        return Member("file", size, sha256, mtime, info.mode)

    @contextmanager
    def _opened(self, archive: Path) -> Iterator[tarfile.TarFile]:
        try:
            with _piped(archive if self.piped else None) as source:
                if isinstance(source, int):
                    with tarfile.open(archive, "r:", encoding="utf-8") as opened:
                        yield opened
                else:
                    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8") as opened:
                        yield opened
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise ReaderFailed(f"{self.name}: {error}") from error


TAR_READERS: tuple[Reader, ...] = (
    _PythonTarfile("tarfile", piped=False),
    _PythonTarfile("tarfile-pipe", piped=True),
    _Extracting("gnu-tar", _gnu_tar_extract, _gnu_tar_print, checks_content=False),
    _Extracting("gnu-tar-pipe", _gnu_tar_pipe_extract, _gnu_tar_pipe_print, piped=True, checks_content=False),
    _Extracting("bsdtar", _bsdtar_extract, _bsdtar_print, checks_content=False, nfc_names=True),
    _Extracting(
        "bsdtar-pipe",
        _bsdtar_pipe_extract,
        _bsdtar_pipe_print,
        piped=True,
        checks_content=False,
        nfc_names=True,
    ),
    _Extracting(
        "7z",
        _seven_zip_extract,
        _seven_zip_print,
        complaint=_seven_zip_complaint,
        checks_content=False,
        mode_bits=0o777,
    ),
    _Extracting("busybox", _busybox_tar_extract, _busybox_tar_print, checks_content=False),
)
"""The same for TAR."""
