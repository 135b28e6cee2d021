"""Nobody waits for what a command does not need: which modules a process has loaded when it is done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import LIMIT, Server, environment, serving

PROGRAM = """
import sys
from pannier.cli import main
code = main(sys.argv[2:])
open(sys.argv[1], "w").write("\\n".join(sys.modules))
sys.exit(code)
"""
OF_A_SERVER = (
    "aiohttp.web",
    "cryptography",
    "jinja2",
    "jwt",
    "pannier.api",
    "pannier.config",
    "pannier.desk",
    "pannier.server",
    "pannier.services",
    "pannier.state",
    "pannier.streams",
    "pannier.volumes",
    "prometheus_client",
    "pydantic_settings",
    "sqlite3",
    "structlog",
    "zstandard",
)
OF_A_CONNECTION = ("aiohttp", "pannier.dto.json", "pannier.sdk", "yarl")
OF_LOOKS = ("rich", "typer.rich_utils")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "trip").mkdir()
    (home / "trip/a.txt").write_text("a")
    (home / "b.txt").write_text("b")
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip") as running:
        yield running


def loaded(home: Path, *arguments: str) -> set[str]:
    """Run a command, and return the modules that it has loaded, those above them too."""
    told = home / "modules"
    command = [sys.executable, "-c", PROGRAM, str(told), *arguments]
    done = subprocess.run(command, env=environment(home), cwd=home, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return set(told.read_text().splitlines())


@pytest.mark.parametrize("line", ["--help", "get --help", "completion bash"])
def test_who_asks_for_help_waits_for_no_server_and_no_connection(home: Path, line: str) -> None:
    found = loaded(home, *line.split())
    assert found & {*OF_A_SERVER, *OF_A_CONNECTION, *OF_LOOKS} == set()


def test_a_download_loads_no_model_and_no_other_command(home: Path, server: Server) -> None:
    found = loaded(home, "get", server.url("trip"), "-o", str(home / "out.zip"))
    others = {f"pannier.cli.{name}" for name in ("checksums", "link", "plan", "put", "serve", "servers")}
    assert found & {*OF_A_SERVER, *OF_LOOKS, *others, "pannier.dto.json", "pannier.sdk.manager"} == set()


@pytest.mark.parametrize("line", ["ls trip", "link trip", "put b.txt trip/"])
def test_commands_of_a_client_load_nothing_of_a_server(home: Path, server: Server, line: str) -> None:
    found = loaded(home, *line.split())
    assert found & {*OF_A_SERVER, *OF_LOOKS} == set()
    assert "pannier.sdk.downloads" not in found
