"""Typed handlers: what a route takes and gives is its signature."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel, Field

from pannier.api.connections import Runner
from pannier.api.handlers import (
    MOST_BODY,
    Answered,
    ApiResponse,
    BodyLimit,
    BodyParam,
    HeaderParam,
    PathParam,
    QueryParam,
    api_handler,
)
from pannier.api.middlewares import outermost, sign
from pannier.api.problems import answer_status
from pannier.api.requests import Context
from tests.api.live import MINT, SECRET, live


class Query(BaseModel):
    q: str = "none"


class Body(BaseModel):
    number: int
    text: str = Field(default="", max_length=10_000_000)


class Headers(BaseModel):
    x_given: str


class Parts(BaseModel):
    part: int


class Said(BaseModel):
    said: list[str | int]


class Handlers:
    @api_handler
    async def everything(
        self, path: PathParam[Parts], query: QueryParam[Query], headers: HeaderParam[Headers], body: BodyParam[Body]
    ) -> Answered:
        said: list[str | int] = [path.parsed.part, query.parsed.q, headers.parsed.x_given, body.parsed.number]
        await asyncio.sleep(0.01)  # others come meanwhile: nothing parsed is kept on a shared object
        return ApiResponse(Said(said=[*said, path.parsed.part]), status=202, headers={"X-More": "yes"})

    @api_handler
    async def nothing(self) -> Answered:
        return ApiResponse(status=204)

    @api_handler
    async def refuse(self, context: Context) -> Answered:
        return answer_status(409, "taken", "It is taken.", context.id, by="another")


class Narrow(Handlers):
    body_limit = BodyLimit(100, "limits.of-this-test")


@asynccontextmanager
async def served(handlers: Handlers) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = web.Application(middlewares=[outermost("test", ())])
    app.on_response_prepare.append(sign)
    app.router.add_post("/{part}", handlers.everything)
    app.router.add_get("/nothing", handlers.nothing)
    app.router.add_get("/refuse", handlers.refuse)
    runner = Runner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_parameters_are_parsed_for_each_request_alone() -> None:
    async with served(Handlers()) as (session, url):

        async def one(number: int) -> list[str | int]:
            headers = {"X-Given": f"h{number}"}
            async with session.post(
                f"{url}/{number}?q=q{number}", json={"number": number}, headers=headers
            ) as response:
                assert (response.status, response.headers["X-More"]) == (202, "yes")
                said: list[str | int] = (await response.json())["said"]
                return said

        answers = await asyncio.gather(*map(one, range(20)))
    assert answers == [[n, f"q{n}", f"h{n}", n, n] for n in range(20)]


async def test_each_parameter_that_does_not_fit_is_named() -> None:
    async with served(Handlers()) as (session, url):
        for path, headers, body, field in [
            ("/x", {"X-Given": "1"}, {"number": 1}, "part"),
            ("/1", {}, {"number": 1}, "x_given"),
            ("/1", {"X-Given": "1"}, {"number": "many"}, "number"),
            ("/1", {"X-Given": "1"}, [], "body"),
        ]:
            async with session.post(url + path, json=body, headers=headers) as response:
                document = await response.json(content_type="application/problem+json")
                assert (response.status, list(document["data"])) == (400, [field])


async def test_an_answer_may_be_empty_or_a_problem() -> None:
    async with served(Handlers()) as (session, url):
        async with session.get(f"{url}/nothing") as response:
            assert (response.status, await response.read()) == (204, b"")
        async with session.get(f"{url}/refuse") as response:
            document = await response.json(content_type="application/problem+json")
            assert (response.status, document["by"], document["error_code"]) == (409, "another", "vfolder_read_taken")


async def pieces(total: int) -> AsyncIterator[bytes]:
    """A body whose length is not announced."""
    yield b'{"number": 1, "text": "'
    for _ in range(total // 1_000):
        yield b"x" * 1_000
    yield b'"}'


@pytest.mark.parametrize(
    ("handlers", "limit", "setting"),
    [(Handlers(), MOST_BODY, "none: this route takes no more"), (Narrow(), 100, "limits.of-this-test")],
    ids=["a mebibyte", "its own"],
)
async def test_a_body_has_a_limit_chunked_or_not(handlers: Handlers, limit: int, setting: str) -> None:
    async with served(handlers) as (session, url):
        headers = {"X-Given": "1"}
        rest = len('{"number":1,"text":""}')
        fitting = '{"number":1,"text":"%s"}' % ("x" * (limit - rest))
        async with session.post(f"{url}/1", data=fitting, headers=headers) as response:
            assert response.status == 202
        for body in (io.BytesIO(fitting.encode() + b" "), pieces(limit + 1_000)):
            async with session.post(f"{url}/1", data=body, headers=headers) as response:
                document = await response.json(content_type="application/problem+json")
                assert (response.status, document["limit"], document["setting"]) == (413, limit, setting)
                assert document["measured"] > limit
        # the connection is of further use
        async with session.get(f"{url}/nothing") as response:
            assert response.status == 204


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe\xff",
        b'{"number": ' + b"1" * 5_000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"number": 1} {}',
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_what_is_no_json_is_told_so(body: bytes) -> None:
    async with (
        served(Handlers()) as (session, url),
        session.post(f"{url}/1", data=body, headers={"X-Given": "1"}) as response,
    ):
        document = await response.json(content_type="application/problem+json")
        assert (response.status, document["error_code"]) == (400, "api_parsing_bad-request")


async def test_complaints_quote_no_value(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for body in (
            {**it.order("a"), "filename": "private/name"},
            {**it.order("a"), "files": ["private" * 5_000]},
            {**it.order("a"), "links": "private"},
            {**it.order("a"), "exclude": "private"},
            {**it.order("a"), "volume": ["private"]},
        ):
            answer = await it.manage(MINT, body)
            assert answer.status == 400
            assert "private" not in answer.body.decode()


async def test_many_wrong_members_are_told_in_a_short_answer(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        answer = await it.manage(MINT, {**it.order("a"), "files": [1] * 50_000})
        assert answer.status == 400
        assert len(answer.json["data"]) == 100
        assert len(answer.body) < 50_000


async def test_a_route_takes_a_body_whatever_it_is_called(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"1")
        sent = {"X-BackendAI-Storage-Auth-Token": SECRET, "Content-Type": "text/plain"}
        async with it.session.post(
            it.listening.manager_url + MINT, data=json.dumps(it.order("a")).encode(), headers=sent
        ) as response:
            assert response.status == 200


def test_a_parameter_of_no_known_kind_is_a_mistake_of_ours_told_at_once() -> None:
    with pytest.raises(TypeError, match="parameter what is not of a kind that is parsed"):

        class Wrong:
            @api_handler
            async def handle(self, what: int) -> Answered:
                return ApiResponse()
