"""A few seconds of `make soak`, and that it would notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import soak
from tests.soak.census import MIB, Census, growth
from tests.soak.history import ABSENT, History, content, version_of


def test_content_tells_what_it_is() -> None:
    data = content("a", 3, 500)
    assert len(data) == 500
    assert version_of("a", data) == 3
    for wrong in (data[:-1], data + b"x", data[:100] + b"?" + data[101:], content("b", 3, 500), b"", b"a\t3\n"):
        assert version_of("a", wrong) is None


def test_what_was_never_there_at_one_time_is_noticed() -> None:
    history = History()
    first, second = content("a", 1, 0), content("b", 1, 0)
    history.begins("a", 1)
    history.begins("b", 1)
    assert history.wrong_with({"a": first, "b": second}, 0, float("inf")) == ""
    assert "missing" in history.wrong_with({"a": first}, 0, float("inf"))
    assert history.wrong_with({"a": first}, 0, float("inf"), alone=True) == ""
    assert "no version" in history.wrong_with({"a": second}, 0, float("inf"), alone=True)
    assert "never was" in history.wrong_with({"a": content("a", 2, 0), "b": second}, 0, float("inf"))
    history.begins("a", 2)
    history.ended("a", 1)
    history.begins("b", 2)
    history.ended("b", 1)
    assert history.wrong_with({"a": content("a", 2, 0), "b": second}, 0, float("inf")) == ""
    mixed = {"a": first, "b": content("b", 2, 0)}
    assert "never there at the same time" in history.wrong_with(mixed, 0, float("inf"))
    history.begins("b", ABSENT)
    history.ended("b", 2)
    assert history.wrong_with({"a": content("a", 2, 0)}, 0, float("inf")) == ""


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (Census(0, 100 * MIB, 20, 10), []),
        (Census(0, 108 * MIB, 22, 12), []),
        (Census(0, 130 * MIB, 20, 10), ["memory from 100 to 130 MiB"]),
        (Census(0, 100 * MIB, 30, 10), ["descriptors from 20 to 30"]),
        (Census(0, 100 * MIB, 20, 20), ["threads from 10 to 20"]),
    ],
)
def test_growth_is_noticed(last: Census, found: list[str]) -> None:
    first = Census(0, 100 * MIB, 20, 10)
    cold = Census(0, 60 * MIB, 10, 4)
    assert growth([*[cold] * 6, *[first] * 3, *[last] * 3]) == found
    assert growth([first] * 3 + [last] * 3) == [], "too few to tell"


@pytest.mark.timeout(300)
def test_everything_holds_for_some_seconds(tmp_path: Path) -> None:
    report = soak(tmp_path / "home", 5, seed=1, every=60, ends=2)
    assert report.sound, "\n".join(report.lines())
    assert report.kills + report.stops >= 2
    assert sum(report.world.outcomes.values()) > 20, "\n".join(report.lines())


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_everything_holds_for_a_minute(tmp_path: Path) -> None:
    report = soak(tmp_path / "home", 60, seed=2, every=3.0)
    assert report.sound, "\n".join(report.lines())
    assert report.kills >= 1
