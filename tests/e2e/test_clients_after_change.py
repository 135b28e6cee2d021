"""Promise: never a corrupt mix. Who goes on after the selection changed gets the rest of what was begun, or a refusal.

What must never be is a client that ends with 0 and holds what is no archive, or an archive of no state of the folder.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.clients import ARIA2C, CLIENTS, CURL, WGET, Client, Ended
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

PROBLEM = "urn:pannier:problem:"
NEVER_FRESH = "[archive]\nplan-fresh-min = 0\nplan-fresh-max = 0\n"
SENT, CUT, REST = "00-sent.bin", "40-cut.bin", "60-rest.bin"
"""Sent whole before curl and wget are cut, cut, and not yet begun. Four connections have begun all of them."""

_numbers = itertools.count()


def _rewrite(path: Path) -> None:
    path.write_bytes(trees.content(99, path.stat().st_size))


def _rewrite_unseen(path: Path) -> None:
    """Rewrite it in place, and put its times back."""
    status = path.stat()
    _rewrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    """Put another file of the same size and times in its place, by renaming."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    _rewrite_unseen(other)
    other.rename(path)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@dataclass(frozen=True)
class Change:
    """Something that happens to a selection while a client holds a part of its archive."""

    name: str
    make: Callable[[Path], object]
    keeps_length: bool
    """Whether the new archive is as long as the old one: then nothing but its bytes tells a client that it is new."""


NOTHING = Change("nothing", lambda folder: None, True)
ADDED = (
    Change("a file is added before the cut", lambda folder: (folder / "00-a").write_bytes(b"new"), False),
    Change("a file is added at the end", lambda folder: (folder / "zzz").write_bytes(b"new"), False),
)
CHANGED = (
    Change("a file in the rest is rewritten", lambda folder: _rewrite(folder / REST), True),
    Change("a file in the rest is rewritten with its times", lambda folder: _rewrite_unseen(folder / REST), True),
    Change("a file in the rest is replaced", lambda folder: _replace(folder / REST), True),
    Change("a file in the rest grows", lambda folder: _grow(folder / REST), False),
    Change("a file in the rest is removed", lambda folder: (folder / REST).unlink(), False),
    Change("the file of the cut is rewritten", lambda folder: _rewrite(folder / CUT), True),
    Change("the file of the cut shrinks", lambda folder: os.truncate(folder / CUT, 3), False),
    Change("a sent file is rewritten", lambda folder: _rewrite(folder / SENT), True),
    Change("a sent file is rewritten with its times", lambda folder: _rewrite_unseen(folder / SENT), True),
    Change("a sent file shrinks", lambda folder: os.truncate(folder / SENT, 3), False),
    Change("a sent file is removed", lambda folder: (folder / SENT).unlink(), False),
)
ALL = (NOTHING, *ADDED, *CHANGED)


def share(first: int) -> pytest.MarkDecorator:
    """Every third change from one on, for a situation of its own; all of them where there is time for that.

    All are tried quickly too, where nothing else happens: `test_who_goes_on_when_the_plan_is_no_longer_fresh…`.
    """
    some = (NOTHING, *(*ADDED, *CHANGED)[first::3])
    slow = [pytest.mark.slow, pytest.mark.timeout(600)]
    given = [pytest.param(some, id="some"), pytest.param(ALL, id="all", marks=slow)]
    return pytest.mark.parametrize("changes", given)


@dataclass(frozen=True)
class Begun:
    """A download that a client has begun, and the archive that it began with."""

    change: Change
    folder: Path
    url: str
    out: Path
    old: bytes


