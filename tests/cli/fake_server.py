"""The command line before a stand-in for ``pannier.server``, so that its half is tested without the other.

Run as a program: ``python -m tests.cli.fake_server ARGUMENTS…``. The stand-in listens for the manager, checks the
secret, and answers a request for a token by the names of the files asked for.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override

from pannier.config import Settings
from pannier.dto.ids import FolderId
from pannier.errors import ConfigInvalid


@dataclass(frozen=True)
class ServedFolder:
    """As in ``pannier.server``."""

    name: str
    path: Path
    folder_id: FolderId


@dataclass(frozen=True)
class Listening:
    """As in ``pannier.server``."""

    client_url: str
    manager_url: str
    internal_url: str | None


REFUSAL = {
    "type": "https://example.invalid/probs/selection-refused",
    "title": "the selection cannot be archived",
    "status": 400,
    "entries": 216,
    "total": 2,
    "offenders": [
        {"path": "photos/raw x", "code": "link-outside", "detail": "a link that leaves"},
        {"path": "run/a.sock", "code": "special-file", "detail": "a socket"},
    ],
}


def answer(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return status and document for a request: its first file says what is to happen."""
    match request["files"][0]:
        case "refused":
            return 400, REFUSAL
        case "declined":
            return 503, {"type": "x/unavailable", "title": "stopping", "detail": "the server is stopping"}
        case "running":
            return 200, {"token": "a.b-c_d", "plan": "running"}
        case "strange":
            return 200, {"hello": "world"}
    echo = json.dumps(request, sort_keys=True).encode().hex()
    return 200, {"token": echo, "plan": "done", "entries": 1213, "length": 3_116_457_222, "etag": '"e"'}


def run(
    settings: Settings,
    *,
    folders: Sequence[ServedFolder] = (),
    internal: bool = True,
    on_ready: Callable[[Listening], None],
    on_drain: Callable[[int], None],
) -> int:
    """Serve until a signal; the second one cuts."""
    manager_secret = settings.api.manager.secret.get_secret_value()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = answer(body)
            if self.headers["X-BackendAI-Storage-Auth-Token"] != manager_secret:
                status, document = 403, {"type": "x/storage/forbidden", "title": "wrong secret"}
            if self.path != "/folder/file/archive-download-token":
                status, document = 404, {"type": "x/not-found", "title": "no such route"}
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    client, manager = settings.api.client.service_addr, settings.api.manager.service_addr
    with socket.socket() as listener:
        try:
            listener.bind((client.host, client.port))
        except OSError:
            key, reason = "api.client.service-addr", f"'{client}' is in use"
            raise ConfigInvalid(key, reason, "choose another port") from None
        httpd = ThreadingHTTPServer((manager.host, manager.port), Handler)
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        internal_url = f"http://{settings.api.manager.internal_addr}" if internal else None
        on_ready(
            Listening(
                f"http://{client.host}:{listener.getsockname()[1]}",
                f"http://127.0.0.1:{httpd.server_port}",
                internal_url,
            )
        )
        while not stopped.wait(0.02):
            pass
        on_drain(1)
        httpd.shutdown()
        httpd.server_close()
    return 0


if __name__ == "__main__":
    module = types.ModuleType("pannier.server")
    vars(module).update(run=run, ServedFolder=ServedFolder, Listening=Listening)
    sys.modules["pannier.server"] = module
    import pannier

    vars(pannier)["server"] = module
    from pannier.cli import main

    sys.exit(main())
