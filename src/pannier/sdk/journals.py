"""What an upload of many files has done so far, in a file that the next run of the same reads.

A line each: where a file's upload is, written before its first byte leaves, and under which name it arrived. The file
holds tokens, so it is for its owner only. It ends with the upload; one that nobody goes on with is
removed after a week.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Self

from pannier.sdk.problems import ClientError
from pannier.sdk.sources import Source

_KEPT = 7 * 86_400.0
"""Seconds; the server itself drops an upload after a day without progress."""
_LARGEST = 2**30


class JournalUnusable(ClientError):
    """What was done cannot be remembered, or another process is doing it."""


class Journal:
    """The journal of one upload; a context manager. Blocks for small writes, as little as a log does."""

    def __init__(self, directory: Path, what: Sequence[str]) -> None:
        """Open it: the same ``what`` (where from, where to, how) in the same directory is the same upload.

        Raises:
            JournalUnusable: It cannot be written, or another process has it.
        """
        digest = sha256("\0".join(what).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = directory / f"{digest}.jsonl"
        self._urls: dict[str, str] = {}
        self._names: dict[str, str] = {}
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget_old(directory)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{str(directory)!r} cannot be written: {error.strerror}"
            raise JournalUnusable(f"what was sent cannot be remembered: {reason}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise JournalUnusable("the same is being sent by another process; wait for it, or end it") from None
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; what it says stays."""
        os.close(self._descriptor)

    def forget(self) -> None:
        """Remove it: everything has arrived."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def url(self, source: Source) -> str | None:
        """Return where the upload of a file is, if one was begun when the file was as it is."""
        return self._urls.get(_key(source))

    def arrived(self, source: Source) -> str | None:
        """Return the name under which a file arrived, if it did."""
        return self._names.get(_key(source))

    def begin(self, source: Source, url: str) -> None:
        """Remember where the upload of a file is."""
        self._urls[_key(source)] = url
        self._write("begun", source, url)

    def finish(self, source: Source, name: str) -> None:
        """Remember that a file arrived, and as what."""
        self._names[_key(source)] = name
        self._write("arrived", source, name)

    def _write(self, kind: str, source: Source, told: str) -> None:
        try:
            os.write(self._descriptor, json.dumps([kind, _key(source), told]).encode("ascii") + b"\n")
        except OSError as error:
            raise JournalUnusable(f"what was sent cannot be remembered: {error.strerror}") from None

    def _read(self) -> None:
        with open(self._path, "rb") as file:
            content = file.read(_LARGEST)
        if content and not content.endswith(b"\n"):  # the process ended within a line: what comes next stands alone
            os.write(self._descriptor, b"\n")
        for line in content.split(b"\n"):
            with suppress(ValueError, RecursionError):
                match json.loads(line):
                    case ["begun", str(key), str(url)]:
                        self._urls[key] = url
                    case ["arrived", str(key), str(name)]:
                        self._names[key] = name


def _key(source: Source) -> str:
    return f"{source.size} {source.mtime_ns} {source.name}"


def _forget_old(directory: Path) -> None:
    for path in directory.glob("*.jsonl"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _KEPT:
                path.unlink()
