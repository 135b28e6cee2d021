"""That a download holds the data, all of it and nothing else: a fast server that is wrong must not win."""

from __future__ import annotations

import os
import subprocess
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from bench.complaints import Complaint
from bench.data import DataSet, File

_LIMIT = 1800.0
_PIECE = 2**20


class Wrong(Exception):
    """A download is not what was asked for."""


def verify(kind: str, download: Path, data: DataSet, parts: tuple[str, ...]) -> str:
    """Check a saved download against the data that it should hold, and say how that was done.

    Args:
        kind: "zip", "tar" or "file".

    Raises:
        Wrong: It is damaged, incomplete, or holds something else.
    """
    match kind:
        case "zip":
            wanted = data.files(*parts)
            _same_entries(download, wanted)
            _run("unzip", "-tqq", str(download))
            return f"unzip -t; names, sizes and CRC-32 of {len(wanted):,} {'entry' if len(wanted) == 1 else 'entries'}"
        case "tar":
            count = _run("tar", "-tf", str(download)).count("\n")
            _run("tar", "-df", str(download), "-C", str(data.folder))
            wanted_count = len(data.files(*parts))
            if count < wanted_count:
                raise Wrong(f"{count} entries of {wanted_count}")
            return f"tar -d, {wanted_count:,} files"
        case "file":
            (file,) = data.files(*parts)
            if (download.stat().st_size, crc_of(download)) != (file.size, file.crc):
                raise Wrong("other bytes than the file's")
            return "CRC-32 of the file"
        case _:
            raise ValueError(kind)


def check_zip(download: Path, wanted: Iterable[File]) -> None:
    """Check every entry of a ZIP in this process: names, sizes, checksums and content.

    Raises:
        Wrong: Something differs.
    """
    _same_entries(download, list(wanted))
    with zipfile.ZipFile(download) as archive:
        if (broken := archive.testzip()) is not None:
            raise Wrong(f"{broken} is damaged")


def crc_of(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            crc = zlib.crc32(piece, crc)
    return crc


def compresses(download: Path) -> bool:
    """Return whether a ZIP has compressed entries."""
    with zipfile.ZipFile(download) as archive:
        return any(one.compress_type == zipfile.ZIP_DEFLATED for one in archive.infolist())


def _same_entries(download: Path, wanted: list[File]) -> None:
    """Compare a ZIP's directory with what it should hold.

    Servers may put the same folder before every name, or leave out the part that was asked for.
    """
    try:
        with zipfile.ZipFile(download) as archive:
            entries = {one.filename: (one.file_size, one.CRC) for one in archive.infolist() if not one.is_dir()}
            count = sum(not one.is_dir() for one in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise Wrong(f"no ZIP: {error}") from None
    expected = {file.path: (file.size, file.crc) for file in wanted}
    if count != len(expected):
        raise Wrong(f"{count} entries of {len(expected)}")
    prefix = os.path.commonpath(entries) if len(entries) > 1 else os.path.dirname(next(iter(entries), ""))
    inner = os.path.commonpath(expected) if len(expected) > 1 else os.path.dirname(next(iter(expected), ""))
    if _below(entries, prefix) != _below(expected, inner):
        odd = next((name for name in entries if entries[name] != expected.get(name)), "")
        raise Wrong(f"entries differ, such as {odd!r}")


def _below(entries: dict[str, tuple[int, int]], folder: str) -> dict[str, tuple[int, int]]:
    start = len(folder) + 1 if folder else 0
    return {name[start:]: value for name, value in entries.items()}


def _run(*command: str) -> str:
    try:
        # messages of a tool must not depend on the language of who runs this
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Complaint(f"{command[0]} is needed to verify downloads: apt-get install {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise Wrong(f"{command[0]} took longer than {_LIMIT:.0f} s") from None
    if done.returncode:
        raise Wrong(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
