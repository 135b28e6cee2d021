"""zipstream-new, as its documentation says: a `ZipFile` that is written to, then iterated."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.peers.base import LibraryPeer


class ZipstreamNew(LibraryPeer):
    """No length in either method."""

    name, title, deflates = "zipstream-new", "zipstream-new", True
    requirement, module = "zipstream-new==1.1.8", "bench.peers.zipstream_new"
    large_rate, small_rate, deflate_rate = 600.0, 60.0, 40.0


def main(folder: str, method: str) -> None:
    """Serve ``GET /archive?part=…``."""
    import zipstream

    from bench.peers.serving import run

    def make(root: Path, part: str) -> tuple[int | None, Iterable[bytes]]:
        compression = zipstream.ZIP_STORED if method == "stored" else zipstream.ZIP_DEFLATED
        archive = zipstream.ZipFile(mode="w", compression=compression, allowZip64=True)
        for directory, _, names in os.walk(root / part):
            for name in names:
                path = os.path.join(directory, name)
                archive.write(path, os.path.relpath(path, root))
        return None, archive

    run(Path(folder), make)


if __name__ == "__main__":
    main(*sys.argv[1:3])
