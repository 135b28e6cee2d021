"""``--json``: one document from each command, an object a line from what runs on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import typer

from pannier.cli import application
from pannier.cli.reference import commands
from tests.cli.commands import Running, Server, ask
from tests.cli.here import Run, at_home

CONFIG = f"""
[storage-proxy]
secret = "{"s" * 43}"
session-expire = "1d"
max-upload-size = "8g"
[api.client]
service-addr = "127.0.0.1:0"
[api.manager]
service-addr = "127.0.0.1:0"
internal-addr = "127.0.0.1:0"
secret = "{"m" * 43}"
[state]
path = "STATE"
[volume.local]
backend = "posix"
path = "VOLUME"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    path = tmp_path / "storage-proxy.toml"
    path.touch(0o600)
    path.write_text(CONFIG.replace("STATE", str(tmp_path / "state")).replace("VOLUME", str(tmp_path / "volume")))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return at_home(tmp_path, monkeypatch, capfd)


def test_every_command_takes_it_but_the_one_that_prints_a_program() -> None:
    root: Any = typer.main.get_command(application())
    without = [
        " ".join(path[1:])
        for path, command in commands(root)
        if not any("--json" in option.opts for option in command.params if option.param_type_name == "option")
    ]
    assert without == ["completion"]


def events(server: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.out.splitlines()]


def test_serve_says_when_it_is_ready_and_where(tmp_path: Path) -> None:
    """And that it stops; the log on stderr is JSON alone, as ever."""
    (tmp_path / "trip").mkdir()
    server = Server(tmp_path, tmp_path / "trip", "--json", "--read-only")
    try:
        server.wait_said("\n")
        (ready,) = events(server)
        assert (ready["event"], ready["pid"], ready["read_only"], ready["public"]) == (
            "ready",
            server.process.pid,
            True,
            False,
        )
        assert [(each["name"], each["path"]) for each in ready["folders"]] == [("trip", str(tmp_path / "trip"))]
        runtime = server.runtime()
        assert (ready["client_url"], ready["manager_url"]) == (runtime["client_url"], runtime["manager_url"])
        assert ready["folders"][0]["id"] == runtime["folders"][0]["folder_id"]
        assert ready["page"] == f"{runtime['client_url']}/"
        assert ask(ready["sign_in"], headers={"Accept": "text/html"}).status == 200
        assert runtime["manager_secret"] not in server.out
        assert server.stop(signal.SIGINT) == 0
        assert events(server)[1:] == [{"event": "stopping", "requests": 0, "seconds": 30.0}]
        assert all(json.loads(line) for line in server.err.splitlines())
    finally:
        server.end()


def test_a_proxy_says_the_same_of_its_listeners_and_volumes(tmp_path: Path, config: Path) -> None:
    server = Running(tmp_path, "proxy", "--config", config, "--json")
    try:
        server.wait_said("\n")
        (ready,) = events(server)
        assert ready["volumes"] == [{"name": "local", "backend": "posix", "path": str(tmp_path / "volume")}]
        assert ask(f"{ready['internal_url']}/readyz").status == 200
        assert server.stop() == 0
        assert [each["event"] for each in events(server)] == ["ready", "stopping"]
    finally:
        server.end()


def test_a_server_that_cannot_start_says_so_in_the_same_form(run: Run, config: Path) -> None:
    config.write_text(config.read_text().replace("posix", "poxis"))
    for command in ("proxy", "check-config"):
        done = run(command, "--config", config, "--json")
        problem = done.document["problem"]
        assert (done.code, problem["type"], problem["key"]) == (1, "config-invalid", "volume.local.backend")
        assert problem["title"].startswith("volume.local.backend: 'poxis' is not a backend")


def test_check_config_tells_each_setting(run: Run, config: Path, tmp_path: Path) -> None:
    done = run("check-config", "--config", config, "--json")
    told = {each["key"]: (each["value"], each["default"]) for each in done.document["settings"]}
    assert (done.code, done.err, done.document["ok"], done.document["warnings"]) == (0, "", True, [])
    assert told["storage-proxy.max-upload-size"] == ("8g", False)
    assert told["api.client.ssl-enabled"] == (False, True)
    assert told["volume.local.path"] == (str(tmp_path / "volume"), False)
    assert told["storage-proxy.secret"] == ("(secret, 43 bytes)", False)
    shown = run("check-config", "--config", config).out.splitlines()
    assert [line.partition(" = ")[0] for line in shown] == list(told)


def test_keys_are_told(run: Run, tmp_path: Path) -> None:
    shared = run("keys", "new", "old", "--alg", "HS256", "--json").document
    assert (shared["ok"], shared["kid"], shared["alg"], len(shared["secret"])) == (True, "old", "HS256", 43)
    pair = run("keys", "new", "--json").document
    assert Path(pair["private_key"]).read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert (Path(pair["private_key"]).stem, pair["public_key"]) == (
        pair["kid"],
        str(tmp_path / f"{pair['kid']}.pub.pem"),
    )
    again = run("keys", "new", pair["kid"], "--json")
    assert (again.code, again.err, "cannot be written" in again.document["problem"]["title"]) == (1, "", True)


def test_checksums_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    for number in range(3):
        (tmp_path / f"trip/{number}.bin").write_bytes(os.urandom(70_000))
        os.utime(tmp_path / f"trip/{number}.bin", (1_700_000_000, 1_700_000_000))
    learnt = run("checksums", "warm", "trip", "--json")
    assert learnt.code == 0, learnt.err
    assert (learnt.document["learnt"], learnt.document["known"], learnt.document["skipped"]) == (3, 0, [])
    assert run("checksums", "warm", "trip", "--json").document["known"] == 3
    stats = run("checksums", "stats", "--json").document
    assert (stats["ok"], stats["checksums"], stats["mismatches"]) == (True, 3, 0)
    assert run("checksums", "verify", "trip", "--json").document["compared"] == 3
