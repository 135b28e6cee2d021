"""Who is let in: keys that are spent once, the password, and nobody from another site."""

from __future__ import annotations

import asyncio
import re
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote

import pytest

from pannier.services.passwords import digest
from tests.desk.desks import HTML, DeskServer, desk, kind


async def test_opening_a_sign_in_address_spends_nothing_and_the_button_does_once(it: DeskServer) -> None:
    key, person = it.key(), it.stranger()
    for _ in range(3):
        assert f'value="{key}"' in await person.page(f"/enter?key={key}")
    answer = await person.sign_in(key)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert (await person.get("/desk/me")).json["signed_in"]
    other = it.stranger()
    again = await other.sign_in(key)
    assert (again.status, "used or is too old" in again.body.decode()) == (401, True)
    assert not (await other.get("/desk/me")).json["signed_in"]


async def test_of_two_that_spend_a_key_at_once_one_is_let_in(it: DeskServer) -> None:
    key = it.key()
    answers = await asyncio.gather(*(it.stranger().sign_in(key) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [303, 401, 401, 401]


async def test_a_key_may_be_typed_as_people_type(it: DeskServer) -> None:
    assert (await it.stranger().sign_in(it.key().lower().replace("-", " "))).status == 303


async def test_the_cookie_is_for_this_server_alone(it: DeskServer) -> None:
    answer = await it.stranger().sign_in(it.key())
    cookie = SimpleCookie(answer.headers["Set-Cookie"])
    (morsel,) = cookie.values()
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]) == (True, "Strict", "/", "")


async def test_a_sign_in_outlives_the_server_and_ends_with_signing_out(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        person = await it.owner()
        cookies = {cookie.key: cookie.value for cookie in person.session.cookie_jar}
    async with desk(tmp_path) as it:
        person = it.stranger()
        person.session.cookie_jar.update_cookies(cookies)
        await person.know()
        assert (await person.get("/desk/folders")).status == 200
        assert (await person.form("/leave", {})).headers["Location"] == "/enter"
        stolen = it.stranger()
        stolen.session.cookie_jar.update_cookies(cookies)
        assert kind(await stolen.get("/desk/folders")) == (401, "signed-out")
    assert all(value.encode() not in each.read_bytes() for value in cookies.values() for each in it.state.iterdir())


async def test_a_password_lets_in_and_wrong_ones_are_slowed(tmp_path: Path) -> None:
    async with desk(tmp_path, password=digest("correct horse")) as it:
        assert "current-password" in await it.stranger().page("/enter")
        person = it.stranger()
        assert (await person.form("/enter", {"password": "correct horse"}, csrf=False)).status == 303
        answers = [await it.stranger().form("/enter", {"password": "wrong"}, csrf=False) for _ in range(7)]
        assert [answer.status for answer in answers] == [401, 401, 401, 401, 401, 429, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
        right = await it.stranger().form("/enter", {"password": "correct horse"}, csrf=False)
        assert right.status == 429  # a door that is locked is locked


async def test_nobody_gets_in_by_a_password_where_none_is_set(it: DeskServer) -> None:
    assert (await it.stranger().form("/enter", {"password": "x"}, csrf=False)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "SELF"},
    ],
)
async def test_another_site_signs_nobody_in(it: DeskServer, headers: dict[str, str]) -> None:
    key, person = it.key(), it.stranger()
    sent = {name: value.replace("SELF", it.base) for name, value in headers.items()}
    sent |= {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await person.ask("POST", "/enter", data=f"key={quote(key)}", headers=sent)
    assert kind(answer) == (403, "cross-site")
    assert (await person.sign_in(key)).status == 303  # and it is not spent


async def test_who_is_not_signed_in_is_shown_the_way_in(it: DeskServer) -> None:
    for path in ("/", "/f/trip/", "/links", "/raw/trip/a", "/preview/trip/a"):
        answer = await it.stranger().ask("GET", path, headers=HTML)
        assert (answer.status, answer.headers.get("Location")) == (303, "/enter"), path


async def test_where_all_may_look_each_page_says_so_and_nothing_is_changed(tmp_path: Path) -> None:
    async with desk(tmp_path, public=True) as it:
        it.write("a.txt", b"for all")
        guest = it.stranger()
        page = await guest.page("/f/trip/")
        assert "Anyone who can reach this address can read these files." in page
        assert "Anyone who can reach" in await guest.page("/enter")
        (guest.csrf,) = re.findall(r'data-csrf="([0-9a-f]+)"', page)
        plan = await guest.post("/desk/plan", folder="trip", paths=["a.txt"])
        assert plan.json["bytes"] == 7
        begun = await guest.post("/desk/download", folder="trip", paths=["a.txt"])
        assert (await guest.get(begun.json["url"])).status == 200
        assert [each["id"] for each in (await guest.get("/desk/activity")).json["items"]] == [begun.json["session"]]
        other = it.stranger()
        await other.page("/f/trip/")
        await other.know()
        assert (await other.get("/desk/activity")).json["items"] == []
        assert kind(await other.get(f"/desk/activity/{begun.json['session']}")) == (404, "session-not-found")
        assert kind(await guest.post("/desk/mkdir", folder="trip", path="new")) == (401, "signed-out")
        assert kind(await guest.post("/desk/links", folder="trip", paths=["a.txt"])) == (401, "signed-out")
        owner = await it.owner()
        assert (await owner.post("/desk/mkdir", folder="trip", path="new")).status == 201
