"""How much of what was sent the kernel's queues of a connection may still hold, as this machine is set."""

from __future__ import annotations

from pathlib import Path

_SETTINGS = Path("/proc/sys/net")
_USUAL = 16 * 1024 * 1024
"""Bytes that both ends hold at most where nothing was changed: 4 MiB to send and 6 MiB received (tcp(7)), and more."""
_MIB = 1024 * 1024


def most_held(settings: Path = _SETTINGS) -> int:
    """Return how many acknowledged bytes a receiver on this host may not have read yet, in whole MiB.

    A queue grows by itself to ``tcp_rmem``'s last number, or is set by its program to twice ``rmem_max`` at most
    (tcp(7), socket(7)). Where the system does not say, what is usual.
    """
    try:
        grown = int((settings / "ipv4/tcp_rmem").read_text().split()[-1])
        asked_for = 2 * int((settings / "core/rmem_max").read_text())
    except (OSError, ValueError, IndexError):
        return _USUAL
    return max(_USUAL, -(-max(grown, asked_for) // _MIB) * _MIB)
