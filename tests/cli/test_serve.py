"""``pannier serve``, before a stand-in for the server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pannier import __version__
from pannier.cli.serve import folder_id
from tests.cli.commands import pannier, serving

FAKE = "tests.cli.fake_server"


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    (tmp_path / "trip").mkdir()
    return tmp_path / "trip"


def test_a_start_says_what_is_in_force_and_a_stop_cleans_up(tmp_path: Path, trip: Path) -> None:
    """The folders, the addresses, how to make a link, who can reach it; and the runtime file tells the same."""
    with serving(tmp_path, trip) as server:
        runtime = server.runtime()
        path = server.runtime_file()
        assert path is not None
        assert path.stat().st_mode & 0o777 == 0o600
        assert runtime["pid"] == server.process.pid
        assert runtime["version"] == __version__
        assert runtime["folders"] == [
            {"name": "trip", "path": str(trip), "volume": "trip", "folder_id": str(folder_id(str(trip)))}
        ]
        out, err = server.stop()
        assert server.process.returncode == 0
        assert server.runtime_file() is None
    assert out.splitlines() == [
        f"pannier {__version__}: 1 folder",
        "  trip      ~/trip",
        f"  client    {runtime['client_url']}",
        f"  manager   {runtime['manager_url']}",
        "  link      pannier link trip    (or paths inside it)",
        "  state     ~/.local/state/pannier",
        "  reach     this machine only; --host 0.0.0.0 opens it to the network",
    ]
    assert err == "stopping: 1 download has up to 30 s to finish; press again to cut it\n"
    secrets = (tmp_path / ".local/state/pannier/secrets.json").read_text()
    assert runtime["manager_secret"] in secrets
    assert runtime["manager_secret"] not in out + err


def test_folders_are_named_apart(tmp_path: Path, trip: Path) -> None:
    """By base name; a second one of the same name is told by a number."""
    (tmp_path / "b" / "trip").mkdir(parents=True)
    with serving(tmp_path, trip, tmp_path / "b" / "trip", "/") as server:
        assert [(each["name"], each["path"]) for each in server.runtime()["folders"]] == [
            ("trip", str(trip)),
            ("trip (2)", str(tmp_path / "b" / "trip")),
            ("root", "/"),
        ]


def test_one_directory_named_twice_is_wrong_usage(tmp_path: Path, trip: Path) -> None:
    """Also through a link: both would be one folder."""
    (tmp_path / "same").symlink_to(trip)
    done = pannier("serve", "--port", "0", "--manager-port", "0", trip, "same", home=tmp_path, module=FAKE)
    assert done.returncode == 2
    assert done.stderr == f"pannier: 'same' and {str(trip)!r} are one directory; name it once\n"


def test_folder_ids_follow_the_real_path() -> None:
    """The same at every start; undecodable names have one as well."""
    assert folder_id("/a") == folder_id("/a")
    assert folder_id("/a") != folder_id("/b")
    assert folder_id(os.fsdecode(b"/\xff")) != folder_id("/%FF")


def test_secrets_stay_the_same_over_restarts(tmp_path: Path, trip: Path) -> None:
    """So that links given out stay good."""
    found = set()
    for _ in range(2):
        with serving(tmp_path, trip) as server:
            found.add(server.runtime()["manager_secret"])
            server.stop()
    assert len(found) == 1


def test_state_and_settings_can_stand_elsewhere(tmp_path: Path, trip: Path) -> None:
    """A secret of the settings wins over the kept one, and the link command says where the state is."""
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(f'drain-seconds = 5\n[api.manager]\nsecret = "{"c" * 43}"\n')
    state = tmp_path / "my state"
    with serving(tmp_path, trip, "--config", config, "--state", state, "--host", "0.0.0.0", state=state) as server:
        assert server.runtime()["manager_secret"] == "c" * 43
        out, err = server.stop()
    assert f"  link      pannier link --state '{state}' trip    (or paths inside it)" in out.splitlines()
    assert (
        "  reach     every machine that reaches this one, without TLS; only a link opens anything" in out.splitlines()
    )
    assert "up to 5 s" in err


def test_a_used_port_is_one_line_that_names_the_flag(tmp_path: Path, trip: Path) -> None:
    """And leaves no runtime file."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ("serve", "--port", str(port), "--manager-port", "0", trip)
        done = pannier(*arguments, home=tmp_path, module=FAKE)
    assert done.returncode == 1
    told = f"api.client.service-addr: '127.0.0.1:{port}' is in use; choose another one with --port"
    assert done.stderr == f"pannier: {told}\n"
    assert list((tmp_path / ".local/state/pannier").glob("serve-*")) == []


def test_equal_ports_are_refused(tmp_path: Path, trip: Path) -> None:
    """Before anything is opened."""
    done = pannier("serve", "--port", "6100", "--manager-port", "6100", trip, home=tmp_path, module=FAKE)
    assert done.returncode == 1
    assert "is taken by api.client.service-addr" in done.stderr
    assert "--manager-port" in done.stderr


@pytest.mark.parametrize("host", ["", "no host", "a:b", "[::1"])
def test_a_host_that_is_none_is_one_line(tmp_path: Path, trip: Path, host: str) -> None:
    """And no traceback."""
    done = pannier("serve", "--host", host, trip, home=tmp_path, module=FAKE)
    assert done.returncode == 1
    assert done.stderr.startswith("pannier: api.client.service-addr: ")


def test_secrets_that_others_can_read_stop_the_start(tmp_path: Path, trip: Path) -> None:
    """With chmod as the way out."""
    with serving(tmp_path, trip) as server:
        server.stop()
    (server.state / "secrets.json").chmod(0o644)
    done = pannier("serve", "--port", "0", "--manager-port", "0", trip, home=tmp_path, module=FAKE)
    assert done.returncode == 1
    assert "others can read this file of secrets; chown it to yourself and chmod 600" in done.stderr
