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


def test_the_one_used_longest_ago_makes_room() -> None:
    memory = ChecksumMemory(2)
    memory.put("v", b"1", 1)
    memory.put("v", b"2", 2)
    assert memory.get("v", b"1") == 1
    memory.put("v", b"3", 3)
    assert [memory.get("v", name) for name in (b"1", b"2", b"3")] == [1, None, 3]
    memory.put("v", b"1", 9)
    memory.put("v", b"4", 4)
    assert [memory.get("v", name) for name in (b"1", b"3", b"4")] == [9, None, 4]


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
