"""Backends by name; what cannot be opened is named by its key, with the way out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pannier.errors import ConfigInvalid
from pannier.volumes.memory import MemoryVolume
from pannier.volumes.posix import PosixVolume
from pannier.volumes.registry import BACKENDS, VolumeSpec, open_volume
from tests.volumes.process import no_descriptor_kept, unprivileged


@pytest.mark.parametrize("backend", ["posix", "vfs"])
def test_a_directory_is_opened_under_either_name(tmp_path: Path, backend: str) -> None:
    options = {"id": "disk-7", "clock_granularity": 5}
    volume = open_volume(VolumeSpec("scratch", backend, tmp_path, options))
    assert isinstance(volume, PosixVolume)
    assert (volume.name, volume.id, volume.clock_granularity_ns) == ("scratch", "disk-7", 5_000_000_000)


def test_memory_needs_nothing() -> None:
    volume = open_volume(VolumeSpec("demo", "memory"))
    assert isinstance(volume, MemoryVolume)
    assert volume.name == "demo"


@pytest.mark.parametrize(
    ("backend", "path", "options", "message"),
    [
        ("ceph", "", {}, "volume.v.backend: 'ceph' is not a backend; choose one of memory, posix, vfs"),
        ("posix", None, {}, "volume.v.path: backend posix needs one; give the directory that holds the folders"),
        ("posix", "none", {}, "volume.v.path: '{}' does not exist; create or mount it, or correct it"),
        ("posix", "file", {}, "volume.v.path: '{}' is not a directory; give the volume's directory"),
        ("posix", "", {"speed": 1}, "volume.v.speed: 1: backend posix has no such option; it takes clock_gran"),
        ("posix", "", {"clock_granularity": "x"}, "volume.v.clock_granularity: 'x' is not a time; give seconds"),
        ("posix", "", {"id": 7}, "volume.v.id: 7 is not a text"),
        ("memory", "", {}, "volume.v.path: '{}': a memory volume has no path; leave it out"),
        ("memory", None, {"id": "x"}, "volume.v.id: 'x': backend memory has no such option; it takes none"),
    ],
)
def test_what_cannot_be_opened_names_key_value_and_way_out(
    tmp_path: Path, backend: str, path: str | None, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "file").write_text("x")
    where = None if path is None else tmp_path / path
    with no_descriptor_kept(), pytest.raises(ConfigInvalid) as invalid:
        open_volume(VolumeSpec("v", backend, where, options))
    assert str(invalid.value).startswith(message.format(where))
    assert invalid.value.key == message.split(":")[0]
    assert invalid.value.way_out


def test_a_directory_behind_a_closed_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed" / "volume").mkdir(parents=True)
    os.chmod(tmp_path / "closed", 0)
    with (
        unprivileged(),
        pytest.raises(ConfigInvalid, match=r"^volume\.v\.path: .* cannot be opened: Permission denied"),
    ):
        open_volume(VolumeSpec("v", "posix", tmp_path / "closed" / "volume"))
    os.chmod(tmp_path / "closed", 0o755)


def test_every_backend_is_one_line_of_the_table() -> None:
    assert set(BACKENDS) >= {"posix", "vfs", "memory"}
    assert BACKENDS["vfs"] is BACKENDS["posix"]
