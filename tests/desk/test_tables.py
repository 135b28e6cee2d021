"""Every route of the front desk, held to what the listener says of itself: who may ask it, and from where."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.desk.desks import HTML, DeskServer, Person, desk, kind

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKENS = {"/archive-members", "/download", "/download-archive", "/upload", "/uploads", "/session", "/openapi.json"}
"""What stands on the same listener for those who hold a token."""


@dataclass(frozen=True)
class Change:
    """A route that changes something, with a request that is right but for where it comes from.

    ``writes``: files, so that ``--read-only`` refuses it. ``signed_in``: whether that is what it needs.
    """

    route: str
    body: Any
    writes: bool = False
    signed_in: bool = True


PLACE = {"folder": "trip", "path": "new"}
SELECTED = {"folder": "trip", "paths": ["a.txt"]}
CHANGES = [
    Change("POST /leave", FORM, signed_in=False),
    Change("POST /f/{below}", FORM, signed_in=False),
    Change("POST /links", FORM),
    Change("POST /desk/plan", SELECTED, signed_in=False),
    Change("POST /desk/download", SELECTED, signed_in=False),
    Change("POST /desk/file", {"folder": "trip", "path": "a.txt"}, signed_in=False),
    Change("POST /desk/activity/{id}/stop", None, signed_in=False),
    Change("DELETE /desk/activity/{id}", None, signed_in=False),
    Change("POST /desk/mkdir", PLACE, writes=True),
    Change("POST /desk/rename", {"folder": "trip", "path": "a.txt", "name": "b.txt"}, writes=True),
    Change("POST /desk/move", SELECTED | {"into": "."}, writes=True),
    Change("POST /desk/delete", SELECTED, writes=True),
    Change("POST /desk/trash/{id}/restore", {"folder": "trip"}, writes=True),
    Change("POST /desk/trash/{id}/forget", {"folder": "trip"}, writes=True),
    Change("POST /desk/uploads", PLACE, writes=True),
    Change("POST /desk/links", SELECTED),
    Change("DELETE /desk/links/{code}", None),
    Change("POST /desk/links/{code}/remove", None),
    Change("POST /desk/requests", {"folder": "trip"}, writes=True),
    Change("DELETE /desk/requests/{code}", None),
    Change("POST /desk/requests/{code}/remove", None),
]
WITHOUT_A_TOKEN = {"POST /enter", "POST /s/{code}", "POST /r/{code}", "POST /r/{code}/uploads"}
"""What those may ask who have no sign-in: other sites may not make a browser do so either."""


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncIterator[DeskServer]:
    async with desk(tmp_path, read_only=True) as server:
        yield server


async def send(person: Person, change: Change, **more: Any) -> Any:
    method, _, path = change.route.partition(" ")
    where = path.replace("{id}", "0" * 64).replace("{code}", "none").replace("{below}", "trip/")
    body: dict[str, Any] = {"data": "p=a.txt", "headers": FORM} if change.body is FORM else {"json": change.body}
    body["headers"] = body.get("headers", {}) | more.pop("headers", {})
    return await person.ask(method, where, **body, **more)


async def test_the_table_names_every_route_that_changes_something(it: DeskServer) -> None:
    document = (await it.stranger().get("/openapi.json")).json
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if method not in ("get", "head", "options") and path not in TOKENS
    }
    assert routes == {change.route for change in CHANGES} | WITHOUT_A_TOKEN


async def test_the_document_of_the_desk_is_the_one_that_is_checked_in(it: DeskServer) -> None:
    document = Path(__file__).parents[2] / "docs" / "openapi" / "desk.json"
    assert (await it.stranger().get("/openapi.json")).body == document.read_bytes(), "run: make openapi"


@pytest.mark.parametrize("change", CHANGES, ids=lambda it: it.route)
async def test_nothing_is_changed_but_from_a_page_of_ours(it: DeskServer, change: Change) -> None:
    it.write("a.txt")
    before, owner = it.names(), await it.owner()
    stranger = it.stranger()
    for person, more in (
        (owner, {"token": False}),
        (owner, {"headers": {"X-Pannier-CSRF": "0" * 64}, "token": False}),
        (owner, {"headers": {"Sec-Fetch-Site": "cross-site"}}),
        (owner, {"headers": {"Sec-Fetch-Site": "same-site"}}),
        (owner, {"headers": {"Origin": "https://evil.example"}}),
    ):
        answer = await send(person, change, **more)
        assert kind(answer) == (403, "cross-site"), more
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert kind(await send(stranger, change)) == (401, "signed-out")
    assert it.names() == before


@pytest.mark.parametrize("change", [each for each in CHANGES if each.writes], ids=lambda it: it.route)
async def test_read_only_refuses_what_changes_files(readers: DeskServer, change: Change) -> None:
    readers.write("a.txt")
    before = readers.names()
    assert kind(await send(await readers.owner(), change)) == (403, "read-only")
    assert readers.names() == before


async def test_read_only_takes_no_files_by_requests_that_were_made_before(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        url = (await (await it.owner()).post("/desk/requests", folder="trip")).json["url"]
        where = "/r/" + url.rpartition("/")[2]
    async with desk(tmp_path, read_only=True) as it:
        person = it.stranger()
        assert kind(await person.post(f"{where}/uploads", name="a", size=1)) == (403, "read-only")
        answer = await person.ask("POST", where, data="", headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert kind(answer) == (403, "read-only")
        assert it.names() == set()


@pytest.mark.parametrize("change", [each for each in CHANGES if each.signed_in], ids=lambda it: it.route)
async def test_where_all_may_look_they_may_change_nothing(tmp_path: Path, change: Change) -> None:
    async with desk(tmp_path, public=True) as it:
        it.write("a.txt")
        guest = it.stranger()
        await guest.page("/f/trip/")
        await guest.know()
        assert guest.csrf
        assert kind(await send(guest, change)) == (401, "signed-out")


@pytest.mark.parametrize("route", sorted(WITHOUT_A_TOKEN))
async def test_other_sites_make_nobody_ask_what_needs_no_sign_in(it: DeskServer, route: str) -> None:
    change = Change(route, {"name": "a", "size": 1} if route.endswith("uploads") else FORM)
    answer = await send(it.stranger(), change, headers={"Sec-Fetch-Site": "cross-site"})
    assert kind(answer) == (403, "cross-site")


async def test_pages_of_other_origins_read_nothing_of_the_desk(it: DeskServer) -> None:
    owner = await it.owner()
    document = (await it.stranger().get("/openapi.json")).json
    asked = 0
    for path, methods in document["paths"].items():
        if path in TOKENS:
            continue
        where = path.replace("{id}", "0").replace("{code}", "none").replace("{below}", "trip/").replace("{name}", "x")
        for method in ("get", "options"):
            headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
            answer = await owner.ask(method.upper(), where, headers=headers)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")], path
            asked += method in methods
    assert asked >= 15
    answer = await owner.ask("GET", "/download-archive?token=x", headers={"Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_every_page_is_closed_to_what_is_not_ours(it: DeskServer) -> None:
    it.write("a.txt")
    owner = await it.owner()
    link = (await owner.post("/desk/links", folder="trip", paths=["a.txt"])).json["code"]
    drop = (await owner.post("/desk/requests", folder="trip")).json["code"]
    for path in ("/f/trip/", "/links", "/enter?key=x", f"/s/{link}", f"/r/{drop}", "/s/none", "/nowhere"):
        answer = await owner.ask("GET", path, headers=HTML, token=False)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        text = answer.body.decode()
        assert "<style" not in text
        assert " style=" not in text
        assert not re.search(r"<[a-z][^>]*\son[a-z]+=", text)
        assert not re.search(r"https?://", text.replace(it.base, ""))
