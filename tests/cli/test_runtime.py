"""Secrets and runtime files: modes, races, what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path

import pytest

from pannier.cli.runtime import (
    Running,
    RunningFolder,
    find_running,
    first_certificate,
    keep_secrets,
    prepare_state,
    remove_running,
    write_running,
)
from pannier.errors import ConfigInvalid


def running(port: int = 6022, pid: int | None = None) -> Running:
    folder = RunningFolder("trip", "/srv/trip", "trip", "0" * 32)
    pid = os.getpid() if pid is None else pid
    return Running(pid, "1", "http://127.0.0.1:6021", f"http://127.0.0.1:{port}", "hush" * 12, (folder,))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_secrets_are_made_once_for_the_owner_only(tmp_path: Path) -> None:
    """43 URL-safe characters each, different ones, whatever the umask; no temporary file stays."""
    state = tmp_path / "a" / "state"
    before = os.umask(0)
    try:
        prepare_state(state)
        first = keep_secrets(state)
    finally:
        os.umask(before)
    assert mode(state) == 0o700
    assert {path.name: mode(path) for path in state.iterdir()} == {"secrets.json": 0o600, "secrets.lock": 0o600}
    assert first.token != first.manager
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each) for each in (first.token, first.manager))
    assert keep_secrets(state) == first
    assert first.token not in repr(first)


def _keep(state: Path) -> str:
    return keep_secrets(state).token


def test_starts_at_the_same_time_agree_on_the_secrets(tmp_path: Path) -> None:
    """Whoever comes first makes them, the others read them."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_keep, [tmp_path] * 16, chunksize=1))) == 1


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660])
def test_secrets_that_others_can_read_are_refused(tmp_path: Path, bits: int) -> None:
    """With the command that mends it."""
    keep_secrets(tmp_path)
    (tmp_path / "secrets.json").chmod(bits)
    with pytest.raises(ConfigInvalid, match=r"others can read.*chmod 600 .*secrets\.json"):
        keep_secrets(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token_secret": "x", "manager_secret": "x"}', "[" * 99999])
def test_damaged_secrets_are_refused(tmp_path: Path, content: str) -> None:
    """They are not replaced: links that were given out would end without a word."""
    keep_secrets(tmp_path)
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(ConfigInvalid, match="is damaged; remove it"):
        keep_secrets(tmp_path)


def test_secrets_behind_a_link_are_refused(tmp_path: Path) -> None:
    """The file must be the folder's own."""
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / "secrets.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        keep_secrets(tmp_path)


def test_a_state_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    """They could put secrets of their own into it."""
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigInvalid, match="others may change"):
        prepare_state(tmp_path)
    tmp_path.chmod(0o755)
    prepare_state(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the flag that names another."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match="--state DIR"):
        prepare_state(tmp_path / "file" / "state")


def test_a_runtime_file_tells_the_server_and_goes_away(tmp_path: Path) -> None:
    """Named by the manager's port, readable by the owner only."""
    path = write_running(tmp_path, running())
    assert (path.name, mode(path)) == ("serve-6022.json", 0o600)
    assert json.loads(path.read_text())["folders"] == [
        {"name": "trip", "path": "/srv/trip", "volume": "trip", "folder_id": "0" * 32}
    ]
    assert find_running(tmp_path) == [running()]
    assert "hush" not in repr(running())
    remove_running(path)
    assert list(tmp_path.iterdir()) == []


def test_the_latest_server_comes_first_and_dead_ones_not_at_all(tmp_path: Path) -> None:
    """A file of a process that is no more, or one that is no JSON, is passed over."""
    for i, each in enumerate([running(1), running(2), running(3, pid=2**22 + 1)]):
        os.utime(write_running(tmp_path, each), (i, i))
    (tmp_path / "serve-4.json").touch(0o600)
    assert [each.manager_url for each in find_running(tmp_path)] == ["http://127.0.0.1:2", "http://127.0.0.1:1"]


def test_only_its_own_runtime_file_is_removed(tmp_path: Path) -> None:
    """A later server may have written over it."""
    path = write_running(tmp_path, running(pid=1))
    remove_running(path)
    assert path.exists()


def test_a_runtime_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It holds the manager's secret."""
    write_running(tmp_path, running()).chmod(0o644)
    with pytest.raises(ConfigInvalid, match="others can read"):
        find_running(tmp_path)


def test_of_a_pem_file_only_the_first_certificate_is_told() -> None:
    """Not its key, nor who issued it."""
    one, two = (f"-----BEGIN CERTIFICATE-----\n{each}\n-----END CERTIFICATE-----" for each in ("MII1", "MII2"))
    key = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----"
    assert first_certificate(f"{key}\n{one}\n{two}\n") == one
    assert first_certificate(key) == ""
