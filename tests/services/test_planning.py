"""Plans: shared while they are made, remembered for a while, cancelled when nobody waits."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pannier.archive.plan import Plan
from pannier.dto.archives import LayoutPolicy, LinkPolicy
from pannier.errors import Busy, FolderMissing, LimitExceeded, VolumeFailed
from pannier.services import planning
from pannier.services.orders import Order
from pannier.services.planning import Plans
from pannier.services.progress import Progress, WalkLimits
from pannier.volumes.memory import MemoryVolume
from tests.dto.examples import FOLDER
from tests.services.watched import PATIENCE, CoarseVolume, Hands, Watched, grow, memory, names, order, plan, planner

ALWAYS_AGAIN = {"fresh_least": 0.0, "fresh_most": 0.0}
"""Settings under which a plan is never fresh enough."""


async def until(true: Callable[[], bool]) -> None:
    """Wait until something becomes true."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is asked has no event
            await asyncio.sleep(0.01)


async def left(task: asyncio.Task[Any]) -> None:
    """Be a caller who goes away."""
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


def tagged(plan: Plan) -> str:
    assert plan.shape is not None
    return plan.shape.etag


# ---------------------------------------------------------------- shared while they are made


async def test_equal_plans_in_progress_are_one_walk() -> None:
    volume = Watched(grow(memory(), b"a", b"b"))
    volume.hold()
    async with planner() as plans:
        waiting = [asyncio.create_task(plans.plan(order(volume, "."))) for _ in range(10)]
        await volume.until_entered()
        waiting.append(asyncio.create_task(plans.plan(order(volume, "."))))
        assert plans.walks == 1
        volume.release()
        made = await asyncio.gather(*waiting)
    assert volume.walks == 1
    assert all(each is made[0] for each in made)


async def test_plans_that_differ_in_anything_are_walks_of_their_own() -> None:
    volume = Watched(grow(memory(), b"a", b"b"))
    orders = [
        order(volume, "."),
        order(volume, "a", "b"),
        order(volume, ".", exclude=("c",)),
        order(volume, ".", except_=("c",)),
        order(volume, ".", links=LinkPolicy.OMIT),
        order(volume, ".", layout=LayoutPolicy.PLAIN),
    ]
    async with planner() as plans:
        await asyncio.gather(*map(plans.plan, orders))
    assert volume.walks == len(orders)


async def test_a_failed_walk_fails_for_all_who_wait_and_is_not_remembered() -> None:
    volume = Watched(grow(memory(), b"a", b"b"))
    volume.hold()
    async with planner(walk=WalkLimits(entries=1)) as plans:
        waiting = [asyncio.create_task(plans.plan(order(volume, "."))) for _ in range(3)]
        await volume.until_entered()
        volume.release()
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(failure) for failure in failures] == [LimitExceeded] * 3
        with pytest.raises(LimitExceeded):
            await plans.plan(order(volume, "."))
    assert volume.walks == 2


async def test_the_progress_of_a_shared_walk_is_told_to_each_who_watches() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    seen: list[Progress] = []
    async with planner() as plans:
        waiting = [asyncio.create_task(plans.plan(order(volume, "."), watch=seen.append)) for _ in range(2)]
        await volume.until_entered()
        volume.release()
        await asyncio.gather(*waiting)
        await plans.plan(order(volume, "."), watch=seen.append)  # known: there is nothing to watch
    assert len(seen) == 2
    assert seen[0] is seen[1]
    assert (seen[0].entries, seen[0].bytes) == (1, len(b"content of a"))


# ---------------------------------------------------------------- when nobody waits any more


async def test_a_walk_that_one_of_two_leaves_goes_on() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner(linger=0.0) as plans:
        stays = asyncio.create_task(plans.plan(order(volume, "."), linger=False))
        leaves = asyncio.create_task(plans.plan(order(volume, "."), linger=False))
        await volume.until_entered()
        await left(leaves)
        await asyncio.sleep(0.05)
        assert plans.walks == 1
        volume.release()
        assert names(await stays) == [b"a"]


async def test_a_walk_nobody_waits_for_serves_who_returns() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner(linger=PATIENCE) as plans:
        first = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        await left(first)
        assert plans.walks == 1
        again = asyncio.create_task(plans.plan(order(volume, ".")))
        await asyncio.sleep(0)
        volume.release()
        assert names(await again) == [b"a"]
    assert volume.walks == 1


