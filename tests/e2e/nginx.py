"""An nginx before a server, with limits that people leave as they are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.listening import listening

CONFIG = """
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log {place}/access.log;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size {largest};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout {patience}s;
        }}
    }}
}}
"""


@contextmanager
def nginx(upstream: int, port: int, place: Path, *, patience: int = 60, largest: str = "1m") -> Iterator[None]:
    """Run an nginx at a port before another; it waits for so many seconds, and takes bodies up to the largest."""
    program = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
    assert program is not None, "nginx is missing: tests/tools.sh installs it"
    place.mkdir()
    config, errors = place / "nginx.conf", place / "error.log"
    config.write_text(CONFIG.format(place=place, port=port, upstream=upstream, patience=patience, largest=largest))
    with errors.open("ab") as log:
        process = subprocess.Popen([program, "-p", place, "-c", config, "-e", errors], stdout=log, stderr=log)
    with listening(process, port, errors.read_text):
        yield
