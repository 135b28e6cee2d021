"""What of a file can be shown without running anything: images of a few kinds, told by their first bytes, and text."""

from __future__ import annotations

from dataclasses import dataclass

MOST_TEXT = 256 * 1024
"""Bytes of a text that are shown."""
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_AVIF_BRANDS = (b"avif", b"avis")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a file is shown: its media type, and whether only its beginning is."""

    media_type: str
    beginning: bool


def shown_as(head: bytes, *, whole: bool) -> Shown | None:
    """Return how a file is shown whose first bytes these are, None if it is not.

    Args:
        head: Up to ``MOST_TEXT`` bytes.
        whole: Whether that is all of it.
    """
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return Shown(media_type, beginning=False)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Shown("image/webp", beginning=False)
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS:  # ISO/IEC 23000-22, section 7.2
        return Shown("image/avif", beginning=False)
    if b"\0" in head or _text(head, whole=whole) is None:
        return None
    return Shown("text/plain; charset=utf-8", beginning=True)


def text_of(head: bytes, *, whole: bool) -> bytes:
    """Return the text that the first bytes of a file are, no character of it cut in two."""
    return _text(head, whole=whole) or b""


def _text(head: bytes, *, whole: bool) -> bytes | None:
    try:
        head.decode("utf-8")
        return head
    except UnicodeDecodeError as error:
        if whole or error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return None
        return head[: error.start]
