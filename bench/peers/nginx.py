"""nginx with sendfile and one worker: what a C server reaches that only copies a file to a socket.

Debian's configuration has ``tcp_nopush on``, nginx's own default is off. With it the kernel holds back what a call of
sendfile gave it (``TCP_CORK``, tcp(7)) until there is half a window; on loopback, where TCP is paced, the rest leaves
when the client's acknowledgements come, on the client's processor time, and only one of the two works at a time.

nginx has the congestion control that the system has. Where that is BBR, ours has Reno on loopback, and so has one of
the variants here: each is given its listening socket, by the variable with which nginx hands its sockets on when it is
upgraded.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.complaints import Unavailable
from bench.peers.base import Peer, Serving, answers
from bench.peers.pacing import unpace
from bench.processes import ServerProcess

_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {scratch}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush {nopush};
    default_type application/octet-stream;
    client_body_temp_path {scratch}/nginx-body;
    proxy_temp_path {scratch}/nginx-proxy;
    fastcgi_temp_path {scratch}/nginx-fastcgi;
    uwsgi_temp_path {scratch}/nginx-uwsgi;
    scgi_temp_path {scratch}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
    }}
}}
"""


class Nginx(Peer):
    """The file as it is: no archive around it, no checksum of it."""

    kind = "file"
    large_rate = 2500.0

    def __init__(self, name: str = "nginx", *, nopush: bool = True, unpaced: bool = False) -> None:
        self.name, self._nopush, self._unpaced = name, "on" if nopush else "off", unpaced
        tcp = "TCP Reno, as ours" if unpaced else "TCP as the system has it"
        self.title = f"nginx, static file, sendfile, tcp_nopush {self._nopush}, {tcp}"

    def prepare(self, rooms: Path) -> None:
        self._program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if self._program is None:
            raise Unavailable("nginx is not installed (apt-get install nginx-light)")
        with socket.socket() as probe:
            if self._unpaced and not unpace(probe):
                raise Unavailable("the system does not pace TCP by BBR: it would be as without")

    def version(self) -> str:
        said = subprocess.run(
            [str(self._program), "-v"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
        return said.strip().rpartition("/")[2]

    @contextmanager
    def serve(self, folder: Path, scratch: Path, *, deflate: bool) -> Iterator[Serving]:
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)  # nginx does so with those that it makes itself
            if self._unpaced:
                unpace(listening)
            listening.bind(("127.0.0.1", 0))
            listening.listen(511)  # nginx's own backlog
            port = listening.getsockname()[1]
            user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
            configuration = scratch / "nginx.conf"
            configuration.write_text(
                _CONFIGURATION.format(user=user, nopush=self._nopush, scratch=scratch, port=port, folder=folder)
            )
            home = f"http://127.0.0.1:{port}"
            command = [str(self._program), "-c", str(configuration), "-e", "stderr"]
            inherited = listening.fileno()
            with ServerProcess(
                command,
                scratch / "nginx.log",
                answers(home),
                environment=os.environ | {"NGINX": f"{inherited};"},
                descriptors=[inherited],
            ) as process:
                yield Serving(process, lambda part: f"{home}/{part}")
