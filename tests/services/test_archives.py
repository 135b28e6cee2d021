"""The use cases of archives, below HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from pannier.dto.archives import ArchivePlanReply, ArchivePlanRequest, ArchiveTokenRequest
from pannier.dto.claims import ArchiveDownloadTokenData, PannierClaim
from pannier.dto.selections import Selection, placeholder
from pannier.errors import StateUnavailable, TokenClaimsInvalid, TokenExpired, VolumeUnknown
from pannier.services.archives import Archives
from pannier.services.orders import PlanSettings
from pannier.services.places import Places
from pannier.services.planning import Plans
from pannier.state.base import WITHDRAWN
from pannier.state.checksums import ChecksumMemory
from pannier.state.sessions import NewSession
from pannier.streams.ahead import AheadSettings, Background
from pannier.streams.archive import Engine
from pannier.streams.encoding import Encoding
from pannier.streams.hashing import Hashing
from pannier.streams.workers import Workers
from pannier.tokens import PydanticJWT
from pannier.volumes.base import Volume
from tests.dto.examples import FOLDER_TEXT
from tests.services.watched import grow, memory

KEY = "the key of these tests, 32 bytes or more"
DAY = 24 * 3600


@dataclass
class Store:
    """Sessions and selections in memory, with their expiry; ``away`` makes it fail."""

    pins: dict[str, tuple[str, int]] = field(default_factory=dict)
    kept: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    registered: list[NewSession] = field(default_factory=list)
    away: bool = False

    def _need(self) -> None:
        if self.away:
            raise StateUnavailable("it is away")

    async def pinned(self, session: str, *, certain: bool = False) -> str | None:
        self._need()
        return self.pins.get(session, (None, 0))[0]

    async def pin(self, session: str, etag: str, expires: int) -> str:
        self._need()
        return self.pins.setdefault(session, (etag, expires))[0]

    async def withdraw(self, session: str, expires: int) -> None:
        self._need()
        self.pins[session] = WITHDRAWN, expires

    async def register(self, new: NewSession) -> None:
        self._need()
        self.registered.append(new)

    async def keep(self, digest: str, body: bytes, expires: int) -> None:
        self._need()
        self.kept[digest] = body, expires

    async def selection(self, digest: str) -> bytes | None:
        self._need()
        return self.kept.get(digest, (None, 0))[0]


@dataclass
class Bench:
    archives: Archives
    store: Store
    keys: PydanticJWT

    async def mint(self, *files: str, **more: Any) -> dict[str, Any]:
        """Mint a token, and return its claims with the token itself."""
        reply = await self.archives.mint(ArchiveTokenRequest.model_validate(request(*files, **more)))
        claims: dict[str, Any] = jwt.decode(reply.token, options={"verify_signature": False})
        return {**claims, "token": reply.token}


def request(*files: str, **more: Any) -> dict[str, Any]:
    return {"volume": "v", "virtual_folder_id": FOLDER_TEXT, "files": list(files), **more}


@asynccontextmanager
async def bench(volume: Volume) -> AsyncIterator[Bench]:
    workers = Workers("stream", 4)
    hashing = Hashing(workers, ChecksumMemory(1_000))
    ahead, store, keys = AheadSettings(), Store(), PydanticJWT(KEY)
    background, plans = Background(ahead), Plans(PlanSettings(), workers)
    archives = Archives(
        places=Places({"v": volume}),
        plans=plans,
        engine=Engine(workers, hashing, background, ahead),
        encoding=Encoding(workers, 3),
        keys=keys,
        sessions=store,
        selections=store,
        register=store.register,
        session_expire=600.0,
    )
    try:
        yield Bench(archives, store, keys)
    finally:
        await plans.close()
        await background.close()
        await hashing.close()
        await workers.close()


async def test_a_small_selection_without_options_travels_as_on_the_wire() -> None:
    async with bench(memory(a=b"1", b=b"2")) as it:
        claims = await it.mint("b", "./a", "b", filename="x.zip")
        assert claims["files"] == ["b", "./a", "b"]
        assert set(claims) == {
            "operation", "volume", "virtual_folder_id", "files", "filename", "exp", "jti", "token"
        }  # fmt: skip
        assert abs(claims["exp"] - time.time() - 600) < 60
        assert not it.store.kept


async def test_every_token_is_a_session_of_its_own() -> None:
    async with bench(memory(a=b"1")) as it:
        first, second = [await it.archives.admit((await it.mint("a"))["token"]) for _ in range(2)]
        assert first.session != second.session
        assert first.order == second.order
        await it.archives.pin(first, '"x"')
        assert await it.archives.pinned(first, certain=True) == '"x"'
        assert await it.archives.pinned(second, certain=True) is None
        assert await it.archives.pin(first, '"y"') == '"x"'
        await it.archives.withdraw(first)
        assert await it.archives.pinned(first, certain=True) == await it.archives.pin(first, '"x"') == WITHDRAWN
        assert await it.archives.pin(second, '"y"') == '"y"'


async def test_a_pin_and_a_kept_selection_outlive_the_token() -> None:
    volume = grow(memory(), *(b"directory/with/a/long/name/%04d" % number for number in range(300)))
    async with bench(volume) as it:
        files = [f"directory/with/a/long/name/{number:04}" for number in range(300)]
        claims = await it.mint(*files)
        grant = await it.archives.admit(claims["token"])
        await it.archives.pin(grant, '"x"')
        assert grant.expires == claims["exp"]
        assert [expires for _, expires in it.store.pins.values()] == [claims["exp"] + DAY]
        await it.archives.withdraw(grant)
        assert [*it.store.pins.values()] == [(WITHDRAWN, claims["exp"] + DAY)]
        assert [expires for _, expires in it.store.kept.values()] == [claims["exp"] + DAY]


async def test_a_large_selection_is_kept_with_its_options_under_its_digest() -> None:
    volume = grow(memory(), *(b"directory/with/a/long/name/%04d" % number for number in range(300)))
    async with bench(volume) as it:
        files = [f"directory/with/a/long/name/{number:04}" for number in range(300)]
        claims = await it.mint(*files, exclude=["*7"], **{"except": ["gone"]}, links="omit", layout="plain")
        (digest, (body, _)) = next(iter(it.store.kept.items()))
        assert claims["files"] == [placeholder(digest)]
        assert claims["pannier"] == {"v": 1, "selection": digest}
        assert Selection.parse(body).exclude == ("*7",)
        grant = await it.archives.admit(claims["token"])
        assert grant.order.selection == Selection.parse(body)
        assert grant.order.selection.files == tuple(files)


@pytest.mark.parametrize(
    "options",
    [{"exclude": ["*.log"]}, {"except": ["b"]}, {"links": "omit"}, {"layout": "plain"}],
    ids=str,
)
async def test_any_option_hides_the_paths_from_readers_that_would_ignore_it(options: dict[str, Any]) -> None:
    async with bench(memory(a=b"1")) as it:
        claims = await it.mint("a", **options)
        assert claims["files"][0].startswith(".upload/selection-")
        assert claims["pannier"] == {"v": 1, "paths": ["a"], **options}
        grant = await it.archives.admit(claims["token"])
        assert grant.order.selection.files == ("a",)
        assert grant.order.selection.narrows


async def test_a_selection_that_is_kept_no_longer_or_altered_opens_nothing() -> None:
    volume = grow(memory(), *(b"directory/with/a/long/name/%04d" % number for number in range(300)))
    async with bench(volume) as it:
        files = [f"directory/with/a/long/name/{number:04}" for number in range(300)]
        claims = await it.mint(*files)
        (digest, (body, expires)) = next(iter(it.store.kept.items()))
        it.store.kept[digest] = body.replace(b"0001", b"0002"), expires
        with pytest.raises(TokenClaimsInvalid, match="no longer keeps"):
            await it.archives.admit(claims["token"])
        it.store.kept.clear()
        with pytest.raises(TokenClaimsInvalid, match="no longer keeps"):
            await it.archives.admit(claims["token"])
        it.store.away = True
        with pytest.raises(StateUnavailable):
            await it.archives.admit(claims["token"])


async def test_a_selection_or_session_that_cannot_be_kept_gives_no_token() -> None:
    volume = grow(memory(), *(b"directory/with/a/long/name/%04d" % number for number in range(300)))
    async with bench(volume) as it:
        it.store.away = True
        with pytest.raises(StateUnavailable):
            await it.mint(*(f"directory/with/a/long/name/{number:04}" for number in range(300)))
        assert not it.store.registered
        with pytest.raises(StateUnavailable):  # its session could not be revoked
            await it.mint("directory")
        it.store.away = False
        assert (await it.mint("directory"))["files"] == ["directory"]


async def test_a_placeholder_alone_opens_nothing() -> None:
    """Who strips our claim from a token of ours (with the shared key) gets a path that is never there."""
    async with bench(memory(a=b"1")) as it:
        claims = await it.mint("a", exclude=["b"])
        for dropped in ("pannier", "token"):
            del claims[dropped]
        stripped = it.keys.issue(ArchiveDownloadTokenData.model_validate(claims))
        grant = await it.archives.admit(stripped)
        told = await it.archives.plan(ArchivePlanRequest.model_validate(request(*grant.order.selection.files)))
        assert isinstance(told, ArchivePlanReply)
        assert [each.code for each in told.offenders.items] == ["missing"]


async def test_tokens_for_other_volumes_and_other_times_open_nothing() -> None:
    async with bench(memory(a=b"1")) as it:
        claims = await it.mint("a")
        del claims["token"]
        other = ArchiveDownloadTokenData.model_validate({**claims, "volume": "w"})
        with pytest.raises(VolumeUnknown):
            await it.archives.admit(it.keys.issue(other))
        late = ArchiveDownloadTokenData.model_validate({**claims, "exp": 1})
        with pytest.raises(TokenExpired):
            await it.archives.admit(it.keys.issue(late))
        nothing = ArchiveDownloadTokenData.model_validate({**claims, "pannier": PannierClaim()})
        assert (await it.archives.admit(it.keys.issue(nothing))).order.selection.files == ("a",)


async def test_a_plan_knows_how_much_is_hashed_already() -> None:
    async with bench(memory(a=b"12345", b=b"123", c=b"")) as it:
        asked = ArchivePlanRequest.model_validate(request("."))
        before = await it.archives.plan(asked)
        assert isinstance(before, ArchivePlanReply)
        assert (before.checksums.known_entries, before.checksums.known_bytes) == (1, 0)  # of nothing it is known
        grant = await it.archives.admit((await it.mint("a"))["token"])
        reader = await it.archives.open(grant, None)
        assert [item async for item in reader.read()]
        after = await it.archives.plan(asked)
        assert isinstance(after, ArchivePlanReply)
        assert (after.checksums.known_entries, after.checksums.known_bytes) == (2, 5)


async def test_an_archive_is_called_archive_unless_the_token_says_otherwise() -> None:
    async with bench(memory(a=b"1")) as it:
        for more, name in [({}, "archive.zip"), ({"filename": "여행"}, "여행")]:
            grant = await it.archives.admit((await it.mint("a", **more))["token"])
            assert (await it.archives.open(grant, None)).filename == name