async def test_a_walk_that_ends_while_nobody_waits_is_remembered() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner(linger=PATIENCE) as plans:
        first = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        await left(first)
        volume.release()
        await until(lambda: plans.walks == 0)
        await plans.plan(order(volume, "."))
    assert volume.walks == 1


async def test_a_walk_nobody_waits_for_is_cancelled_after_a_while() -> None:
    volume = Watched(grow(memory(), b"a", b"b/c"))
    volume.hold()
    async with planner(linger=0.05) as plans:
        first = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        await left(first)
        await until(lambda: plans.walks == 0)
        volume.release()
        await until(lambda: volume.open_folders == 0)
        assert volume.scanned == [b""]  # it never came to b
        assert names(await plans.plan(order(volume, "."))) == [b"a", b"b/c"]
    assert volume.walks == 2


async def test_a_walk_whose_only_watcher_closes_is_cancelled_at_once() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner(linger=PATIENCE) as plans:
        watcher = asyncio.create_task(plans.plan(order(volume, "."), linger=False))
        await volume.until_entered()
        await left(watcher)
        await until(lambda: plans.walks == 0)
        volume.release()


async def test_who_may_come_back_keeps_the_walk_for_who_may_not() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner(linger=PATIENCE) as plans:
        patient = asyncio.create_task(plans.plan(order(volume, ".")))
        hasty = asyncio.create_task(plans.plan(order(volume, "."), linger=False))
        await volume.until_entered()
        await left(patient)
        await left(hasty)
        await asyncio.sleep(0.05)
        assert plans.walks == 1
        volume.release()
        await plans.plan(order(volume, "."))
    assert volume.walks == 1


async def test_closing_ends_all_walks() -> None:
    volume = Watched(grow(memory(), b"a"))
    volume.hold()
    async with planner() as plans:
        waiting = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        asyncio.get_running_loop().call_later(0.05, volume.release)
    assert waiting.cancelled() or waiting.done()
    assert volume.open_folders == 0


# ---------------------------------------------------------------- not too many at once


async def test_a_walk_waits_for_its_turn() -> None:
    volume = Watched(grow(memory(), b"a", b"b/c"))
    volume.hold()
    async with planner(concurrent=1) as plans:
        first = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        second = asyncio.create_task(plans.plan(order(volume, "b")))
        await asyncio.sleep(0.05)
        assert (plans.walks, volume.walks) == (2, 1)
        volume.release()
        await asyncio.gather(first, second)
    assert volume.walks == 2


async def test_a_walk_that_gets_no_turn_is_put_off_with_limit_and_setting() -> None:
    volume = Watched(grow(memory(), b"a", b"b/c"))
    volume.hold()
    async with planner(concurrent=1, turn=0.1) as plans:
        first = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        with pytest.raises(Busy) as busy:
            await plans.plan(order(volume, "b"))
        assert (busy.value.what, busy.value.limit, busy.value.setting) == (
            "concurrent plans",
            1,
            "limits.max-concurrent-plans",
        )
        assert busy.value.retry_after > 0
        volume.release()
        await first
        await plans.plan(order(volume, "b"))


# ---------------------------------------------------------------- remembered


async def test_a_plan_is_used_again_while_it_is_fresh() -> None:
    volume = Watched(grow(memory(), b"a"))
    async with planner() as plans:
        first = await plans.plan(order(volume, "."))
        assert await plans.plan(order(volume, ".")) is first
    assert volume.walks == 1


async def test_how_long_a_plan_is_fresh_grows_with_its_walk_within_bounds() -> None:
    async def walked_again(pause: float, **settings: float) -> bool:
        """Whether a plan whose walk took over 0.3 s is made anew ``pause`` seconds later."""
        volume = Watched(grow(memory(), b"a"))
        volume.hold()
        async with planner(**settings) as plans:
            first = asyncio.create_task(plans.plan(order(volume, ".")))
            await volume.until_entered()
            await asyncio.sleep(0.3)
            volume.release()
            made = await first
            assert made.seconds >= 0.3
            await asyncio.sleep(pause)
            await plans.plan(order(volume, "."))
        return volume.walks == 2

    cases: list[Awaitable[bool]] = [
        walked_again(0.0, fresh_least=0.0, fresh_most=60.0),  # 10 × its walk: over three seconds
        walked_again(0.2, fresh_least=0.0, fresh_most=0.1),  # but never longer than this
        walked_again(0.0, fresh_least=60.0, fresh_most=60.0),  # and never shorter than that
    ]
    assert await asyncio.gather(*cases) == [False, True, False]


