"""``pannier serve``."""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pannier import __version__
from pannier.cli.hosting import drain_line
from pannier.cli.serve import folder_id, served_folders
from tests.cli.commands import LIMIT, ask, begun, environment, pannier, serving

LARGE = 64 * 1024 * 1024
"""Bytes: many times what sockets of this machine hold."""
FREE = ("serve", "--port", "0", "--manager-port", "0")


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    (tmp_path / "trip").mkdir()
    return tmp_path / "trip"


@pytest.fixture
def large(trip: Path) -> Path:
    """The same with more in it than can be on its way."""
    with (trip / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    return trip


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
        assert ask(runtime["client_url"] + "/").document["type"] == "client-facing"
        assert ask(runtime["manager_url"] + "/").document["type"] == "manager-facing"
        assert server.stop() == 0
        assert server.runtime_file() is None
        lines = server.out.splitlines()
        sign_in = next(line for line in lines if line.startswith("  sign in   "))
        address = rf"{re.escape(runtime['client_url'])}/enter\?key=(\w{{4}}-){{2}}\w{{4}}"
        assert re.fullmatch(rf"  sign in   {address}    \(once, within 15 min\)", sign_in)
        assert [line for line in lines if line != sign_in] == [
            f"pannier {__version__}: 1 folder, read and write, sign-in required",
            "  trip      ~/trip",
            f"  client    {runtime['client_url']}",
            f"  manager   {runtime['manager_url']}",
            f"  page      {runtime['client_url']}/",
            "  link      pannier link trip    (or paths inside it)",
            "  state     ~/.local/state/pannier",
            "  reach     this machine only; --host 0.0.0.0 opens it to the network",
            "stopping: no request runs",
        ]
        assert {urlsplit(runtime[url]).hostname for url in ("client_url", "manager_url")} == {"127.0.0.1"}
        secrets = (server.state / "secrets.json").read_text()
        assert runtime["manager_secret"] in secrets
        assert runtime["manager_secret"] not in server.out + server.err
        kept = ("checksums.db", "checksums.db.lock", "secrets.json", "secrets.lock", "state.db", "state.db.lock")
        assert {each.name: each.stat().st_mode & 0o077 for each in server.state.iterdir()} == dict.fromkeys(kept, 0)


def test_two_folders_of_one_name_are_told_apart_and_served(tmp_path: Path, trip: Path) -> None:
    """By base name; a second one of the same name is told by a number, in links too."""
    other = tmp_path / "b" / "trip"
    other.mkdir(parents=True)
    (trip / "first.txt").touch()
    (other / "second.txt").touch()
    with serving(tmp_path, trip, other) as server:
        assert [(each["name"], each["path"]) for each in server.runtime()["folders"]] == [
            ("trip", str(trip)),
            ("trip (2)", str(other)),
        ]
        first = f"pannier {__version__}: 2 folders, read and write, sign-in required"
        assert server.out.splitlines()[:3] == [first, "  trip      ~/trip", "  trip (2)  ~/b/trip"]
        for name, held in (("trip", "first.txt"), ("trip (2)", "second.txt")):
            body = ask(server.url(name)).body
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                assert archive.namelist() == [held]


def test_names_of_folders_are_unique_and_short(tmp_path: Path) -> None:
    """Also beside the volumes of the settings; undecodable bytes are escaped."""
    odd, long = tmp_path / os.fsdecode(b"\xff"), tmp_path / ("x" * 200)
    folders = served_folders([Path("/"), odd, long, tmp_path / "y" / long.name, tmp_path / "a"], {"a", "a (2)"})
    assert [each.name for each in folders] == ["root", "\\xff", "x" * 64, "x" * 64 + " (2)", "a (3)"]


def test_a_configured_volume_is_not_shadowed_by_a_folder_of_its_name(tmp_path: Path, trip: Path) -> None:
    """Both are served, and both are said."""
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(f'[volume.trip]\nbackend = "posix"\npath = "{tmp_path}"\n')
    with serving(tmp_path, trip, "--config", config) as server:
        assert [each["name"] for each in server.runtime()["folders"]] == ["trip (2)"]
        assert f"  trip (2)  ~/trip\n  volume    trip: posix {tmp_path}\n" in server.out
        assert server.link("trip (2)").returncode == 0


def test_one_directory_named_twice_is_wrong_usage(tmp_path: Path, trip: Path) -> None:
    """Also through a link: both would be one folder."""
    (tmp_path / "same").symlink_to(trip)
    done = pannier(*FREE, trip, "same", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"pannier: 'same' and {str(trip)!r} are one directory; name it once\n"


def test_folder_ids_follow_the_real_path() -> None:
    """The same at every start; undecodable names have one as well."""
    assert folder_id("/a") == folder_id("/a")
    assert folder_id("/a") != folder_id("/b")
    assert folder_id(os.fsdecode(b"/\xff")) != folder_id("/%FF")


def test_a_link_from_before_a_restart_still_opens(tmp_path: Path, trip: Path) -> None:
    """The secrets are made once and kept, and the folder's id stays the same."""
    (trip / "a.txt").write_text("a")
    with serving(tmp_path, trip) as server:
        query = urlsplit(server.url("trip")).query
        before = ask(f"{server.runtime()['client_url']}/download-archive?{query}")
        secret = server.runtime()["manager_secret"]
        server.stop()
    with serving(tmp_path, trip) as server:
        assert server.runtime()["manager_secret"] == secret
        after = ask(f"{server.runtime()['client_url']}/download-archive?{query}")
    assert (before.status, after.status) == (200, 200)
    assert (before.body, before.headers["etag"]) == (after.body, after.headers["etag"])


def test_state_and_settings_can_stand_elsewhere(tmp_path: Path, trip: Path) -> None:
    """A secret of the settings wins over the kept one, and the link command says where the state is."""
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(f'drain-seconds = 5\n[api.manager]\nsecret = "{"c" * 43}"\n')
    state = tmp_path / "my state"
    with serving(tmp_path, trip, "--config", config, "--state", state, state=state) as server:
        assert server.runtime()["manager_secret"] == "c" * 43
        assert f"  link      pannier link --state '{state}' trip    (or paths inside it)" in server.out.splitlines()
        assert server.link("--state", state, "trip").returncode == 0
    assert not (tmp_path / ".local").exists()


def test_who_can_reach_it_is_said(tmp_path: Path, trip: Path) -> None:
    """And what the links name, where nobody else could follow them."""
    with serving(tmp_path, trip, "--host", "0.0.0.0") as server:
        assert (
            "  reach     every machine that reaches this one, without TLS; "
            "only who signed in, or a link, opens anything; "
            "links name 127.0.0.1 until api.client.public-url says how others reach it\n"
        ) in server.out
        assert server.runtime()["client_url"].startswith("http://127.0.0.1:")
    public = {"PANNIER_API__CLIENT__PUBLIC_URL": "https://files.example.com/store/"}
    with serving(tmp_path, trip, "--host", "0.0.0.0", settings=public) as server:
        assert "  client    https://files.example.com/store    (listens at 0.0.0.0:0)\n" in server.out
        assert "only who signed in, or a link, opens anything\n" in server.out
        assert server.url("trip").startswith("https://files.example.com/store/download-archive?token=")
    near = {"PANNIER_API__DESK__SERVICE_ADDR": "127.0.0.1:0"}
    with serving(tmp_path, trip, "--host", "0.0.0.0", settings=near) as server:
        assert "  reach     every machine that reaches this one, without TLS; only who signed in" in server.out


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("--port", "api.client.service-addr: {} is in use; stop what listens there or choose another port"),
        ("--manager-port", "api.manager.service-addr: {} is in use; stop what listens there or choose another port"),
    ],
)
def test_a_used_port_is_one_line_that_names_the_flag(tmp_path: Path, trip: Path, which: str, told: str) -> None:
    """And leaves no runtime file."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = pannier(*FREE, which, address.partition(":")[2], trip, home=tmp_path, apart=True)
    assert (done.returncode, done.stdout) == (1, "")
    flags = "--host, --port" if which == "--port" else which
    assert done.stderr == f"pannier: {told.format(address)} ({flags})\n"
    assert list((tmp_path / ".local/state/pannier").glob("serve-*")) == []


def test_equal_ports_are_refused(tmp_path: Path, trip: Path) -> None:
    """Before anything is opened."""
    done = pannier("serve", "--port", "6100", "--manager-port", "6100", trip, home=tmp_path)
    assert done.returncode == 1
    assert "is taken by api.client.service-addr" in done.stderr
    assert "--manager-port" in done.stderr


@pytest.mark.parametrize("host", ["", "no host", "a:b", "[::1"])
def test_a_host_that_is_none_is_wrong_usage(tmp_path: Path, trip: Path, host: str) -> None:
    """One line that shows it."""
    done = pannier(*FREE, "--host", host, trip, home=tmp_path)
    assert done.returncode == 2
    told = f"--host: {host!r} is no name or address of a host; write it like 127.0.0.1, ::1 or desk.example"
    assert done.stderr == f"pannier: {told}\n"


def test_a_setting_that_no_flag_mends_is_told_as_a_setting(tmp_path: Path, trip: Path) -> None:
    """With where it came from."""
    done = pannier(*FREE, trip, home=tmp_path, PANNIER_API__CLIENT__SERVICE_ADDR="nonsense")
    assert done.returncode == 1
    assert "(from PANNIER_API__CLIENT__SERVICE_ADDR)" in done.stderr
    assert "--port" not in done.stderr


def test_secrets_that_others_can_read_stop_the_start(tmp_path: Path, trip: Path) -> None:
    """With chmod as the way out."""
    with serving(tmp_path, trip) as server:
        server.stop()
        (server.state / "secrets.json").chmod(0o644)
    done = pannier(*FREE, trip, home=tmp_path)
    assert done.returncode == 1
    assert "others can read this file of secrets; chown it to yourself and chmod 600" in done.stderr


def test_a_state_folder_that_cannot_be_is_named(tmp_path: Path, trip: Path) -> None:
    """With the flag."""
    (tmp_path / "file").touch()
    done = pannier(*FREE, trip, "--state", tmp_path / "file" / "state", home=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("pannier: state.path: the state folder ")
    assert "--state DIR" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_a_download_finish_and_takes_no_new_one(tmp_path: Path, large: Path, number: int) -> None:
    """It is said on stdout, new requests are turned away, the download gets its last byte, exit 0."""
    with serving(tmp_path, large) as server:
        url = server.url("trip")
        with begun(url) as download:
            server.process.send_signal(number)
            server.wait_said("stopping: 1 request has up to 30 s to finish; press again to cut it\n")
            refused = ask(url)
            assert (refused.status, refused.document["title"]) == (503, "The server is stopping.")
            assert int(refused.headers["retry-after"]) > 0
            linked = server.link("trip")
            assert linked.returncode == 1
            assert linked.stderr.startswith("pannier: the server declined with 503: the server is stopping;")
            assert download.length is not None
            assert len(download.read()) > LARGE
        assert server.process.wait(LIMIT) == 0
        assert server.runtime_file() is None
        assert "cut off" not in server.err


def test_a_second_signal_cuts(tmp_path: Path, large: Path) -> None:
    """Visibly, and the exit is clean all the same."""
    endless = {"PANNIER_DRAIN_SECONDS": "1h"}
    with serving(tmp_path, large, settings=endless) as server, begun(server.url("trip")) as download:
        server.process.send_signal(signal.SIGTERM)
        server.wait_said("stopping: 1 request ")
        assert server.stop() == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            download.read()
        assert server.runtime_file() is None


def test_the_wait_for_downloads_is_bounded(tmp_path: Path, large: Path) -> None:
    """By ``drain-seconds``; the log tells what was cut."""
    with (
        serving(tmp_path, large, settings={"PANNIER_DRAIN_SECONDS": "0.3"}) as server,
        begun(server.url("trip")) as download,
    ):
        assert server.stop() == 0
        assert "stopping: 1 request has up to 0.3 s to finish" in server.out
        assert "cut off what was still running" in server.err
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            download.read()


def test_several_requests_are_counted() -> None:
    """In one line."""
    assert drain_line(0, 30) == "stopping: no request runs"
    assert drain_line(2, 1.5) == "stopping: 2 requests have up to 1.5 s to finish; press again to cut them"


def test_a_reader_of_stdout_that_leaves_stops_nothing(tmp_path: Path, large: Path) -> None:
    """What is said at a stop has nobody to read it, and the download finishes."""
    command = [sys.executable, "-m", "pannier", *FREE, str(large)]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  reach"):
                break
        process.stdout.close()
        linked = pannier("link", "--token", "trip", home=tmp_path)
        with begun(linked.stdout.strip()) as download:
            process.send_signal(signal.SIGTERM)
            assert len(download.read()) > LARGE
        assert process.wait(LIMIT) == 0
    assert list((tmp_path / ".local/state/pannier").glob("serve-*")) == []
