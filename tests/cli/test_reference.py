"""The reference of commands is that of the code, and each help ends with an example that works."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pannier.cli import application
from pannier.cli.reference import commands, commands_reference, examples
from tests.cli.commands import LIMIT, REPOSITORY, Running, environment, serving
from tests.cli.here import at_home

COMMANDS: dict[str, Any] = {" ".join(path[1:]): each for path, each in commands(typer.main.get_command(application()))}
RUN_ON = ("serve", "proxy")
"""What runs until it is told to stop."""
ANY_PORT = {
    "PANNIER_API__CLIENT__SERVICE_ADDR": "127.0.0.1:0",
    "PANNIER_API__MANAGER__SERVICE_ADDR": "127.0.0.1:0",
    "PANNIER_API__MANAGER__INTERNAL_ADDR": "127.0.0.1:0",
}


def test_the_reference_on_the_page_is_that_of_the_code() -> None:
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    begin, end = "<!-- made by `make commands` -->\n\n", "\n\n<!-- end of what is made -->"
    assert page.partition(begin)[2].partition(end)[0] == commands_reference()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_ends_with_an_example_of_its_command(name: str) -> None:
    lines = examples(COMMANDS[name])
    assert lines
    assert all(f"pannier {name}" in line for line in lines)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    for name in ("trip/2026", "trip/data", "trip/notes", "trip/old", "music", "Fotos", "keys"):
        (home / name).mkdir(parents=True)
        (home / name / "a.txt").write_text("a")
    (home / "trip/notes/todo.txt").write_text("go")
    (home / "video.mov").write_bytes(b"v" * 100_000)
    (home / "storage-proxy.toml").write_text(
        f"""
        [storage-proxy]
        secret = "{"s" * 43}"
        session-expire = "1d"
        [api.client]
        service-addr = "127.0.0.1:0"
        [api.manager]
        service-addr = "127.0.0.1:0"
        internal-addr = "127.0.0.1:0"
        secret = "{"m" * 43}"
        [state]
        path = "{home}/proxy"
        """
    )
    with serving(home, home / "trip"):
        yield home


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(RUN_ON) - {"get"}))
def test_each_example_works(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In this process, but for what a shell does."""
    run = at_home(home, monkeypatch, capfd)
    for line in examples(COMMANDS[name]):
        if not set(line) & set(">$|"):
            done = run(*shlex.split(line.replace("~", str(home)))[1:])
            assert done.code == 0, (line, done.err)
            continue
        script = f'pannier() {{ "{sys.executable}" -m pannier "$@"; }}; {line}'
        command = ["bash", "-euc", script]
        subprocess.run(command, env=environment(home), cwd=home, stdin=subprocess.DEVNULL, check=True, timeout=LIMIT)


@pytest.mark.parametrize("name", RUN_ON)
def test_servers_start_as_the_examples_say(home: Path, tmp_path: Path, name: str) -> None:
    (line,) = examples(COMMANDS[name])
    arguments = [os.path.expandvars(each).replace("~", str(home)) for each in line.split()[1:]]
    if name == "serve":
        arguments[-1] = "0"  # that port may be in use
        arguments += ["--manager-port", "0", "--state", str(tmp_path)]
    else:
        arguments[-1] = str(home / arguments[-1])
    server = Running(tmp_path, *arguments, settings=ANY_PORT if name == "serve" else {})
    try:
        server.wait_said("\n  ")
        assert server.stop() == 0
    finally:
        server.end()
