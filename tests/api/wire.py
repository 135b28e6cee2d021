"""Bytes on a socket, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

PATIENCE = 20.0
"""Seconds after which a test that waits for an answer has failed."""


async def exchange(url: str, *sent: bytes) -> bytes:
    """Send bytes to the server at ``url`` and return all that comes back until it closes the connection.

    It may do so before it has read everything, which resets the connection behind its answer.
    """
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    received = bytearray()
    try:
        with contextlib.suppress(ConnectionError):
            for part in sent:
                writer.write(part)
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65_536):
                    received += data
        return bytes(received)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
