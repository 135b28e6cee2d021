"""zipstream-ng, as its documentation serves a folder: `ZipStream.from_path`, sized where that can be known."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from bench.peers.base import LibraryPeer


class ZipstreamNg(LibraryPeer):
    """Stored archives have a length; compressed ones (zlib 6, its default) are chunked."""

    name, title, deflates = "zipstream-ng", "zipstream-ng", True
    requirement, module = "zipstream-ng==1.9.3", "bench.peers.zipstream_ng"
    large_rate, small_rate, deflate_rate = 1250.0, 70.0, 45.0


def main(folder: str, method: str) -> None:
    """Serve ``GET /archive?part=…``."""
    from zipstream import ZIP_DEFLATED, ZIP_STORED, ZipStream

    from bench.peers.serving import run

    def make(root: Path, part: str) -> tuple[int | None, Iterable[bytes]]:
        stored = method == "stored"
        stream = ZipStream.from_path(str(root / part), compress_type=ZIP_STORED if stored else ZIP_DEFLATED)
        return (len(stream) if stored else None), stream

    run(Path(folder), make)


if __name__ == "__main__":
    main(*sys.argv[1:3])
