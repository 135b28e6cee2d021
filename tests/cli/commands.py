"""Commands as a person runs them: a real server, real processes where that shows anything more."""

from __future__ import annotations

import base64
import gc
import http.client
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from unittest import mock
from urllib.parse import urlsplit

import structlog

from pannier.cli import main

REPOSITORY = Path(__file__).parent.parent.parent
LIMIT = 60.0
"""Seconds after which something is taken to hang; nothing is expected to take long."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with a home of its own and no setting of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PANNIER_", "XDG_"))}
    return {**kept, "HOME": str(home), "PYTHONUTF8": "1", "COLUMNS": "100", **more}


def pannier(
    *arguments: str | Path,
    home: Path,
    cwd: Path | None = None,
    apart: bool = False,
    encoding: str = "utf-8",
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no outcome may be a traceback.

    It is run in this process, as if in one of its own, since to start one takes a second; ``apart`` are those whose
    process itself is looked at, and whatever stays until it is stopped.
    """
    line, settings = [str(each) for each in arguments], environment(home, **more)
    if apart:
        done = subprocess.run(
            [sys.executable, "-m", "pannier", *line],
            env=settings,
            cwd=cwd or home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding=encoding,
            errors="surrogateescape",
            timeout=LIMIT,
            check=False,
        )
    else:
        done = _here(line, settings, cwd or home)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _here(line: list[str], settings: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    before = Path.cwd()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as err,
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.dict(os.environ, settings, clear=True),
        mock.patch.object(sys, "stdin", nothing),
        redirect_stdout(out),
        redirect_stderr(err),
        process_kept(),
    ):
        os.chdir(cwd)
        try:
            code = main(line)
        finally:
            os.chdir(before)
        said = [_said(stream) for stream in (out, err)]
    return subprocess.CompletedProcess(line, code, *said)


@contextmanager
def process_kept() -> Iterator[None]:
    """Undo what a command changes of the process it runs in: its log, its limits, how often garbage is looked for."""
    root, config, born = logging.getLogger(), structlog.get_config(), gc.get_threshold()
    handlers, level, limit = root.handlers[:], root.level, resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.configure(**config)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        gc.set_threshold(*born)


def _said(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], what: Callable[[], str]) -> None:
    """Wait for something that a process does; ``what`` says how far it came when it does not."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None or condition(), f"it ended with {process.returncode}: {what()}"
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


class Running:
    """A ``pannier`` that runs until it is told to stop; its output goes to files, so that no pipe can fill up.

    ``settings`` stand in its environment; ``around`` is a program, with arguments, that is to become it.
    """

    around: Sequence[str | Path] = ()

    def __init__(self, home: Path, *arguments: str | Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        number = sum(1 for _ in home.glob("out-*"))
        self._out, self._err = home / f"out-{number}", home / f"err-{number}"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*map(str, self.around), sys.executable, "-m", "pannier", *map(str, arguments)],
                env=environment(home, **(settings or {})),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until it has come so far."""
        wait_until(condition, self.process, lambda: f"out: {self.out}\nerr: {self.err}")

    def wait_said(self, text: str) -> None:
        """Wait until it has said something on stdout."""
        self.wait_for(lambda: text in self.out)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it by a signal, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT)

    def end(self) -> None:
        """Have nothing left of it, whatever a test did; what it logged holds no traceback."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        assert "Traceback" not in self.err, self.err


class Server(Running):
    """A ``pannier serve``."""

    def __init__(
        self,
        home: Path,
        *arguments: str | Path,
        state: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state or home / ".local" / "state" / "pannier"
        super().__init__(home, "serve", "--port", "0", "--manager-port", "0", *arguments, settings=settings)

    def runtime_file(self) -> Path | None:
        """Return the runtime file, if there is one."""
        return next(iter(self.state.glob("serve-*.json")), None)

    def runtime(self) -> dict[str, Any]:
        """Return what the runtime file says."""
        path = self.runtime_file()
        assert path is not None
        document = json.loads(path.read_text())
        assert isinstance(document, dict)
        return document

    def link(
        self, *arguments: str | Path, cwd: Path | None = None, apart: bool = False, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``pannier link --token`` against it."""
        return pannier("link", "--token", *arguments, home=self.home, cwd=cwd, apart=apart, **more)

    def url(self, *arguments: str | Path) -> str:
        """Return a link."""
        done = self.link(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def serving(
    home: Path, *arguments: str | Path, state: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run ``pannier serve`` on free ports until the block ends; ``settings`` stand in its environment."""
    server = Server(home, *arguments, state=state, settings=settings)
    try:
        server.wait_said("\n  reach ")  # the last line but warnings
        yield server
    finally:
        server.end()


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answered; headers by their lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object."""
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document


def ask(url: str, method: str = "GET", *, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask a server of this machine, whatever proxy the environment names; refusals are answers too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@contextmanager
def begun(url: str) -> Iterator[http.client.HTTPResponse]:
    """Begin a download and take next to nothing of it, so that the server has to wait; the block may read on."""
    parts = urlsplit(url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)  # before it connects, or it does not count
        client.settimeout(LIMIT)
        client.connect((parts.hostname, parts.port))
        connection = http.client.HTTPConnection(parts.netloc)
        connection.sock = client
        connection.request("GET", f"{parts.path}?{parts.query}")
        with connection.getresponse() as response:
            assert response.status == 200
            assert len(response.read(1)) == 1
            yield response


def claims(url: str) -> dict[str, Any]:
    """Return what the token of a link says; that needs no key."""
    payload = urlsplit(url).query.partition("token=")[2].split(".")[1]
    document = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(document, dict)
    return document


def certificate(folder: Path, name: str = "server") -> tuple[Path, Path]:
    """Make a self-signed certificate for this machine, and return its file and that of its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True, timeout=LIMIT)
    return cert, key


@dataclass(frozen=True)
class Chain:
    """Files of certificates: whom to trust, and what a server shows, its own first and then who vouches for it."""

    trusted: Path
    shown: Path
    key: Path


def chain(folder: Path) -> Chain:
    """Make a root, an authority that it vouches for, and a server's certificate from that authority."""

    def openssl(command: str, *more: str | Path) -> None:
        subprocess.run(
            ["openssl", *command.split(), *map(str, more)], check=True, capture_output=True, timeout=LIMIT, cwd=folder
        )

    fresh = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"]
    openssl(f"{fresh} -keyout root.key -out root.pem -subj /CN=root", *authority[2:])
    by_root = "-CA root.pem -CAkey root.key"
    openssl(f"{fresh} {by_root} -keyout between.key -out between.pem -subj /CN=between", *authority)
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    openssl(f"{fresh} -CA between.pem -CAkey between.key -keyout own.key -out own.pem -subj /CN=own", *names)
    shown = folder / "shown.pem"
    shown.write_text((folder / "own.pem").read_text() + (folder / "between.pem").read_text())
    return Chain(folder / "root.pem", shown, folder / "own.key")
