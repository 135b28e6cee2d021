"""The memory of checksums."""

from __future__ import annotations

import threading

import pytest

from pannier.state.checksums import ChecksumMemory


def test_a_checksum_is_known_by_volume_and_identity() -> None:
    memory = ChecksumMemory(10)
    memory.put("a", b"1", 0)
    memory.put("b", b"1", 0xFFFFFFFF)
    assert (memory.get("a", b"1"), memory.get("b", b"1"), memory.get("a", b"2")) == (0, 0xFFFFFFFF, None)
    assert len(memory) == 2


def test_the_latest_half_stays_and_what_was_recalled_with_it() -> None:
    memory = ChecksumMemory(4)
    memory.put("v", b"1", 1)
    memory.put("v", b"2", 2)
    memory.put("w", b"3", 3)  # 1 and 2 are the earlier generation now
    assert memory.get("v", b"1") == 1
    memory.put("v", b"4", 4)
    assert [memory.get(*key) for key in (("w", b"3"), ("v", b"1"), ("v", b"4"), ("v", b"2"))] == [3, 1, 4, None]
    memory.put("v", b"1", 9)
    assert memory.get("v", b"1") == 9


def test_one_that_changed_is_the_new_one_in_both_generations() -> None:
    memory = ChecksumMemory(4)
    memory.put_many("v", [b"1", b"2"], [1, 2], [b"", b""])
    assert memory.exchange("v", [b"2", b"1", b"0"], [2, 9, 0]) == [2, 1, None]
    assert memory.get_many("v", [b"0", b"1", b"2"]) == [0, 9, 2]
    memory.forget("v", b"1")
    assert memory.get("v", b"1") is None


def test_to_go_through_more_than_half_of_them_again_and_again_pushes_none_out() -> None:
    memory = ChecksumMemory(100)
    identities = [number.to_bytes(2) for number in range(80)]
    for _ in range(3):
        for at in range(0, 80, 8):
            memory.exchange("v", identities[at : at + 8], range(at, at + 8))
    assert memory.get_many("v", identities) == list(range(80))


def test_more_at_once_than_there_is_room_for_leaves_the_last() -> None:
    memory = ChecksumMemory(10)
    memory.exchange("v", [bytes([number]) for number in range(20)], range(20))
    assert memory.get_many("v", [b"\x0e", b"\x0f", b"\x13"]) == [None, 15, 19]
    assert len(memory) <= 10


def test_a_wrong_one_can_be_forgotten() -> None:
    memory = ChecksumMemory(2)
    memory.put("v", b"1", 1)
    memory.forget("v", b"1")
    memory.forget("v", b"1")
    assert memory.get("v", b"1") is None
    assert len(memory) == 0


@pytest.mark.parametrize("crc32", [-1, 2**32])
def test_what_is_no_crc32_is_not_remembered(crc32: int) -> None:
    with pytest.raises(ValueError, match="CRC-32"):
        ChecksumMemory(1).put("v", b"1", crc32)


def test_a_memory_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps nothing"):
        ChecksumMemory(0)


def test_many_threads_may_use_it_and_it_stays_in_its_bounds() -> None:
    memory = ChecksumMemory(50)
    failures: list[BaseException] = []

    def use(seed: int) -> None:
        try:
            for step in range(3000):
                name = (seed * step % 97).to_bytes(1)
                memory.put("v", name, name[0])
                assert memory.get("v", name) in (name[0], None)
                memory.forget("v", (step % 97).to_bytes(1))
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(memory) <= 50
