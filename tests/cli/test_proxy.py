"""``pannier proxy``: what it takes, what it says, how it ends. What it serves: ``tests/e2e/test_proxy.py``."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from pannier import __version__
from tests.cli.commands import Running, ask, pannier

CONFIG = f"""
[storage-proxy]
secret = "{"t" * 43}"
session-expire = "1d"
num-proc = 2
[api.client]
service-addr = "127.0.0.1:0"
[api.manager]
service-addr = "127.0.0.1:0"
internal-addr = "127.0.0.1:0"
secret = "{"m" * 43}"
[volume.local]
backend = "posix"
path = "/"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.touch(0o600)
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_force_is_said_on_stdout_and_stderr_is_json_alone(tmp_path: Path, config: Path, number: int) -> None:
    """Listeners, volumes, warnings; a signal stops it, and that is said there too."""
    proxy = Running(tmp_path, "proxy", "--config", config)
    try:
        proxy.wait_said("  warning")
        lines = proxy.out.splitlines()
        assert lines[0] == f"pannier {__version__}: 1 volume"
        urls = {line.split()[0]: line.split()[1] for line in lines[1:4]}
        assert list(urls) == ["client", "manager", "internal"]
        assert {name: ask(url + "/").document["type"] for name, url in urls.items()} == {
            "client": "client-facing",
            "manager": "manager-facing",
            "internal": "internal",
        }
        assert lines[4:] == [
            "  volume    local: posix /",
            f"  state     {tmp_path}/.local/state/pannier",
            "  warning   storage-proxy.num-proc: of the reference storage proxy, without effect here; "
            "one process serves, with threads on all processors",
        ]
        assert proxy.stop(number) == 0
        assert proxy.out.splitlines()[-1] == "stopping: no request runs"
        logged = [json.loads(line) for line in proxy.err.splitlines()]
        assert [each["path"] for each in logged if each["event"] == "request"] == ["/", "/", "/"]
        for secret in ("ttt", "mmm"):
            assert secret not in proxy.out + proxy.err
    finally:
        proxy.end()


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    """As in a container; that nothing is served is worth a word."""
    settings = {
        "STORAGE_PROXY__SECRET": "t" * 43,
        "STORAGE_PROXY__SESSION_EXPIRE": "1d",
        "API__MANAGER__SECRET": "m" * 43,
        "API__CLIENT__SERVICE_ADDR": "127.0.0.1:0",
        "API__MANAGER__SERVICE_ADDR": "127.0.0.1:0",
        "API__MANAGER__INTERNAL_ADDR": "127.0.0.1:0",
    }
    proxy = Running(tmp_path, "proxy", settings={f"PANNIER_{name}": value for name, value in settings.items()})
    try:
        proxy.wait_said("  warning   volume: none is configured, so there is nothing to serve\n")
        assert proxy.out.startswith(f"pannier {__version__}: 0 volumes\n")
        assert proxy.stop() == 0
    finally:
        proxy.end()


def test_without_any_setting_the_required_ones_are_told(tmp_path: Path) -> None:
    """Each with both ways to give it."""
    done = pannier("proxy", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.split(":")[1] for line in lines] == [
        " storage-proxy.secret",
        " storage-proxy.session-expire",
        " api.manager.secret",
    ]
    assert all("is required" in line and "PANNIER_" in line for line in lines)


def test_a_bad_file_stops_the_start(tmp_path: Path, config: Path) -> None:
    """With one line a mistake and exit 1."""
    config.write_text(CONFIG.replace("1d", "soon"))
    done = pannier("proxy", "--config", config, home=tmp_path, apart=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pannier: storage-proxy.session-expire: 'soon' cannot be used: a duration reads ")


def _with(key: str, address: str) -> str:
    table, name = key.rsplit(".", 1)
    above, found, below = CONFIG.partition(f"[{table}]")
    return above + found + below.replace(f'{name} = "127.0.0.1:0"', f'{name} = "{address}"', 1)


@pytest.mark.parametrize("key", ["api.client.service-addr", "api.manager.service-addr", "api.manager.internal-addr"])
def test_a_used_port_is_one_line_that_names_the_key(tmp_path: Path, config: Path, key: str) -> None:
    """And the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(_with(key, address))
        done = pannier("proxy", "--config", config, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"pannier: {key}: {address} is in use; stop what listens there or choose another port\n"
    assert done.stderr == expected


@pytest.mark.parametrize(
    ("backend", "path", "told"),
    [
        ("s4", "/", "volume.local.backend: 's4' is not a backend; choose one of "),
        ("vfs", "/no/such", "volume.local.path: '/no/such' does not exist; create or mount it"),
        ("vfs", "/etc/passwd", "volume.local.path: '/etc/passwd' is not a directory; "),
        ("vfs", "/a\\u0000b", "volume.local.path: '/a\\x00b' holds a NUL; "),
        ("vfs", "~nobody-of-that-name/x", "volume.local.path: '~nobody-of-that-name/x': there is no such home dir"),
    ],
)
def test_a_volume_that_cannot_be_served_stops_the_start(
    tmp_path: Path, config: Path, backend: str, path: str, told: str
) -> None:
    """In one line with key, value and way out."""
    config.write_text(CONFIG.replace('"posix"', f'"{backend}"').replace('path = "/"', f'path = "{path}"'))
    done = pannier("proxy", "--config", config, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pannier: {told}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("place", ["file/below", "/proc/nothing"])
def test_state_that_cannot_be_kept_stops_the_start(tmp_path: Path, config: Path, place: str) -> None:
    """With the key, the path and a way out."""
    (tmp_path / "file").touch()
    done = pannier("proxy", "--config", config, home=tmp_path, PANNIER_STATE__PATH=str(tmp_path / place))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pannier: state.path: '{tmp_path / place}': ")
    assert done.stderr.endswith("; name a folder that this user may write in\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("listener", ["client", "manager"])
def test_tls_files_that_cannot_be_used_stop_the_start(tmp_path: Path, config: Path, listener: str) -> None:
    """``test_check`` has the whole table."""
    (tmp_path / "garbage").write_text("-----BEGIN CERTIFICATE-----")
    table = f'ssl-enabled = true\nssl-cert = "{tmp_path}/garbage"\nssl-privkey = "{tmp_path}/none"\n'
    config.write_text(CONFIG.replace(f"[api.{listener}]\n", f"[api.{listener}]\n{table}"))
    done = pannier("proxy", "--config", config, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pannier: api.{listener}.ssl-privkey: '{tmp_path}/none' cannot be read (No such f")
    assert done.stderr.count("\n") == 1
