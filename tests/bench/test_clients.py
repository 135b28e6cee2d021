"""What is made of the round trips of two servers."""

from __future__ import annotations

from bench.clients import Pings


def test_what_holds_up_both_servers_is_no_matter_of_either() -> None:
    ours = Pings([(1.0, 0.010), (2.0, 0.100), (3.0, 0.050), (9.0, 1.0)])
    idle = Pings([(1.001, 0.002), (1.99, 0.04), (2.05, 0.08), (3.2, 0.040)])
    assert ours.worst(0, 5) == 0.100
    assert round(ours.worst_beyond(idle, 0, 5), 6) == 0.050  # nobody else waited then
    assert round(ours.worst_beyond(idle, 0, 2.5), 6) == 0.020
    assert round(ours.worst_beyond(idle, 0, 1.5), 6) == 0.008
    assert ours.worst_beyond(idle, 5, 6) == 0.0