async def test_a_plan_is_found_by_its_etag_however_old() -> None:
    inner = grow(memory(), b"a")
    async with planner(**ALWAYS_AGAIN) as plans:
        old = await plans.plan(order(inner, "."))
        grow(inner, b"b")
        new = await plans.plan(order(inner, "."))
        assert tagged(old) != tagged(new)
        assert plans.recall(order(inner, "."), tagged(old)) is old
        assert plans.recall(order(inner, "."), tagged(new)) is new
        assert plans.recall(order(inner, "a"), tagged(old)) is None
        assert plans.recall(order(inner, "."), '"unknown"') is None


async def test_the_same_archive_again_keeps_what_was_learnt_and_tells_what_is_left_out_now() -> None:
    volume = grow(memory(), b"a", b"x.log")
    wanted = order(volume, ".", exclude=("*.log",))
    async with planner(**ALWAYS_AGAIN) as plans:
        first = await plans.plan(wanted)
        assert first.shape is not None
        first.shape.checksums.put(0, 0x1234)
        grow(volume, b"y.log")
        second = await plans.plan(wanted)
        assert second.shape is not None
        assert tagged(first) == tagged(second)
        assert second.shape.checksums.get(0) == 0x1234
        assert [each.path for each in second.omitted] == [b"x.log", b"y.log"]
        assert plans.recall(wanted, tagged(first)) is second


async def test_what_was_learnt_of_a_file_while_it_was_written_is_never_taken_for_settled() -> None:
    clock = Hands()
    volume = CoarseVolume("v", clock=clock)
    volume.make_folder(FOLDER)
    volume.write(FOLDER, b"a", b"1")
    async with planner(**ALWAYS_AGAIN) as plans:
        young = await plans.plan(order(volume, "a"))
        clock.now += 1_000_000_000
        old = await plans.plan(order(volume, "a"))
    assert young.shape is not None
    assert old.shape is not None
    assert tagged(young) == tagged(old)
    assert young.shape.unsettled == old.shape.unsettled == {0}


async def test_a_plan_stays_good_while_its_files_are_what_they_were() -> None:
    inner = grow(memory(), b"a", b"d/b", b"d/c")
    inner.symlink(FOLDER, b"link", b"d")
    volume = Watched(inner)
    wanted = order(volume, "a", "link")
    async with planner(**ALWAYS_AGAIN) as plans:
        made = await plans.plan(wanted)
        assert await plans.unchanged(wanted, made)
        grow(inner, b"d/new", b"new")  # nothing of the plan
        assert await plans.unchanged(wanted, made)
        grow(inner, b"d/b")
        assert not await plans.unchanged(wanted, made)
        assert plans.recall(wanted, tagged(made)) is None
        assert not await plans.unchanged(wanted, made)
    assert volume.open_folders == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda volume: volume.remove(FOLDER, b"d/b"),
        lambda volume: volume.replace(FOLDER, b"d/b", b"content of d/b"),
        lambda volume: volume.deny(FOLDER, b"d"),
        lambda volume: volume.remove(FOLDER, b"d"),
    ],
    ids=["gone", "replaced", "unreadable", "directory gone"],
)
async def test_any_change_of_a_file_ends_a_plan(change: Callable[[MemoryVolume], None]) -> None:
    volume = grow(memory(), b"d/b")
    wanted = order(volume, "d/b")
    async with planner(**ALWAYS_AGAIN) as plans:
        made = await plans.plan(wanted)
        change(volume)
        assert not await plans.unchanged(wanted, made)


async def test_files_are_looked_at_again_only_when_that_is_due() -> None:
    volume = Watched(grow(memory(), b"a"))
    async with planner() as plans:
        made = await plans.plan(order(volume, "."))
        looked_up = len(volume.looked_up)
        assert await plans.unchanged(order(volume, "."), made)
        assert len(volume.looked_up) == looked_up


