"""A client that leaves, whenever and however, leaves nothing behind; one that stays is answered in order."""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.running import Pannier
from tests.e2e.trees import KIB, MIB
from tests.e2e.wire import Broken, Wire, request

PROGRAM = (str(Path(__file__).with_name("slow_server.py")),)
SETTINGS = """
[archive]
plan-fresh-min = 0
plan-fresh-max = 0
background-hash-linger = 0.2
[limits]
plan-linger = 0
"""
AT_ONCE = 24
HELD_BACK = 64 * KIB
CRC_AT = 14
"""Where the checksum stands in the first local header: all before it can leave before anything is hashed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("leave") / "folder"
    trees.plant(path / "many", 3, small=400, large=())
    trees.plant(path / "large", 4, small=3, large=(8 * MIB,))
    trees.plant(path / "little", 5, small=20, large=())
    for number in range(10):
        trees.plant(path / f"list=0.1-{number}", 6, small=10, large=())
    (path / "hash").mkdir()
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("state"), toml=SETTINGS, program=PROGRAM) as running:
        yield running


@dataclass
class Visitor:
    """A client that is about to leave: its connection, its dice, and what it may ask for."""

    server: Pannier
    wire: Wire
    chance: random.Random

    def some_time(self, most: float) -> None:
        time.sleep(self.chance.random() * most)

    def url_of_unhashed(self) -> str:
        """Return the URL of a file that nobody has read yet, and that takes a while to read."""
        name = f"{self.chance.getrandbits(64):016x}-read=0.8.bin"
        (self.server.folder / "hash" / name).write_bytes(self.chance.randbytes(140_000))
        return self.server.url(f"hash/{name}")


def _only_connects(visitor: Visitor) -> None:
    visitor.some_time(0.01)


def _sends_half_a_request(visitor: Visitor) -> None:
    whole = request(visitor.server.url("little"))
    visitor.wire.send(whole[: visitor.chance.randrange(1, len(whole))])


def _leaves_during_planning(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url(f"list=0.1-{visitor.chance.randrange(10)}"))
    visitor.some_time(0.09)


def _leaves_at_once(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("large"), Range="bytes=-70000")
    visitor.some_time(0.02)


def _leaves_before_the_first_byte(visitor: Visitor) -> None:
    url = visitor.url_of_unhashed()
    visitor.wire.ask(url, method="HEAD")
    assert visitor.wire.head().status == 200
    visitor.wire.ask(url, Range=f"bytes={CRC_AT}-")
    visitor.some_time(0.09)


def _leaves_in_a_header(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("many"))
    assert visitor.wire.head().status == 200
    visitor.wire.read(visitor.chance.randrange(300_000))


def _leaves_in_a_large_content(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("large"))
    visitor.wire.head()
    visitor.wire.read(visitor.chance.randrange(100_000, 7 * MIB))


def _leaves_in_the_held_back_tail(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("large"))
    visitor.wire.read(visitor.wire.head().length - visitor.chance.randrange(1, HELD_BACK))


def _leaves_while_it_is_hashed(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.url_of_unhashed())
    visitor.wire.head()
    visitor.wire.read(CRC_AT)
    visitor.some_time(0.09)


def _leaves_without_reading(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("little"))
    select.select([visitor.wire.socket], [], [], 30)
    visitor.some_time(0.02)


def _leaves_after_a_whole_answer(visitor: Visitor) -> None:
    visitor.wire.ask(visitor.server.url("little"))
    assert visitor.wire.answer()[0].status == 200


def _leaves_in_a_pipeline(visitor: Visitor) -> None:
    wanted = [visitor.server.url(name) for name in ("little", "large", "many")]
    visitor.wire.send(b"".join(map(request, wanted)))
    visitor.wire.answer()
    visitor.wire.head()
    visitor.wire.read(visitor.chance.randrange(MIB))


WAYS: tuple[Callable[[Visitor], None], ...] = (
    _only_connects,
    _sends_half_a_request,
    _leaves_during_planning,
    _leaves_at_once,
    _leaves_before_the_first_byte,
    _leaves_in_a_header,
    _leaves_in_a_large_content,
    _leaves_in_the_held_back_tail,
    _leaves_while_it_is_hashed,
    _leaves_without_reading,
    _leaves_after_a_whole_answer,
    _leaves_in_a_pipeline,
)


def visit(server: Pannier, way: Callable[[Visitor], None], seed: int) -> None:
    """Come, and leave in this way; by FIN, by RST, or first with one half of the connection only."""
    chance = random.Random(seed)
    with Wire(server.client_port, receive=chance.choice([None, 8 * KIB])) as wire:
        way(Visitor(server, wire, chance))
        match chance.randrange(3):
            case 0:
                wire.leave(reset=True)
            case 1:
                wire.socket.shutdown(socket.SHUT_WR)
                time.sleep(chance.random() * 0.01)


def visit_often(server: Pannier, times: int, seed: int) -> None:
    with ThreadPoolExecutor(AT_ONCE) as clients:
        visits = [clients.submit(visit, server, WAYS[i % len(WAYS)], seed * 1_000_000 + i) for i in range(times)]
        for each in visits:
            each.result()


@dataclass(frozen=True)
class Census:
    """What a server process has at one time."""

    tasks: tuple[str, ...]
    descriptors: tuple[str, ...]
    threads: int
    resident: int

    @classmethod
    def of(cls, server: Pannier) -> Census:
        told = server.state / "census.json"
        told.unlink(missing_ok=True)
        os.kill(server.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 30
        while not told.exists():
            assert time.monotonic() < deadline, "its event loop does nothing"
            time.sleep(0.01)
        process = Path(f"/proc/{server.pid}")
        return cls(
            tuple(json.loads(told.read_text())),
            tuple(sorted(re.sub(r"\d+", "…", each) for each in _links(process / "fd"))),
            len(list((process / "task").iterdir())),
            int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )

    @classmethod
    def settled(cls, server: Pannier) -> Census:
        """Wait until nothing goes away any more: the last is what looks after sessions once a second."""
        deadline = time.monotonic() + 30
        last, same = cls.of(server), 0
        while same < 40:
            assert time.monotonic() < deadline, f"it does not settle: {last}"
            time.sleep(0.05)
            now = cls.of(server)
            same = same + 1 if (now.tasks, now.descriptors) == (last.tasks, last.descriptors) else 0
            last = now
        return last


def _links(directory: Path) -> Iterator[str]:
    for each in directory.iterdir():
        with suppress(FileNotFoundError):  # it has gone just now
            yield os.readlink(each)


def fill_the_pools(server: Pannier) -> None:
    """Have all threads started that a server ever starts: they stay, and are no leak."""
    folder = server.folder / "pools"
    if folder.exists():
        return  # a test before this one did
    names = [f"{i:02}-read=2-piped.bin" for i in range(40)]
    trees.plant(folder, 1, small=0, large=())
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes(140_000))
        trees.plant(folder / f"{number}-list=0.3", 2, small=1, large=())
    urls = [server.url(f"pools/{name}") for name in names]
    with ThreadPoolExecutor(len(urls)) as clients:
        list(clients.map(server.fetch, urls))
        list(clients.map(server.fetch, urls))  # now hashed: all are in their sending at once
        list(clients.map(lambda number: server.url(f"pools/{number}-list=0.3"), range(40)))


def asyncio_threads() -> int:
    """The most of the loop's own pool, which parses bodies: nobody can have all of them started."""
    return min(32, (os.cpu_count() or 1) + 4)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("times", [240, *(pytest.param(many, marks=pytest.mark.slow) for many in (1_000, 20_000))])
