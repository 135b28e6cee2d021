"""The picture of a ZIP in ``docs/zip.md``, made from a real layout: ``python -m tests.archive.drawing`` prints it."""

from __future__ import annotations

from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import Content, Late, Layout, Literal
from pannier.archive.zip import ZipLayout
from tests.archive.strategies import GIB, LATE_ABOVE

_RECORDS = {
    b"PK\x03\x04": "local header",
    b"PK\x07\x08": "data descriptor",
    b"PK\x01\x02": "directory header",
    b"PK\x05\x06": "end of directory",
    b"PK\x06\x06": "Zip64 end of directory, its locator, end of directory",
}
_OF_AN_ENTRY = {b"PK\x03\x04", b"PK\x01\x02"}
_REST = {
    b"PK\x03\x04": "sizes, name, time",
    b"PK\x07\x08": "sizes",
    b"PK\x01\x02": "sizes, mode, offset, name, time",
}
"""What follows the checksum."""


def _entry(name: str, kind: Kind, size: int) -> Entry:
    raw = name.encode()
    return Entry(raw, raw, kind, size, 1_700_000_000 * 10**9, 0o644, b"", raw)


PLANNED = [
    _entry("disk.img", Kind.FILE, 9 * GIB),
    _entry("hello.txt", Kind.FILE, 14),
    _entry("notes/", Kind.DIRECTORY, 0),
    _entry("한글.txt", Kind.FILE, 7),
]
"""In path order; the picture shows that the archive begins with another one."""


def draw(layout: Layout) -> str:
    """Draw a layout: a line for each segment."""
    lines = [f"{'offset':>13}  {'length':>13}  segment  what"]
    names = [entry.name.decode() for entry in layout.entries]
    begun = dict.fromkeys(_RECORDS, 0)
    at, record, what = 0, b"", ""
    for segment in layout.segments():
        match segment:
            case Literal(data) if data[:4] in _RECORDS:
                record = data[:4]
                what = _RECORDS[record] + (f" of {names[begun[record]]}" if record in _OF_AN_ENTRY else "")
                begun[record] += 1
            case Literal():
                what = f"  {_REST[record]}"
            case Late():
                what = "  CRC-32"
            case Content(number):
                what = names[number]
        lines.append(f"{at:>13,}  {segment.length:>13,}  {type(segment).__name__.lower():<8} {what}")
        at += segment.length
    assert at == layout.length
    return "\n".join([*lines, f"{at:>13,}"]) + "\n"


def picture() -> str:
    return draw(ZipLayout(PLANNED, LATE_ABOVE))


if __name__ == "__main__":
    print(picture(), end="")
