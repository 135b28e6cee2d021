"""`python -m bench.putting`: `pannier put` beside curl, which sends the same file to the same server by one PATCH.

In turns, to the same disk; what is told are medians, and the median of the quotients of neighbours. curl's upload is
begun before the clock runs, and nothing compares what it sends; put looks at the file, begins its upload, and sends
each piece with its checksum.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bench.getting import at_home, compare, plant
from bench.servers import pannier
from pannier.protocol import tus
from pannier.sdk.calls import Folder
from pannier.sdk.manager import Manager

_MIB = 2**20
_LIMIT = 1800.0


def main() -> int:
    """Measure, and print a line for each comparison."""
    parser = argparse.ArgumentParser(prog="python -m bench.putting", description=__doc__)
    parser.add_argument("--mib", type=int, default=3072, help="size of the file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=2000, help="number of small files (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="where data and uploads go (default: the temporary folder)")
    options = parser.parse_args()
    at_home()
    with tempfile.TemporaryDirectory(dir=options.data) as scratch:
        root = Path(scratch)
        (root / "folder").mkdir()
        plant(root / "planted", 64)
        large, small = root / "large.bin", root / "small"
        large.write_bytes((root / "planted/000.bin").read_bytes() * (options.mib // 64))
        small.mkdir()
        for number in range(options.files):
            (small / f"{number:05}.txt").write_bytes(b"%d" % number * 500)
        with pannier(root / "folder", root, count_each_time=False):
            put = _timed(root, lambda: _put(root, large))
            curl = _timed(root, lambda: _curl(root, large))
            print(f"put beside curl, {options.mib} MiB: {compare(put, curl, options.pairs)}", flush=True)
            seconds = _timed(root, lambda: _put(root, small, "--parallel", "8"))()
            print(f"put of {options.files} files of 2 KB: {seconds:.2f} s, {options.files / seconds:.0f} a second")
    return 0


def _put(root: Path, source: Path, *options: str) -> list[str]:
    state = ["--state", str(root / "ours-state"), "--silent"]
    return [sys.executable, "-m", "pannier", "put", str(source), "folder/out/", *state, *options]


def _curl(root: Path, source: Path) -> list[str]:
    """Begin an upload, and return what sends it whole."""
    from pannier.cli.runtime import find_running

    (running,) = find_running(root / "ours-state")
    folder = running.folders[0]
    with Manager(running.manager_url, running.manager_secret) as manager:
        begin = manager.uploads.create(Folder(folder.volume, folder.folder_id), "out")
    size, name = str(source.stat().st_size), "filename bGFyZ2UuYmlu"
    headers = {"Tus-Resumable": tus.VERSION, "Upload-Length": size, "Upload-Metadata": name}
    with urllib.request.urlopen(urllib.request.Request(begin, b"", headers), timeout=_LIMIT) as answer:
        url = running.client_url + answer.headers["Location"]
    sent = ["-H", f"Tus-Resumable: {tus.VERSION}", "-H", "Upload-Offset: 0", "-H", f"Content-Type: {tus.CONTENT_TYPE}"]
    return ["curl", "-q", "-sS", "--fail", "-X", "PATCH", "-T", str(source), "-H", "Expect:", *sent, url]


def _timed(root: Path, command: Callable[[], list[str]]) -> Callable[[], float]:
    """Return what runs a command and removes what arrived; it returns the seconds that the command took."""

    def run() -> float:
        line = command()
        began = time.perf_counter()
        subprocess.run(line, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=_LIMIT)
        took = time.perf_counter() - began
        subprocess.run(["rm", "-rf", str(root / "folder/out")], check=True)
        return took

    return run


if __name__ == "__main__":
    sys.exit(main())
