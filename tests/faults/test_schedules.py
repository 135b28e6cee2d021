"""Whatever breaks under a download, and whenever: its client gets right bytes, a refusal, or sees it break."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.faults import many
from tests.faults.faulty import OPERATIONS, SHORT, Fault
from tests.faults.trials import ASKED, CHANGES, SIZES, Outcome, Trials, by_chance, said, trials


@pytest.fixture(autouse=True)
def log_as_made() -> Iterator[None]:
    """What is logged goes to stdout, whatever a test before this one, in the same process, has set."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


async def judged(
    trials: Trials, asked: str, faults: list[Fault], log: pytest.CaptureFixture[str]
) -> tuple[Outcome, str]:
    """Run it; what its session tells afterwards has to agree with what its client saw."""
    log.readouterr()
    outcome = await trials.run(asked, faults)
    assert await trials.session_contradicts(outcome, part=", " in asked) == ""
    return outcome, log.readouterr().out


@pytest.mark.parametrize(
    ("asked", "direct"),
    [
        pytest.param(
            asked,
            direct,
            id=f"{asked}-{'descriptors' if direct else 'no descriptors'}",
            # the readers beneath are the same for the whole and for a part
            marks=[] if direct or ", " not in asked else [pytest.mark.slow],
        )
        for asked in ASKED
        for direct in (True, False)
    ],
)
async def test_a_failing_operation_is_told_or_seen(
    asked: str, direct: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each operation, at its first, second and third call, with three errors; once and for ever."""
    kinds: Counter[str] = Counter()
    async with trials(tmp_path, 1, fresh=False) as them:
        them.volume.descriptors = direct
        for operation in OPERATIONS:
            for call, number in ((1, errno.EIO), (2, errno.ESTALE), (3, errno.EMFILE)):
                fault = Fault(operation, call, number, forever=call == 1)
                outcome, log = await judged(them, asked, [fault], capsys)
                case = (operation, call, errno.errorcode[number], outcome)
                assert outcome.is_sound, case
                assert "Traceback" not in log, case
                if outcome.kind == "refused":
                    assert (outcome.status, outcome.problem) == (500, "source-unreadable"), case
                    assert "volume failed" in log, case
                    assert os.strerror(number) in log, case
                elif outcome.kind == "broken":
                    assert outcome.cause == "volume_failed", case
                    assert "download broken off" in log, case
                    assert os.strerror(number) in log, case
                kinds[outcome.kind] += 1
                assert (await them.run(asked, [])).kind == "right", f"after {case}"
    assert kinds["refused"], "nothing has failed"


CHANGED = ("zip", "zip, a part", "tar", "tar.gz", "file")


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("fresh", [True, False], ids=["plan taken for fresh", "plan looked at"])
@pytest.mark.parametrize("how", CHANGES)
async def test_a_change_at_any_operation_gives_one_state_or_none(
    how: str, fresh: bool, whole: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At each operation, of a small file and of a large one; what is served whole is as it was at one time."""
    some = (*CHANGED[:2], CHANGED[2 + (list(CHANGES).index(how) + fresh) % 3])
    async with trials(tmp_path, 2, fresh=fresh) as them:
        for asked in CHANGED if whole else some:
            for operation in OPERATIONS:
                name = "f.bin" if asked == "file" or operation in ("read", "open", "check") else "b.bin"
                fault = Fault(operation, 1, them.yard.changing(how, name))
                outcome, log = await judged(them, asked, [fault], capsys)
                assert outcome.is_sound, (asked, operation, outcome)
                assert outcome.cause in ("", "source_changed"), (asked, operation, outcome)
                assert outcome.status != 500, (asked, operation, outcome)
                assert "Traceback" not in log
                assert "root:" not in log


@pytest.mark.parametrize("asked", ASKED)
async def test_reads_that_give_less_than_there_is_change_nothing(asked: str, tmp_path: Path) -> None:
    """As network file systems do it: the rest is asked for."""
    async with trials(tmp_path, 3, fresh=True) as them:
        them.volume.descriptors = False
        for call in (1, 2, 5):
            outcome = await them.run(asked, [Fault("read", call, SHORT, forever=True)])
            assert outcome.kind == "right", outcome


@pytest.mark.parametrize("fresh", [True, False], ids=["plan taken for fresh", "plan looked at"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
async def test_random_schedules_end_in_nothing_wrong(
    seed: int, fresh: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    descriptors = count_descriptors()
    chance = random.Random(seed)
    kinds: Counter[str] = Counter()
    async with trials(tmp_path, seed, fresh=fresh) as them:
        for number in range(60):
            them.volume.descriptors = chance.random() < 0.5
            asked, faults = by_chance(chance, them.yard)
            outcome, log = await judged(them, asked, faults, capsys)
            case = (number, asked, [(each.operation, each.call, said(each)) for each in faults], outcome)
            assert outcome.is_sound, case
            assert "Traceback" not in log, case
            kinds[outcome.kind] += 1
        assert (await them.run("zip", [])).kind == "right"
        assert set(os.listdir(them.yard.root)) == {name.partition("/")[0] for name in SIZES}
    assert kinds["right"]
    assert kinds["refused"] + kinds["broken"]
    ours = [each.name for each in threading.enumerate() if each.name.startswith("pannier-")]
    assert not ours  # the loop of pannier.sdk is none of them: tests of clients in this process leave it running
    assert count_descriptors() <= descriptors


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_ten_thousand_downloads_end_in_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert await many.run(10_000, 1), capsys.readouterr().out


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
