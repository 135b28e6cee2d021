"""A real `pannier proxy` for tests: a configuration, a volume in upstream's layout, and what its manager asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.commands import Answer, Running, ask

TOKEN_SECRET, MANAGER_SECRET = "key-of-every-token-" + "t" * 24, "secret-of-the-manager-" + "m" * 24
FOLDER = "user:5e67aac8-ba94-470e-a117-2f603ea62b3a/ce8c6955c00e4f3ca5cfbf5f3a36d89d"
FOLDER_PATH = "5e67aac8ba94470ea1172f603ea62b3a/ce/8c/6955c00e4f3ca5cfbf5f3a36d89d"
LEGACY, LEGACY_PATH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "0f/1e/2d3c4b5a69788796a5b4c3d2e1f0"
MINT = "/folder/file/archive-download-token"


def toml(volume: Path, *, client: str = "", manager: str = "", client_addr: str = "127.0.0.1:0") -> str:
    """Return a configuration file in upstream's keys; tables of the listeners may have more lines."""
    return f"""
[storage-proxy]
secret = "{TOKEN_SECRET}"
session-expire = "1h"
node-id = "here"
[api.client]
service-addr = "{client_addr}"
{client}
[api.manager]
service-addr = {{ host = "127.0.0.1", port = 0 }}
internal-addr = "127.0.0.1:0"
secret = "{MANAGER_SECRET}"
{manager}
[volume.local]
backend = "vfs"
path = "{volume}"
fsprefix = "."
[volume.local.options]
clock-granularity = 0.02
[etcd]
addr = {{ host = "127.0.0.1", port = 2379 }}
"""


class Proxy(Running):
    """A ``pannier proxy`` and what its manager asks of it."""

    def __init__(self, home: Path, config: str, **settings: str) -> None:
        file = home / "proxy.toml"
        file.touch(0o600)
        file.write_text(config)
        super().__init__(home, "proxy", "--config", file, settings=settings)

    def said(self, name: str) -> str:
        """Return what a line of the start says, such as the URL of a listener."""
        return next(line.split()[1] for line in self.out.splitlines() if line.startswith(f"  {name} "))

    def manage(self, path: str, body: object = None, *, method: str = "POST", secret: str = MANAGER_SECRET) -> Answer:
        """Ask the manager-facing listener."""
        headers = {"X-BackendAI-Storage-Auth-Token": secret, "Content-Type": "application/json"}
        return ask(self.said("manager") + path, method, body=body, headers=headers)

    def mint(self, *files: str, folder: str = FOLDER, **more: Any) -> dict[str, Any]:
        """Return what a request for a token was answered."""
        body = {"volume": "local", "virtual_folder_id": folder, "files": files, **more}
        answer = self.manage(MINT, body)
        assert answer.status == 200, answer.body
        return answer.document

    def archive(self, token: str) -> str:
        """Return where a token is spent."""
        return f"{self.said('client')}/download-archive?token={token}"


@contextmanager
def proxying(home: Path, config: str, **settings: str) -> Iterator[Proxy]:
    """Run a proxy until the block ends. Whatever happened, nothing that it said holds a secret or a token."""
    proxy = Proxy(home, config, **settings)
    try:
        proxy.wait_said("\n  state ")
        yield proxy
    finally:
        proxy.end()
        said = proxy.out + proxy.err
        assert not [each for each in (TOKEN_SECRET, MANAGER_SECRET, "eyJ") if each in said]