async def test_files_are_looked_at_again_directory_by_directory() -> None:
    inner = grow(memory(), b"d/a", b"d/b", b"d/sub/c", b"e/empty/")
    inner.symlink(FOLDER, b"link", b"d")
    volume = Watched(inner)
    async with planner(**ALWAYS_AGAIN) as plans:
        made = await plans.plan(order(volume, "d", "e", "link"))
        volume.looked_up.clear()
        assert await plans.unchanged(order(volume, "d", "e", "link"), made)
    assert volume.looked_up == []
    assert volume.looked_again == [
        (b"d", b"a", b"b"),
        (b"d/sub", b"c"),
        (b"e", b"empty"),
        (b"d", b"a", b"b"),
        (b"d/sub", b"c"),
    ]


async def test_looking_again_takes_no_longer_than_a_walk_may() -> None:
    volume = grow(memory(), b"a")
    async with planner(walk=WalkLimits(seconds=1.0), **ALWAYS_AGAIN) as plans:
        made = await plans.plan(order(volume, "a"))
    async with planner(walk=WalkLimits(seconds=-1.0), **ALWAYS_AGAIN) as plans:
        plans._remember(order(volume, "a"), made)
        with pytest.raises(LimitExceeded, match=r"limits\.plan-seconds"):
            await plans.unchanged(order(volume, "a"), made)


async def test_many_who_ask_at_once_look_at_the_files_once() -> None:
    volume = Watched(grow(memory(), b"a", b"b"))
    wanted = order(volume, ".")
    async with planner(**ALWAYS_AGAIN) as plans:
        made = await plans.plan(wanted)
        opened = volume.walks
        answers = await asyncio.gather(*(plans.unchanged(wanted, made) for _ in range(16)))
        assert answers == [True] * 16
        assert volume.walks == opened + 1


async def test_a_folder_that_is_gone_is_told_to_who_asks_about_its_plan() -> None:
    class Leaving(Watched):
        gone = False

        def folder(self, folder: Any) -> Any:
            if self.gone:
                raise FolderMissing(str(folder))
            return super().folder(folder)

    volume = Leaving(grow(memory(), b"a"))
    wanted = order(volume, ".")
    async with planner(**ALWAYS_AGAIN) as plans:
        made = await plans.plan(wanted)
        volume.gone = True
        with pytest.raises(FolderMissing):
            await plans.unchanged(wanted, made)
        with pytest.raises(FolderMissing):
            await plans.plan(wanted)
        volume.gone = False
        assert await plans.unchanged(wanted, made)


async def test_a_forgotten_plan_is_made_anew() -> None:
    volume = Watched(grow(memory(), b"a"))
    async with planner() as plans:
        made = await plans.plan(order(volume, "."))
        plans.forget(order(volume, "."), made)
        assert plans.recall(order(volume, "."), tagged(made)) is None
        await plans.plan(order(volume, "."))
        plans.forget(order(volume, "."), made)
        plans.forget(order(volume, "."), made)
    assert volume.walks == 2


async def remembered(plans: Plans, orders: list[Order]) -> list[bool]:
    """Plan all of it, and tell which plans are known afterwards."""
    made = [(each, await plans.plan(each)) for each in orders]
    return [plans.recall(each, plan.tag) is not None for each, plan in made]


async def test_the_number_of_plans_that_are_remembered_is_bounded() -> None:
    volume = grow(memory(), b"a", b"b", b"c")
    async with planner(remembered_plans=2) as plans:
        assert await remembered(plans, [order(volume, name) for name in "abc"]) == [False, True, True]


async def test_the_entries_that_are_remembered_are_bounded_but_the_last_plan_is_kept() -> None:
    volume = grow(memory(), b"a/1", b"a/2", b"b/1", b"c/1", b"c/2", b"c/3")
    async with planner(remembered_entries=3) as plans:
        assert await remembered(plans, [order(volume, "a"), order(volume, "b")]) == [True, True]
        assert await remembered(plans, [order(volume, "b"), order(volume, "c")]) == [False, True]
        assert await remembered(plans, [order(volume, ".")]) == [True]  # six entries: more than all may have


