"""Whether what came is sound inside: each checksum that a format has, of each entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pannier.errors import show
from pannier.sdk.intake import Intake
from pannier.sdk.packed import Gunzip, ToolMissing, Unzstd
from pannier.sdk.zip_reading import Damaged, ZipReading
from pannier.window import Window

_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Checked:
    """What was checked of a download, beside its length and its ETag.

    Attributes:
        entries: How many entries were; None where the format has no checksums of entries.
        how: In words, such as ``every CRC-32 agrees``.
    """

    entries: int | None
    how: str


class EntriesDamaged(Damaged):
    """Some entries are not what their checksums say: they were damaged on the way, or before.

    ``names`` are the first of them, ``windows`` are where all of them stand in the archive.
    """

    def __init__(self, names: list[str], total: int, windows: list[Window]) -> None:
        more = f" and {total - 1:,} more" if total > 1 else ""
        super().__init__(f"{names[0]}{more}: the checksum does not agree with the content")
        self.names, self.windows = tuple(names), tuple(windows)


def check_zip(intake: Intake) -> Checked:
    """Read a ZIP, and compare the CRC-32 and the sizes of each entry.

    Raises:
        EntriesDamaged: Some do not agree.
        Damaged: It is none.
    """
    reading = ZipReading(intake)
    total = 0
    for entry in reading.entries():
        for _ in entry.chunks():
            pass
        total += 1
    if broken := reading.broken:
        names = [show(header.name) for header, _ in broken[:10]]
        raise EntriesDamaged(names, len(broken), [window for _, window in broken])
    return Checked(total, "every CRC-32 agrees")


def check_gzip(intake: Intake) -> Checked:
    """Unpack a gzip stream, which compares the checksum of the whole.

    Raises:
        Damaged: It does not agree, or is cut off.
    """
    return pass_through(Gunzip(intake), "its CRC-32 agrees")


def check_zstd(intake: Intake) -> Checked:
    """Unpack a Zstandard stream, which compares the checksum of each frame.

    Raises:
        Damaged: One does not agree, or the last frame is cut off.
    """
    try:
        unpacked = Unzstd(intake)
    except ToolMissing:
        return pass_through(intake, "not checked inside, which needs the package zstandard")
    return pass_through(unpacked, "every checksum of its frames agrees")


def check_tar(intake: Intake) -> Checked:
    """Take a TAR as it is: it has no checksum of content."""
    return pass_through(intake, "a tar has no checksums to check")


def check_nothing(intake: Intake) -> Checked:
    """Take a single file as it is."""
    return pass_through(intake, "")


def pass_through(intake: Intake, how: str) -> Checked:
    """Read to the end, and say how it was checked by that."""
    while intake.read(_PIECE):
        pass
    return Checked(None, how)


Check = Callable[[Intake], Checked]

_CHECKS: dict[str, Check] = {
    "application/zip": check_zip,
    "application/x-tar": check_tar,
    "application/gzip": check_gzip,
    "application/zstd": check_zstd,
}


def check_of(media_type: str, *, archive: bool) -> Check:
    """Return the check for a media type; what is inside a single file (no ``archive``) is its owner's business."""
    return _CHECKS.get(media_type, check_nothing) if archive else check_nothing


def checks_inside(check: Check) -> bool:
    """Whether a check looks at the bytes at all."""
    return check not in (check_tar, check_nothing)
