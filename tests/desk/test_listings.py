"""Looks at a directory: names are read once, what is behind them as pages are asked for."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pannier.dto.desk import ListReply, Sort
from pannier.services import listings
from pannier.services.listings import Listings, beginning, cursor_at
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.editing import PosixEditor
from pannier.volumes.posix import SingleFolderVolume
from tests.desk.desks import FOLDER, DeskServer, Person

MANY, SLICE = 500, 200


class Looking:
    """Listings of a directory of many names, whose clock is the test's, and what they asked the storage."""

    def __init__(self, root: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.now, self.names, self.seen = root, 0.0, 0, 0
        for number in range(MANY):
            (root / f"{number:05}").touch()
        self.volume = SingleFolderVolume("trip", root, FOLDER)
        self.listings = Listings(workers, clock=lambda: self.now)
        monkeypatch.setattr(listings, "_SLICE", SLICE)
        names, see = PosixEditor.names, PosixEditor.see

        def counted_names(editor: PosixEditor, path: bytes) -> list[bytes]:
            self.names += 1
            return names(editor, path)

        def counted_see(editor: PosixEditor, path: bytes, some: list[bytes]) -> Any:
            self.seen += len(some)
            return see(editor, path, some)

        monkeypatch.setattr(PosixEditor, "names", counted_names)
        monkeypatch.setattr(PosixEditor, "see", counted_see)

    @property
    def place(self) -> Place:
        return Place(self.volume, FOLDER)

    async def page(
        self, cursor: str | None, limit: int = SLICE, *, sort: Sort = Sort.NAME, descending: bool = False
    ) -> ListReply:
        return await self.listings.page(
            self.place, "trip", ".", cursor=cursor, limit=limit, sort=sort, descending=descending
        )


@asynccontextmanager
async def looking(root: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looking]:
    workers = Workers("test", 2)
    it = Looking(root, workers, monkeypatch)
    try:
        yield it
    finally:
        it.volume.close()
        await workers.close()


async def test_the_first_page_costs_the_names_and_a_few_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with looking(tmp_path, monkeypatch) as it:
        first = await it.page(cursor_at(0), limit=20)
        assert (len(first.names), first.total, first.version) == (20, MANY, None)
        assert (it.names, it.seen) == (1, SLICE)
        page = await it.page(beginning(first.cursor))
        names = page.names
        while page.cursor is not None:
            page = await it.page(page.cursor)
            names = names + page.names
        assert names == [f"{number:05}" for number in range(MANY)]
        assert (it.names, it.seen) == (1, MANY)
        assert page.version is not None
        assert not (await it.listings.changes(it.place, ".", page.version)).changed


@pytest.mark.parametrize("how", [{"sort": Sort.SIZE}, {"sort": Sort.TIME}, {"descending": True}])
async def test_another_order_needs_all_looks(
    how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking(tmp_path, monkeypatch) as it:
        (tmp_path / f"{MANY - 1:05}").write_bytes(b"the last is the largest, and the youngest")
        os.utime(tmp_path / f"{MANY - 1:05}", (2**32, 2**32))
        first = await it.page(None, limit=1, **({"descending": True} | how))
        assert first.names == [f"{MANY - 1:05}"]
        assert it.seen == MANY


async def test_what_vanishes_between_two_pages_is_in_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with looking(tmp_path, monkeypatch) as it:
        first = await it.page(None)
        (tmp_path / "00300").unlink()
        (tmp_path / "00000").unlink()
        second = await it.page(first.cursor)
        third = await it.page(second.cursor)
        names = first.names + second.names + third.names
        assert names == [f"{number:05}" for number in range(MANY) if number != 300]
        assert (third.total, third.cursor) == (MANY - 1, None)
        assert third.version is not None
        assert (await it.listings.changes(it.place, ".", third.version)).changed


async def test_pages_of_two_looks_are_told_apart_from_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read the first page of a look that was forgotten is told that something may have changed."""
    async with looking(tmp_path, monkeypatch) as it:
        first = await it.page(None)
        it.now += 61
        second = await it.page(first.cursor)
        third = await it.page(second.cursor)
        assert it.names == 2
        assert len(first.names + second.names + third.names) == MANY
        assert third.version is not None
        assert (await it.listings.changes(it.place, ".", third.version)).changed


async def test_a_look_is_kept_as_long_as_its_pages_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking(tmp_path, monkeypatch) as it:
        page = await it.page(None, limit=100)
        while page.cursor is not None:
            it.now += 59
            page = await it.page(page.cursor, limit=100)
        assert it.names == 1


async def test_the_script_goes_on_with_the_look_of_the_plain_page(it: DeskServer) -> None:
    async def listed(person: Person, **query: str) -> list[str]:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        names: list[str] = (await person.get(f"/desk/list?folder=trip&path=many{more}")).json["names"]
        return names

    for number in range(250):
        it.write(f"many/{number:03}")
    owner = await it.owner()
    found = re.search(r'data-look="([^"]+)"', await owner.page("/f/trip/many"))
    assert found is not None
    it.write("many/late")
    assert await listed(owner, cursor=found[1]) == [f"{number:03}" for number in range(250)]
    assert "late" in await listed(owner)
