"""How a transfer is shown: shares, amounts, times, the bar."""

from __future__ import annotations

import pytest

from pannier.cli.progress import Pace, about, amount, bar, share
from pannier.sdk.progress import Progress

GIB = 2**30


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0, 10, "  0.0 %"), (999, 1000, " 99.9 %"), (999_999, 10**6, " 99.9 %"), (10, 10, "  100 %"), (0, 0, "  100 %")],
)
def test_a_share_is_cut_down_and_never_rounded_up(done: int, total: int, shown: str) -> None:
    assert share(done, total) == shown


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [
        (1_283_457_024, 3_116_457_222, "1.19 of 2.90 GiB"),
        (500, 1000, "500 of 1000 bytes"),
        (GIB, 16 * GIB, "1.0 of 16.0 GiB"),
        (0, 812 * 2**20, "0 of 812 MiB"),
    ],
)
def test_an_amount_is_in_the_unit_of_the_whole(done: int, total: int, shown: str) -> None:
    assert amount(done, total).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(3, "about 3 s"), (21, "about 20 s"), (250, "about 4 min"), (7_800, "about 2 h 10 min"), (7_200, "about 2 h")],
)
def test_times_are_as_exact_as_they_are_known(seconds: float, shown: str) -> None:
    assert about(seconds) == shown


def test_the_bar_is_as_wide_as_it_is() -> None:
    for done in range(101):
        assert len(bar(done, 100)) == len(bar(done, 100, ascii_only=True)) == 28
    assert bar(100, 100) == "━" * 28
    assert bar(0, 100, ascii_only=True) == "-" * 28


def test_the_time_left_is_told_after_three_seconds_and_hidden_when_it_swings() -> None:
    pace = Pace(0.0)
    pace.add(0.0, 0)
    pace.add(2.0, 200)
    assert not any("about" in part for part in pace.parts(2.0, Progress(200, 1000)))
    pace.add(4.0, 400)
    assert "about 6 s" in pace.parts(4.0, Progress(400, 1000))
    pace.add(5.0, 405)
    assert "about 7 s" in pace.parts(5.0, Progress(405, 1000))
    pace.add(9.5, 406)
    assert not any("about" in part for part in pace.parts(9.5, Progress(406, 1000)))
    pace.add(10.5, 1000)
    assert not any("about" in part for part in pace.parts(10.5, Progress(1000, 1000)))
