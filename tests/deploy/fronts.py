"""Real reverse proxies, started by the recipes of `deploy/` as they stand but for addresses and places."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.commands import LIMIT, REPOSITORY, Answer, certificate
from tests.e2e.listening import listening

RECIPES = REPOSITORY / "deploy"
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

_AROUND_NGINX = """
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    include {recipe};
}}
"""


@dataclass(frozen=True)
class Front:
    """A running reverse proxy that speaks TLS.

    Attributes:
        port: Where it listens on 127.0.0.1.
        trusted: The certificate that it shows.
        place: Everything that it writes.
    """

    name: str
    port: int
    trusted: Path
    place: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def version(self) -> tuple[int, ...]:
        """Return what the program is of, such as (2, 6, 2)."""
        said = subprocess.run([self.name, "version"], capture_output=True, text=True, check=True, timeout=LIMIT).stdout
        return tuple(map(int, said.split()[0].removeprefix("v").partition("-")[0].split(".")))

    def connect(self, *, source: str = "127.0.0.1", receive: int | None = None) -> ssl.SSLSocket:
        """Connect from an address of this machine; ``receive`` is the size of the receive buffer in bytes."""
        plain = socket.socket()
        plain.settimeout(LIMIT)
        if receive is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)  # before it connects, or it does not count
        plain.bind((source, 0))
        plain.connect(("127.0.0.1", self.port))
        context = ssl.create_default_context(cafile=str(self.trusted))
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(
        self,
        target: str,
        method: str = "GET",
        *,
        body: bytes | None = None,
        source: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request over HTTP/1.1; a body that ends too early raises ``http.client.IncompleteRead``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect(source=source)
        try:
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    def written(self) -> bytes:
        """Return all that it has logged."""
        return b"".join(path.read_bytes() for path in self.place.rglob("*") if path.suffix in (".log", ".said"))


def recipe(name: str, changes: Mapping[str, str]) -> str:
    """Return a recipe with other addresses and places; each of those that are replaced has to be there."""
    text = (RECIPES / name).read_text()
    for old, new in changes.items():
        assert old in text, f"deploy/{name} no longer says {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def front(name: str, upstream: str, port: int, place: Path) -> Iterator[Front]:
    """Run nginx or Caddy at a port before a listener (host and port) of Pannier until the block ends."""
    place.mkdir()
    cert, key = certificate(place)
    common = {
        "127.0.0.1:6021": upstream,
        "/etc/pannier/tls/fullchain.pem": str(cert),
        "/etc/pannier/tls/privkey.pem": str(key),
    }
    config = place / "recipe.conf"
    program = shutil.which(name, path=_PATH)
    assert program is not None, f"{name} is missing: tests/tools.sh installs it"
    if name == "nginx":
        config.write_text(
            recipe("nginx.conf", {**common, "listen 443 ": f"listen 127.0.0.1:{port} ", "/var/log/nginx": str(place)})
        )
        around = place / "nginx.conf"
        around.write_text(_AROUND_NGINX.format(place=place, recipe=config))
        command = [program, "-p", str(place), "-c", str(around), "-e", str(place / "start.log")]
    else:
        changes = {**common, "\nfiles.example.com {": f"\nhttps://127.0.0.1:{port} {{", "/var/log/caddy": str(place)}
        text = recipe("Caddyfile", changes)
        # port 80, where Caddy would send browsers on from, is not the tests'
        config.write_text(text.replace("\n{\n", "\n{\n\tauto_https disable_redirects\n", 1))
        command = [program, "run", "--adapter", "caddyfile", "--config", str(config)]
    environment = {
        **os.environ,
        "HOME": str(place),
        "XDG_DATA_HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
        "CADDY_ADMIN": f"unix/{place}/admin.sock",
    }
    with (place / f"{name}.said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, cwd=place)
    it = Front(name, port, cert, place)
    with listening(process, port, lambda: it.written().decode()):
        yield it
