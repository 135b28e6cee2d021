"""`python -m bench.getting`: `pannier get` beside curl, and many connections beside one where each has a delay.

Both save the same archive from the same server to the same disk, in turns; what is told are medians, and the median of
the quotients of neighbours. `get` ends when all is durable, curl when all is in memory: so it is measured beside curl,
and beside curl with what makes its file durable. In memory (`--data /dev/shm`) that makes no difference. A delayed
connection is one through a proxy that holds back what it forwards, with a bounded window: as over a long way, where no
more than a window is under way at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import pannier

_MIB = 2**20
_LIMIT = 1800.0


def main() -> int:
    """Measure, and print a line for each comparison."""
    parser = argparse.ArgumentParser(prog="python -m bench.getting", description=__doc__)
    parser.add_argument("--mib", type=int, default=3072, help="size of the selection (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=50.0, help="milliseconds that a connection is delayed by")
    parser.add_argument("--window", type=int, default=1024, help="KiB under way on a delayed connection")
    parser.add_argument("--delayed-mib", type=int, default=256, help="size of the selection that is delayed")
    parser.add_argument("--data", type=Path, help="where data and downloads go (default: the temporary folder)")
    options = parser.parse_args()
    at_home()
    with tempfile.TemporaryDirectory(dir=options.data) as scratch:
        root = Path(scratch)
        plant(root / "large", options.mib)
        plant(root / "delayed", options.delayed_mib)
        with pannier(root / "large", root, count_each_time=False) as server:
            url = server.url()
            out = root / "out.zip"
            line = ["curl", "-q", "-sS", "--fail", "-o", str(out), url]
            curl = _saving(line, out)
            synced = _saving(["sh", "-c", '"$@" && sync -d "$0"', str(out), *line], out)
            for parallel in (1, 8):
                get = _saving(_get(url, out, parallel), out)
                for name, other in (("curl", curl), ("curl and sync", synced)):
                    told = compare(get, other, options.pairs)
                    print(f"get -j {parallel} beside {name}, {options.mib} MiB: {told}", flush=True)
            unpacked = root / "unpacked"
            command = [sys.executable, "-m", "pannier", "get", url, "--extract", str(unpacked), "--silent"]
            told = compare(_saving(command, unpacked), curl, options.pairs)
            print(f"get --extract beside curl, {options.mib} MiB: {told}", flush=True)
        with pannier(root / "delayed", root, name="delayed", count_each_time=False) as server:
            port = int(server.client_url.rpartition(":")[2])
            with delaying(port, options.delay / 1000, options.window * 1024) as through:
                url = server.url().replace(f":{port}/", f":{through}/")
                many, one = (_saving(_get(url, out, parallel), out) for parallel in (8, 1))
                told = compare(many, one, options.pairs)
                print(f"get -j 8 beside -j 1, {options.delay:g} ms, {options.delayed_mib} MiB: {told}", flush=True)
    return 0


def at_home() -> None:
    """Take out of the environment what makes every start of Python slower than where people work."""
    for name in ("PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ.pop(name, None)


def plant(folder: Path, mib: int) -> None:
    """Make files of 64 MiB, and a hundred small ones."""
    chance = random.Random(1)
    folder.mkdir()
    for number in range(-(-mib // 64)):
        (folder / f"{number:03}.bin").write_bytes(chance.randbytes(_MIB) * min(64, mib - number * 64))
    for number in range(100):
        (folder / f"small-{number:03}.txt").write_bytes(chance.randbytes(4000))


def compare(one: Callable[[], float], other: Callable[[], float], pairs: int) -> str:
    """Run both in turns, after one of each that does not count, and tell how much faster the first one is."""
    one(), other()
    seconds = [(one(), other()) for _ in range(pairs)]
    quotient = statistics.median(theirs / ours for ours, theirs in seconds)
    ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
    return f"{ours:.2f} s and {theirs:.2f} s, {quotient:.2f} x as fast (median of {pairs} pairs)"


def _get(url: str, out: Path, parallel: int) -> list[str]:
    return [sys.executable, "-m", "pannier", "get", url, "-o", str(out), "-j", str(parallel), "--silent"]


def _saving(command: list[str], out: Path) -> Callable[[], float]:
    """Return what runs a command and removes what it made; it returns the seconds that the command took."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=_LIMIT)
        took = time.perf_counter() - began
        subprocess.run(["rm", "-rf", str(out)], check=True)
        os.sync()  # so that nobody pays for what the one before has written
        return took

    return run


@contextmanager
def delaying(port: int, seconds: float, window: int) -> Iterator[int]:
    """Forward a port, each connection delayed both ways and with a window; give the port that leads there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        room = asyncio.Semaphore(max(1, window // 65_536))

        async def arrive() -> None:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()
                room.release()

        arriving = loop.create_task(arrive())
        try:
            while True:
                await room.acquire()
                data = await reader.read(65_536)
                under_way.put_nowait((loop.time() + seconds, data))
                if not data:
                    break
            await arriving
        except OSError:
            pass
        finally:
            arriving.cancel()
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port, limit=131_072)
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, limit=131_072)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield int(listening.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


if __name__ == "__main__":
    sys.exit(main())
