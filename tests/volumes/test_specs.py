"""What the settings say of a volume is read strictly: the key, the value and the way out are named."""

from __future__ import annotations

import pytest

from pannier.errors import ConfigInvalid
from pannier.volumes.specs import VolumeSpec


def test_an_option_the_backend_does_not_know_is_refused() -> None:
    spec = VolumeSpec("scratch", "posix", options={"clock_granularty": 3})
    with pytest.raises(ConfigInvalid) as invalid:
        spec.only({"id", "clock_granularity"})
    assert invalid.value.key == "volume.scratch.clock_granularty"
    assert str(invalid.value) == (
        "volume.scratch.clock_granularty: 3: backend posix has no such option; it takes clock_granularity, id"
    )
    with pytest.raises(ConfigInvalid, match="it takes none"):
        spec.only(())


@pytest.mark.parametrize(("given", "seconds"), [(3, 3.0), (0, 0.0), ("2.5", 2.5), (0.02, 0.02)])
def test_a_time_is_any_number_of_seconds(given: object, seconds: float) -> None:
    assert VolumeSpec("v", "posix", options={"time": given}).seconds("time", 9) == seconds


def test_what_is_not_given_is_the_default() -> None:
    assert VolumeSpec("v", "posix").seconds("time", 9) == 9
    assert VolumeSpec("v", "posix").text("id") is None


@pytest.mark.parametrize("given", [-1, "soon", None, True, [], float("inf"), float("nan")])
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(ConfigInvalid, match=r"volume\.v\.time: .* is not a time; give seconds, such as 9"):
        VolumeSpec("v", "posix", options={"time": given}).seconds("time", 9)


@pytest.mark.parametrize("given", ["", 3, b"x", True])
def test_what_is_no_text_is_refused(given: object) -> None:
    with pytest.raises(ConfigInvalid, match=r"volume\.v\.id: .* is not a text"):
        VolumeSpec("v", "posix", options={"id": given}).text("id")