async def test_a_plan_that_was_forgotten_or_made_again_no_longer_takes_room() -> None:
    volume = grow(memory(), b"a/1", b"a/2", b"b/1", b"c/1")
    async with planner(remembered_entries=4, **ALWAYS_AGAIN) as plans:
        for _ in range(5):
            await plans.plan(order(volume, "a"))  # again, in its own place
        for _ in range(5):
            plans.forget(order(volume, "a"), await plans.plan(order(volume, "a")))
        assert await remembered(plans, [order(volume, name) for name in "abc"]) == [True, True, True]
        volume.write(FOLDER, b"d", b"1")
        assert (await remembered(plans, [order(volume, "d"), order(volume, "a")])) == [True, True]
        assert (await remembered(plans, [order(volume, name) for name in "bcd"])) == [True, True, True]


async def test_offenders_and_omissions_count_as_what_is_remembered() -> None:
    volume = grow(memory(), b"a/1", b"a/2", b"b/1")
    async with planner(remembered_entries=3) as plans:
        orders = [order(volume, "a", exclude=("a/*",)), order(volume, "x", "y"), order(volume, "b")]
        assert await remembered(plans, orders) == [False, True, True]


async def test_what_was_not_used_for_long_goes_first() -> None:
    volume = grow(memory(), b"a", b"b", b"c")
    async with planner(remembered_plans=2) as plans:
        first = await plans.plan(order(volume, "a"))
        second = await plans.plan(order(volume, "b"))
        assert plans.recall(order(volume, "a"), tagged(first)) is first
        await plans.plan(order(volume, "c"))
        assert plans.recall(order(volume, "a"), tagged(first)) is first
        assert plans.recall(order(volume, "b"), tagged(second)) is None


async def test_a_plan_that_nobody_uses_is_forgotten_in_time() -> None:
    volume = grow(memory(), b"a", b"b")
    async with planner(remembered_seconds=0.05) as plans:
        first = await plans.plan(order(volume, "a"))
        await asyncio.sleep(0.1)
        await plans.plan(order(volume, "b"))
        assert plans.recall(order(volume, "a"), tagged(first)) is None


# ---------------------------------------------------------------- what is planned


async def test_the_etag_says_everything_that_shapes_bytes() -> None:
    volume = memory(f=b"1")
    volume.write(FOLDER, b"f", b"1", mtime_ns=0)
    etags = [tagged(await plan(volume, "f"))]
    assert tagged(await plan(volume, ".", except_=("nothing",))) == etags[0]  # how it was asked for shapes nothing
    etags.append(tagged(await plan(volume, "f", links=LinkPolicy.OMIT)))
    etags.append(tagged(await plan(volume, "f", layout=LayoutPolicy.PLAIN)))
    etags.append(tagged(await plan(volume, "f", settings={"late_checksum_above": 2**40})))
    volume.write(FOLDER, b"f", b"2", mtime_ns=0)
    etags.append(tagged(await plan(volume, "f")))
    volume.write(FOLDER, b"f", b"2", mtime_ns=0, mode=0o600)
    etags.append(tagged(await plan(volume, "f")))
    assert len(set(etags)) == len(etags)


async def test_a_volume_that_fails_is_told_as_such() -> None:
    class Failing(Watched):
        def wait(self) -> None:
            raise VolumeFailed("the disk is on fire")

    with pytest.raises(VolumeFailed, match="on fire"):
        await plan(Failing(grow(memory(), b"a")), ".")


# ---------------------------------------------------------------- large plans


async def test_a_large_plan_is_dropped_before_its_successor_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them would be held for a while; what was learnt of the content stays."""
    monkeypatch.setattr(planning, "_LARGE", 2)
    volume = Watched(grow(memory(), b"a", b"b", b"c"))
    volume.hold()
    async with planner(**ALWAYS_AGAIN, linger=60.0) as plans:
        # one who leaves while the walk goes on sets the timer that ends it
        leaving = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        staying = asyncio.create_task(plans.plan(order(volume, ".")))
        await asyncio.sleep(0)
        await left(leaving)
        volume.release()
        first = await staying
        assert first.shape is not None
        first.shape.checksums.put(1, 7)
        tag, layout = first.tag, weakref.ref(first.shape.layout)
        del first, staying, leaving
        volume.hold()
        second = asyncio.create_task(plans.plan(order(volume, ".")))
        await volume.until_entered()
        await until(lambda: layout() is None)  # the thread that made it may not have left its frame yet
        assert plans.recall(order(volume, "."), tag) is None
        volume.release()
        made = await second
        assert made.tag == tag
        assert made.shape is not None
        assert made.shape.checksums.get(1) == 7
        assert plans.recall(order(volume, "."), tag) is made
