"""A client that costs as little as one can: it asks once, counts the bytes, and keeps none.

    fetch.py discard|copy|first URL SECONDS

``discard`` lets the kernel drop what came (recv with MSG_TRUNC copies nothing); ``copy`` takes each byte into a buffer;
``first`` closes after the first byte of the body. Prints one JSON object: status, headers, wire bytes of the body
(framing included), seconds from the request to the first byte of the body and to the last, CPU seconds of this process.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
from urllib.parse import urlsplit

BUFFER = 4 * 2**20


def main(mode: str, url: str, limit: str) -> None:
    """Fetch, and print what was seen."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\nAccept: */*\r\n\r\n".encode()
    flags = socket.MSG_TRUNC if mode == "discard" else 0
    buffer = bytearray(BUFFER)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=float(limit)) as connection:
        began = time.perf_counter()
        connection.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(65536)
            if not received:
                raise SystemExit("the connection ended within the headers")
            head += received
        head, _, rest = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        expected = int(headers["content-length"]) if "content-length" in headers else None
        count = len(rest)
        first = time.perf_counter() if count else None
        while expected is None or count < expected:
            size = connection.recv_into(buffer, BUFFER, flags)
            if size == 0:
                break
            if first is None:
                first = time.perf_counter()
            count += size
            if mode == "first":
                break
        ended = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seen = {
        "status": int(lines[0].split()[1]),
        "headers": headers,
        "wire_bytes": count,
        "complete": expected is None or count >= expected,
        "first_byte": (first or ended) - began,
        "seconds": ended - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:4])
