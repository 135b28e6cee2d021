"""copyparty, a file server in Python that gives any folder as `?zip`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import LibraryPeer, Serving, answers, free_port
from bench.processes import ServerProcess


class Copyparty(LibraryPeer):
    """Its own server, with its defaults; read access to one folder for everyone."""

    name, title = "copyparty", "copyparty ?zip"
    requirement, others = "copyparty==1.20.26", ()
    large_rate, small_rate = 1750.0, 110.0

    @contextmanager
    def serve(self, folder: Path, scratch: Path, *, deflate: bool) -> Iterator[Serving]:
        port = free_port()
        home = f"http://127.0.0.1:{port}"
        command = [str(self._python), "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port), "--http-only"]
        command += ["-v", f"{folder}::r", "--hist", str(scratch / "copyparty-hist")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        clean |= {"XDG_CONFIG_HOME": str(scratch / "copyparty-config"), "PRTY_NO_TLS": "1"}
        (scratch / "copyparty-config").mkdir(exist_ok=True)
        with ServerProcess(
            command, scratch / "copyparty.log", answers(home), environment=clean, cwd=scratch
        ) as process:
            yield Serving(process, lambda part: f"{home}/{'' if part == '.' else part + '/'}?zip")
