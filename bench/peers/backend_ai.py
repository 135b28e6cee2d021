"""The archive reader of Backend.AI's storage proxy, behind what its download handler does around it."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.complaints import Unavailable
from bench.peers.base import LibraryPeer


class BackendAi(LibraryPeer):
    """Deflate (zlib 6) is all that it offers. Needs Python 3.13."""

    name, title, deflates = "backend.ai", "Backend.AI's reader", True
    requirement, module, python = "backend.ai-storage-proxy==26.9.6", "bench.peers.backend_ai", "3.13"
    others = ()  # it brings the aiohttp that it asks for
    large_rate, small_rate, deflate_rate = 41.0, 13.0, 41.0

    def prepare(self, rooms: Path) -> None:
        super().prepare(rooms)
        reader = "lib/python3.13/site-packages/ai/backend/storage/services/file_stream/zip.py"
        if not (self._python.parents[1] / reader).exists():
            raise Unavailable("its package has no archive reader where it is expected")


def main(folder: str) -> None:
    """Serve ``GET /archive?part=…``: resolve, check, register the entries, stream, as its handler does."""
    from ai.backend.storage.services.file_stream.zip import ZipArchiveStreamReader
    from aiohttp import web

    from bench.peers.serving import listen

    root = Path(folder).resolve()

    async def archive(request: web.Request) -> web.StreamResponse:
        part = request.query.get("part", ".")
        # its reader names entries by what is asked for; asking for the parts gives the same names as a whole folder
        chosen = sorted(root.iterdir()) if part == "." else [(root / part).resolve()]
        for path in chosen:
            if not path.is_relative_to(root) or not path.exists():
                raise web.HTTPNotFound
        reader = ZipArchiveStreamReader(root)
        reader.add_entries(chosen)
        response = web.StreamResponse(headers={"Content-Type": "application/zip"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        async for chunk in reader.read():
            await response.write(chunk)
        await response.write_eof()
        return response

    listen({"/archive": archive})


if __name__ == "__main__":
    main(sys.argv[1])
