"""How archives that a library makes in chunks are sent by aiohttp; runs in the peers' own environments.

Making the chunks blocks, so it happens in a thread, a quarter of a MiB at a time: one hop for many small chunks. That
is kinder to the libraries than a hop for each, and about as fast as aiohttp can carry them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from aiohttp import web

from bench.peers.pacing import unpace

BATCH = 256 * 1024


def run(folder: Path, make: Callable[[Path, str], tuple[int | None, Iterable[bytes]]]) -> None:
    """Serve ``GET /archive?part=…`` until the process is ended; ``make(folder, part)`` gives length and chunks."""

    async def archive(request: web.Request) -> web.StreamResponse:
        part = request.query.get("part", ".")
        # walking and sizing block too
        length, chunks = await asyncio.to_thread(make, folder, part)
        response = web.StreamResponse(headers={"Content-Type": "application/zip"})
        if length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = length
        await response.prepare(request)
        source = iter(chunks)
        while batch := await asyncio.to_thread(_batch, source):
            await response.write(batch)
        await response.write_eof()
        return response

    listen({"/archive": archive})


def listen(routes: dict[str, Callable[[web.Request], object]]) -> None:
    """Listen on a free port of this machine, say which, and serve until the process is ended."""

    async def main() -> None:
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_get(path, handler, allow_head=False)  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.SockSite(runner, _listening())
        await site.start()
        print("listening", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def _listening() -> socket.socket:
    """Make a socket on loopback, unpaced as Pannier's: libraries are compared, and not what the system has TCP do."""
    listening = socket.socket()
    unpace(listening)
    listening.bind(("127.0.0.1", 0))
    return listening


def _batch(source: Iterator[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for chunk in source:
        parts.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)