def begin(client: Client, server: Pannier, changes: Sequence[Change], tmp_path: Path) -> list[Begun]:
    """Begin a download for each change, in a directory of its own, and have it cut."""
    folders = [server.folder / f"{next(_numbers):05}" for _ in changes]
    for seed, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for number in range(20):
            (folder / f"{number + 10}.txt").write_bytes(trees.content(seed, number * 100))
        for name, size in ((SENT, 200_000), (CUT, 2 * MIB), (REST, 2 * MIB), ("61.txt", 50), ("62.bin", 300_000)):
            (folder / name).write_bytes(trees.content(seed, size))
    begun = []
    for change, folder in zip(changes, folders, strict=True):
        _, _, old = server.fetch(server.url(folder.name))
        each = Begun(change, folder, server.url(folder.name), tmp_path / f"{client.name}-{folder.name}.zip", old)
        with CuttingProxy(server.client_port) as proxy:
            proxy.cut(*[Cut(len(old) // (20 if client is ARIA2C else 3))] * 20)
            ended = client.run(proxy.through(each.url), each.out)
        assert ended.code != 0
        assert each.out.stat().st_size > 250_000
        begun.append(each)
    return begun


def change_all(begun: Sequence[Begun]) -> None:
    for each in begun:
        each.change.make(each.folder)


def go_on(client: Client, each: Begun, url: str, server: Pannier) -> Ended:
    """Let the client go on, twice if need be, and make sure that it takes no mix for the whole."""
    ended = client.run(url, each.out)
    for again in (True, False):
        got = each.out.read_bytes()
        what = f"{client.name}, {each.change.name}: {ended}"
        if ended.code == 0:
            assert got == each.old or got == archive_of(server, each.folder), what
            break
        if client is not ARIA2C:  # which writes where it likes
            assert each.old.startswith(got), what
        if again:
            ended = client.run(url, each.out)
    return ended


def archive_of(server: Pannier, folder: Path) -> bytes:
    """Download the archive of what is there now."""
    while True:
        try:
            _, _, archive = server.fetch(server.url(folder.name))
        except IncompleteRead:
            continue  # begun by a plan that was fresh enough, though not true any more: that is forgotten now
        return archive


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("changes") / "folder"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def default(folder: Path) -> Iterator[Pannier]:
    """A server that takes what it planned a moment ago for what is there."""
    with Pannier(folder, folder.with_name("state")) as server:
        yield server


@pytest.fixture(scope="module")
def strict(folder: Path) -> Iterator[Pannier]:
    """A server of the same folder that never does."""
    with Pannier(folder, folder.with_name("strict-state"), toml=NEVER_FRESH) as server:
        yield server


@share(2)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_who_goes_on_at_once_after_a_change_gets_no_mix(
    client: Client, changes: Sequence[Change], default: Pannier, tmp_path: Path
) -> None:
    begun = begin(client, default, changes, tmp_path)
    change_all(begun)
    codes = {each.change: go_on(client, each, each.url, default).code for each in begun}
    assert codes[NOTHING] == 0
    for each in begun:
        if client is not ARIA2C and each.change.name.startswith("a file in the rest"):
            assert codes[each.change] != 0, each.change.name


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_who_goes_on_when_the_plan_is_no_longer_fresh_gets_no_mix(
    client: Client, strict: Pannier, tmp_path: Path
) -> None:
    begun = begin(client, strict, ALL, tmp_path)
    change_all(begun)
    codes = {each.change: go_on(client, each, each.url, strict).code for each in begun}
    assert codes[NOTHING] == 0
    for change in CHANGED:
        assert codes[change] != 0, change.name


@share(1)
def test_who_goes_on_after_a_restart_gets_no_mix(changes: Sequence[Change], strict: Pannier, tmp_path: Path) -> None:
    begun = {client: begin(client, strict, changes, tmp_path) for client in CLIENTS}
    strict.kill()
    for downloads in begun.values():
        change_all(downloads)
    strict.start()
    for client, downloads in begun.items():
        codes = {each.change: go_on(client, each, each.url, strict).code for each in downloads}
        assert codes.pop(NOTHING) == 0, client.name
        for change, code in codes.items():
            assert code != 0, f"{client.name}: {change.name}"


# What no server can tell apart: four connections that begin a download, and four that go on with another one. aria2c
# sends no If-Range; it begins with a plain GET, and compares nothing but the length. See `test_aria2c_makes_a_mix…`.
@share(0)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_who_goes_on_with_another_token_gets_no_mix(
    client: Client, changes: Sequence[Change], strict: Pannier, tmp_path: Path
) -> None:
    begun = begin(client, strict, [change for change in changes if can_be_told(client, change)], tmp_path)
    change_all(begun)
    for each in begun:
        ended = go_on(client, each, strict.url(each.folder.name), strict)
        assert (ended.code == 0) == (client is ARIA2C and each.change is NOTHING), each.change.name


@share(2)
def test_who_goes_on_after_the_state_was_lost_gets_no_mix(
    changes: Sequence[Change], strict: Pannier, tmp_path: Path
) -> None:
    begun = {
        client: begin(client, strict, [change for change in changes if can_be_told(client, change)], tmp_path)
        for client in CLIENTS
    }
    strict.stop()
    lose_state(strict)
    for downloads in begun.values():
        change_all(downloads)
    strict.start()
    for client, downloads in begun.items():
        for each in downloads:
            ended = go_on(client, each, each.url, strict)
            what = f"{client.name}: {each.change.name}"
            assert (ended.code == 0) == (client is ARIA2C and each.change is NOTHING), what


def can_be_told(client: Client, change: Change) -> bool:
    return client is not ARIA2C or change is NOTHING or not change.keeps_length


def lose_state(server: Pannier) -> None:
    files = list(server.state.glob("state.db*"))
    assert files
    for each in files:
        each.unlink()


def test_aria2c_makes_a_mix_of_one_length_where_nothing_remembers_and_no_server_can_tell(
    strict: Pannier, tmp_path: Path
) -> None:
    """Not what is wanted: what is. A client that asks for what it holds with its ETag is the way out."""
    (each,) = begin(ARIA2C, strict, [CHANGED[0]], tmp_path)
    change_all([each])
    ended = ARIA2C.run(strict.url(each.folder.name), each.out)
    assert ended.code == 0
    assert each.out.read_bytes() not in (each.old, archive_of(strict, each.folder))


@pytest.mark.parametrize(
    "change",
    [change for change in CHANGED if change.name.startswith("a sent file is rew")],
    ids=lambda change: change.name,
)
@pytest.mark.parametrize("client", [CURL, WGET], ids=lambda client: client.name)
def test_curl_and_wget_make_a_mix_with_another_link_that_has_given_out_the_new_archive(
    client: Client, change: Change, strict: Pannier, tmp_path: Path
) -> None:
    """Not what is wanted: what is. The link remembers how it began, and not how the part did."""
    (each,) = begin(client, strict, [change], tmp_path)
    change_all([each])
    url = strict.url(each.folder.name)
    new = strict.fetch(url)[2]
    part = each.out.read_bytes()
    assert client.run(url, each.out).code == 0
    assert each.out.read_bytes() == part + new[len(part) :] != new


@share(1)
@pytest.mark.parametrize("restart", [False, True], ids=["running", "killed"])
def test_who_starts_over_with_the_old_link_and_is_cut_again_gets_no_mix(
    restart: bool, changes: Sequence[Change], strict: Pannier, tmp_path: Path
) -> None:
    """The archive that the link began with could still be had after an addition, but the new part is not of it."""
    begun = [
        (client, each)
        for client in CLIENTS
        for each in begin(client, strict, [change for change in changes if change is not NOTHING], tmp_path)
    ]
    change_all([each for _, each in begun])
    parts = {}
    for client, each in begun:
        remove_part(each)
        with CuttingProxy(strict.client_port) as proxy:
            proxy.cut(*[Cut(len(each.old) // (20 if client is ARIA2C else 3))] * 20)
            assert client.run(proxy.through(each.url), each.out).code != 0
        parts[each] = each.out.read_bytes()
    if restart:
        strict.kill()
        strict.start()
    for client, each in begun:
        new, part, what = archive_of(strict, each.folder), parts[each], f"{client.name}: {each.change.name}"
        assert client is ARIA2C or new.startswith(part), what
        ended = client.run(each.url, each.out)
        assert ended.code != 0, f"{what}: {ended}"
        if client is not ARIA2C:
            assert each.out.read_bytes() == part, what
        remove_part(each)  # the way out, with the same link
        assert client.run(each.url, each.out).code == 0
        assert each.out.read_bytes() == new, what


@share(0)
def test_aria2c_that_starts_over_with_the_old_link_gets_the_new_archive_or_fails(
    changes: Sequence[Change], strict: Pannier, tmp_path: Path
) -> None:
    begun = begin(ARIA2C, strict, [change for change in changes if change is not NOTHING], tmp_path)
    change_all(begun)
    for each in begun:
        remove_part(each)
        ended = ARIA2C.run(each.url, each.out)
        assert ended.code != 0 or each.out.read_bytes() == archive_of(strict, each.folder), each.change.name


def remove_part(each: Begun) -> None:
    each.out.unlink()
    each.out.with_name(f"{each.out.name}.aria2").unlink(missing_ok=True)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_who_starts_over_after_a_change_gets_the_new_archive(client: Client, strict: Pannier, tmp_path: Path) -> None:
    (each,) = begin(client, strict, [CHANGED[0]], tmp_path)
    change_all([each])
    assert go_on(client, each, each.url, strict).code != 0
    remove_part(each)
    url = strict.url(each.folder.name)
    assert client.run(url, each.out).code == 0
    assert each.out.read_bytes() == strict.fetch(url)[2] != each.old


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_a_bare_range_after_a_change_is_refused_and_one_with_if_range_gets_the_whole(
    restart: bool, strict: Pannier, tmp_path: Path
) -> None:
    begun = begin(CURL, strict, CHANGED, tmp_path)
    etags = {each.change: strict.fetch(each.url, Range="bytes=0-0")[1]["etag"] for each in begun}
    change_all(begun)
    if restart:
        strict.kill()
        strict.start()
    for each in begun:
        for wanted in ("bytes=1000000-", "bytes=0-", "bytes=0-0", "bytes=-100", "bytes=99999999999-", "bytes=0-0,9-9"):
            status, headers, body = strict.fetch(each.url, Range=wanted)
            assert (status, json.loads(body)["type"]) == (409, f"{PROBLEM}selection-changed"), each.change.name
            assert headers["content-type"] == "application/problem+json"
        status, headers, new = strict.fetch(each.url, Range="bytes=1000000-", If_Range=etags[each.change])
        assert status == 200
        assert headers["etag"] != etags[each.change]
        assert trees.contents(new) == {
            f"{each.folder.name}/{name}": data for name, data in trees.files(each.folder).items()
        }
        status, _, body = strict.fetch(each.url, Range="bytes=1000000-", If_Range=headers["etag"])
        assert (status, body) == (206, new[1_000_000:])


def test_a_bare_range_with_a_token_that_began_nothing_is_refused(strict: Pannier, tmp_path: Path) -> None:
    (each,) = begin(WGET, strict, [NOTHING], tmp_path)
    status, _, body = strict.fetch(strict.url(each.folder.name), Range="bytes=1000000-")
    assert (status, json.loads(body)["type"]) == (409, f"{PROBLEM}resume-unverified")
