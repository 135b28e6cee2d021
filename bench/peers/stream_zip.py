"""stream-zip, as its documentation says: a generator of members, each with a generator of its content."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.peers.base import LibraryPeer

_READ = 65536


class StreamZip(LibraryPeer):
    """Stored members need their checksum first, so the library holds each file in memory before it sends it."""

    name, title, deflates = "stream-zip", "stream-zip", True
    requirement, module = "stream-zip==0.0.84", "bench.peers.stream_zip"
    large_rate, small_rate, deflate_rate = 950.0, 100.0, 20.0


def main(folder: str, method: str) -> None:
    """Serve ``GET /archive?part=…``."""
    from stream_zip import NO_COMPRESSION_64, ZIP_AUTO, stream_zip

    from bench.peers.serving import run

    def content(path: str) -> Iterator[bytes]:
        with open(path, "rb") as file:
            while data := file.read(_READ):
                yield data

    def members(root: Path, part: str) -> Iterator[tuple[str, datetime, int, Any, Iterable[bytes]]]:
        for directory, _, names in os.walk(root / part):
            for name in names:
                path = os.path.join(directory, name)
                found = os.stat(path)
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                kind = NO_COMPRESSION_64 if method == "stored" else ZIP_AUTO(found.st_size)
                yield os.path.relpath(path, root), modified, found.st_mode, kind, content(path)

    run(Path(folder), lambda root, part: (None, stream_zip(members(root, part))))


if __name__ == "__main__":
    main(*sys.argv[1:3])
