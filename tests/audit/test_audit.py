"""An audit that could not ask does not look like one that found nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.audit.__main__ import FULL_OF_HOLES, REPOSITORY

HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"sound==1.0 {HASH}\nworn==2.0 {HASH}\n"
KNOWN = FULL_OF_HOLES.partition("==")[0]


@contextmanager
def service(holes: Mapping[str, str], status: int = 200) -> Iterator[str]:
    """An advisory service that speaks OSV's protocol, as pip-audit asks it; ``holes`` by package."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": []}]
            told = {"vulns": [{"id": holes[asked], "affected": affected}]} if asked in holes else {}
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/query"
        finally:
            server.shutdown()
            thread.join()


def audited(lock: Path, url: str) -> subprocess.CompletedProcess[str]:
    options = ["--vulnerability-service", "osv", "--osv-url", url]
    return subprocess.run(
        [sys.executable, "-m", "tests.audit", "--lock", str(lock), "--", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("holes", "status", "lock", "code", "said"),
    [
        ({}, 200, LOCK, 2, f"NOT AUDITED: the service that was asked tells of no hole even in {FULL_OF_HOLES}"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in (
                ({KNOWN: "GHSA-1"}, 200, LOCK, 0, "2 packages were asked about\nnone has a known hole"),
                ({KNOWN: "GHSA-1", "worn": "GHSA-2"}, 200, LOCK, 1, "worn 2.0: GHSA-2, mended in no version"),
                ({KNOWN: "GHSA-1"}, 404, LOCK, 2, "NOT AUDITED: pip-audit came to no answer"),
                ({KNOWN: "GHSA-1"}, 200, "# nothing\n", 2, "names no package"),
            )
        ),
    ],
    ids=["a service without advisories", "sound", "a hole", "no service", "nothing to ask about"],
)
def test_what_an_audit_comes_to(
    tmp_path: Path, holes: dict[str, str], status: int, lock: str, code: int, said: str
) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(lock)
    with service(holes, status) as url:
        done = audited(path, url)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
