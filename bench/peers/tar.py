"""`tar` into a pipe, and the pipe to the client in large reads: what a shell and any web server do."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.complaints import Unavailable
from bench.peers.base import Peer, Serving, program

_PIPE = 2**20
_SET_PIPE_SIZE = 1031
"""F_SETPIPE_SZ of fcntl(2)."""


class Tar(Peer):
    """GNU tar behind aiohttp, chunked; in the bench's own environment, which has aiohttp."""

    name, title, kind = "tar", "tar through a pipe", "tar"
    large_rate, small_rate = 850.0, 300.0

    def prepare(self, rooms: Path) -> None:
        if shutil.which("tar") is None:
            raise Unavailable("tar is not installed")

    def version(self) -> str:
        said = subprocess.run(["tar", "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
        return said.splitlines()[0].rpartition(" ")[2]

    @contextmanager
    def serve(self, folder: Path, scratch: Path, *, deflate: bool) -> Iterator[Serving]:
        with program([sys.executable, "-m", "bench.peers.tar", str(folder)], scratch / "tar.log") as serving:
            yield serving


def main(folder: str) -> None:
    """Serve ``GET /archive?part=…``."""
    from aiohttp import web

    from bench.peers.serving import listen

    async def archive(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        command = ["tar", "-cf", "-", "-C", folder, request.query.get("part", ".")]
        tar = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - forking takes milliseconds
        assert tar.stdout is not None
        pipe = tar.stdout.fileno()
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE)
        try:
            while data := await asyncio.to_thread(os.read, pipe, _PIPE):
                await response.write(data)
            if await asyncio.to_thread(tar.wait, 60):
                raise RuntimeError("tar failed")
        finally:
            tar.kill()
            tar.stdout.close()
            await asyncio.to_thread(tar.wait, 60)
        await response.write_eof()
        return response

    listen({"/archive": archive})


if __name__ == "__main__":
    main(sys.argv[1])