def test_clients_that_leave_leave_nothing_behind(times: int, server: Pannier, folder: Path) -> None:
    fill_the_pools(server)
    visit_often(server, 120, seed=0)
    before = Census.settled(server)
    visit_often(server, times, seed=1)
    after = Census.settled(server)
    assert after.tasks == before.tasks
    assert after.descriptors == before.descriptors
    assert after.threads <= before.threads + asyncio_threads()
    assert after.resident < before.resident + 48 * MIB
    _, _, archive = server.fetch(server.url("many", "large"))
    assert trees.contents(archive) == {
        f"{each}/{name}": data for each in ("many", "large") for name, data in trees.files(folder / each).items()
    }


def test_one_connection_is_answered_again_and_again(server: Pannier) -> None:
    url = server.url("many")
    _, headers, whole = server.fetch(url)
    with Wire(server.client_port) as wire:
        for start in range(0, len(whole), len(whole) // 15):
            wire.ask(url)
            head, body = wire.answer()
            assert (head.status, body) == (200, whole)
            wire.ask(url, Range=f"bytes={start}-{start + 999}", If_Range=headers["etag"])
            head, body = wire.answer()
            assert (head.status, body) == (206, whole[start : start + 1_000])
            wire.ask(url, method="HEAD")
            head = wire.head()
            assert (head.status, head.length) == (200, len(whole))


@pytest.mark.parametrize("rounds", [1, 20])
def test_requests_that_are_written_at_once_are_answered_in_order(rounds: int, server: Pannier) -> None:
    large, little = server.url("large"), server.url("little")
    (_, headers, of_large), (_, _, of_little) = server.fetch(large), server.fetch(little)
    end, etag = len(of_large), headers["etag"]
    wanted: list[tuple[bytes, int, bytes | None]] = [
        (request(large, Range="bytes=0-9"), 206, of_large[:10]),
        (request(large, method="HEAD"), 200, b""),
        (request(f"{server.client_url}/nowhere"), 404, None),
        (request(large, Range=f"bytes={end - 100_000}-"), 206, of_large[-100_000:]),
        (request(little), 200, of_little),
        (request(f"{server.client_url}/download-archive"), 400, None),
        (request(large, Range=f"bytes={end}-"), 416, None),
        (request(large, If_None_Match=etag), 304, b""),
        (request(large, Range="bytes=5000000-5999999", If_Range=etag), 206, of_large[5_000_000:6_000_000]),
        (request(f"{server.client_url}/download-archive?token=none"), 400, None),
        (request(little, method="HEAD", Range="bytes=5-9"), 200, b""),
        (request(large, If_Match='"another"'), 412, None),
        (request(large), 200, of_large),
        (request(f"{server.client_url}/"), 200, None),
    ] * rounds
    with Wire(server.client_port) as wire:
        wire.send(b"".join(sent for sent, _, _ in wanted))
        for number, (_, status, content) in enumerate(wanted):
            head = wire.head()
            body = b"" if content == b"" else wire.read(head.length)
            assert head.status == status, (number, body)
            assert content is None or body == content, number
        wire.ask(little)
        assert wire.answer()[1] == of_little


def test_a_broken_download_is_not_filled_up_by_the_answer_to_the_next_request(server: Pannier, folder: Path) -> None:
    place = folder / "breaks"
    trees.plant(place, 8, small=0, large=())
    (place / "1.bin").write_bytes(trees.content(1, 12 * MIB))
    (place / "2.bin").write_bytes(trees.content(2, 12 * MIB))
    url = server.url("breaks")
    _, _, old = server.fetch(url)
    with Wire(server.client_port, receive=16 * KIB) as wire:
        wire.send(request(url) + request(server.url("little")) * 20)
        head = wire.head()
        got = wire.read(MIB)
        (place / "2.bin").write_bytes(b"other")
        with pytest.raises(Broken) as broken:
            wire.read(head.length - MIB)
    assert old.startswith(got + broken.value.body)
