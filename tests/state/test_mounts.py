"""Which file system a path is on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.state.mounts import file_system, is_network

MOUNTS = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:30 / /data rw,relatime shared:5 - nfs4 server:/data rw,vers=4.2
31 30 0:31 / /data/local rw - xfs /dev/sdb rw
32 27 0:32 / /with\040blank rw shared:1 master:2 - fuse.sshfs me@host:/ rw
33 27 0:33 / /over rw - ext4 /dev/sdc rw
34 33 0:34 / /over rw - cifs //server/share rw
35 27 0:35 / /back\134slash rw - 9p share rw
not a line
36 27 0:36
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/", "ext4"),
        (b"/var/lib/state.db", "ext4"),
        (b"/data", "nfs4"),
        (b"/data/state.db", "nfs4"),
        (b"/database/state.db", "ext4"),
        (b"/data/local/state.db", "xfs"),
        (b"/data/locally/state.db", "nfs4"),
        (b"/with blank/state.db", "fuse.sshfs"),
        (b"/over/state.db", "cifs"),
        (b"/back\\slash/state.db", "9p"),
        (b"/\xff/state.db", "ext4"),
    ],
)
def test_the_deepest_and_latest_mount_that_holds_a_path_tells_its_kind(path: bytes, kind: str) -> None:
    assert file_system(MOUNTS, path) == kind


def test_without_a_mount_nothing_is_told() -> None:
    assert file_system(b"", b"/a") == ""
    assert not is_network("")


@given(st.binary(), st.binary())
def test_any_table_and_path_give_some_text(mountinfo: bytes, path: bytes) -> None:
    is_network(file_system(mountinfo, path))
    is_network(file_system(mountinfo + b"\n" + MOUNTS, b"/" + path))


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "9p", "lustre", "glusterfs"],
)
def test_file_systems_that_hosts_share_are_network_ones(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs", "fuse"]
)
def test_local_file_systems_are_not(kind: str) -> None:
    assert not is_network(kind)
