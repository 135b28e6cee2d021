"""Which kind of file system a path is on, from the text of ``/proc/self/mountinfo`` (proc(5)). Pure."""

from __future__ import annotations

import re

_OCTAL = re.compile(rb"\\([0-7]{3})")

_NETWORK = frozenset(
    b"9p acfs afs beegfs ceph cifs coda fhgfs gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs "
    b"panfs pvfs2 smb3 smbfs".split()
)
_NETWORK_FUSE = frozenset(
    b"beegfs ceph ceph-fuse cephfs curlftpfs davfs davfs2 gcsfuse geesefs glusterfs goofys gvfsd-fuse juicefs "
    b"moosefs mfs mount.davfs objectivefs rclone s3fs seaweedfs smbnetfs sshfs weed".split()
)


def file_system(mountinfo: bytes, path: bytes) -> str:
    """Return the file system type of an absolute path without links, such as ``ext4`` or ``fuse.sshfs``.

    Empty if no mount holds the path. Lines that cannot be read are passed over.
    """
    deepest, kind = b"", b""
    for line in mountinfo.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, dash, after = line.partition(b" - ")
        fields, origin = before.split(b" "), after.split(b" ")
        if not dash or len(fields) < 6:
            continue
        point = _OCTAL.sub(lambda code: bytes([int(code[1], 8) & 0xFF]), fields[4])
        below = point if point.endswith(b"/") else point + b"/"
        # a later mount at the same place lies over the earlier one
        if (path == point or path.startswith(below)) and len(point) >= len(deepest):
            deepest, kind = point, origin[0]
    return kind.decode("utf-8", "backslashreplace")


def is_network(kind: str) -> bool:
    """Return whether a file system type is shared by hosts, so that locks and shared memory may not be."""
    name = kind.encode("utf-8", "backslashreplace")
    prefix, dot, helper = name.partition(b".")
    if prefix == b"fuse" and dot:
        return helper in _NETWORK_FUSE or helper in _NETWORK
    return name in _NETWORK
