"""How many streams may run, in all and for one token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pannier import metrics
from pannier.api.admission import Admission
from pannier.errors import Busy


@pytest.fixture(autouse=True)
def places_are_given_back() -> Iterator[None]:
    """The gauge is the process's own: what these tests do not give back would count for those that come after."""
    before = metrics.STREAMS._value.get()
    yield
    metrics.STREAMS.set(before)


def test_a_process_has_so_many_places() -> None:
    admission = Admission(2, 2)
    first = admission.admit("a")
    admission.admit("b")
    with pytest.raises(Busy) as busy:
        admission.admit("c")
    assert (busy.value.measured, busy.value.limit, busy.value.setting) == (3, 2, "limits.max-streams")
    first.leave()
    admission.admit("c")
    assert admission.running == 2


def test_a_token_has_so_many_places() -> None:
    admission = Admission(10, 1)
    held = admission.admit("a")
    with pytest.raises(Busy, match="streams of this link: 2; the limit here is 1") as busy:
        admission.admit("a")
    assert busy.value.retry_after > 0
    admission.admit("b")
    held.leave()
    admission.admit("a")


async def test_a_place_is_waited_for_a_moment() -> None:
    """A client that has its last byte asks for more, and the stream of that byte is not closed yet."""
    admission = Admission(10, 1)
    held = admission.admit("a")
    waiting = [asyncio.create_task(admission.enter("a")) for _ in range(2)]
    await asyncio.sleep(0.01)
    held.leave()
    (entered,), (refused,) = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert admission.running == 1
    with pytest.raises(Busy):
        await refused
    (await entered).leave()
    assert admission.running == 0


async def test_who_gives_up_waiting_takes_no_place() -> None:
    admission = Admission(1, 1)
    held = admission.admit("a")
    waiting = asyncio.create_task(admission.enter("b"))
    await asyncio.sleep(0.01)
    waiting.cancel()
    held.leave()
    await asyncio.gather(waiting, return_exceptions=True)
    assert admission.running == 0


def test_leaving_twice_gives_one_place_back() -> None:
    admission = Admission(10, 10)
    first, _ = admission.admit("a"), admission.admit("a")
    first.leave()
    first.leave()
    assert admission.running == 1


def test_a_refused_stream_takes_no_place() -> None:
    admission = Admission(1, 1)
    held = admission.admit("a")
    for session in "ab":
        with pytest.raises(Busy):
            admission.admit(session)
    held.leave()
    assert admission.running == 0
