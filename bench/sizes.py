"""How long the whole compressed archive is, beside zlib's default level, which the peers use; over all files."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import clients
from bench.data import DataSet
from bench.results import Observation
from bench.servers import pannier

SIZE = "size of all, of zlib 6"
_LEVEL, _RAW = 6, -15
_PIECE = 2**20


def observe(data: DataSet, scratch: Path, runs: int, small: bool) -> Sequence[Observation]:
    """Download once; pack every file once. Neither changes from run to run."""
    download = scratch / "download"
    try:
        with pannier(data.folder, scratch) as ours:
            size = clients.save(ours.url(".", compression="deflate"), download)
    finally:
        download.unlink(missing_ok=True)
    paths = [data.folder / file.path for file in data.files()]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        packed = sum(threads.map(_packed, paths))
    return [Observation(name=SIZE, unit="x", values=(size / packed,))]


def _packed(path: Path) -> int:
    """The length of a file's content in a ZIP file: as zlib packs it, or as it is where that is shorter."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    length = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            length += len(packer.compress(piece))
    return min(length + len(packer.flush()), path.stat().st_size)
