"""What the kernel's queues hold, as the system says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pannier.streams.base import COPIED
from pannier.streams.queues import most_held

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("tcp_rmem", "rmem_max", "mib"),
    [
        ("4096\t131072\t6291456\n", "212992\n", 16),  # as shipped
        ("4096\t131072\t33554432\n", "4194304\n", 32),  # a queue that grows
        ("4096\t131072\t6291456\n", "16777217\n", 33),  # one that its program asks for
        ("4096 131072 nonsense\n", "212992\n", 16),
        ("", "212992\n", 16),
        (None, None, 16),
    ],
)
def test_what_a_receiver_may_keep_unread(tmp_path: Path, tcp_rmem: str | None, rmem_max: str | None, mib: int) -> None:
    for name, text in (("ipv4/tcp_rmem", tcp_rmem), ("core/rmem_max", rmem_max)):
        if text is not None:
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text(text)
    assert most_held(tmp_path) == mib * MIB


def test_it_counts_for_what_is_sent_by_reference() -> None:
    assert COPIED == most_held() >= 16 * MIB
