"""Links that people send: what receivers see and get, with real clients, and what their owner is told."""

from __future__ import annotations

import asyncio
import base64
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.desk.desks import HTML, DeskServer, Person, desk, kind

DATA = bytes(range(256)) * 4_000


@pytest.fixture
def full(it: DeskServer) -> DeskServer:
    it.write("photos/a.jpg", DATA)
    it.write("photos/b.jpg", DATA[::-1])
    it.write("notes/todo.txt", b"todo")
    return it


async def link(person: Person, *paths: str, **terms: Any) -> dict[str, Any]:
    answer = await person.post("/desk/links", folder="trip", paths=list(paths), filename="trip.zip", **terms)
    assert answer.status == 201, answer.json
    made: dict[str, Any] = answer.json
    return made


async def run(*command: str, cwd: Path, check: bool = True) -> int:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    code = await process.wait()
    assert not check or code == 0, command
    return code


async def told(person: Person, code: str) -> dict[str, Any]:
    items = (await person.get("/desk/links")).json["items"]
    return next(each for each in items if each["code"] == code)


async def test_clients_of_the_terminal_get_the_archive(full: DeskServer, tmp_path: Path) -> None:
    owner = await full.owner()
    made = await link(owner, "photos", "notes")
    for number, command in enumerate((["curl", "-sSfO"], ["wget", "-q"], ["aria2c", "-q", "-x4", "--split=4"])):
        where = tmp_path / str(number)
        where.mkdir()
        await run(*command, made["file_url"], cwd=where)
        with zipfile.ZipFile(where / "trip.zip") as archive:
            assert archive.testzip() is None
            assert archive.read("photos/a.jpg") == DATA
        assert (where / "trip.zip").stat().st_size == made["length"]
    assert (await told(owner, made["code"]))["delivered"] == 3


async def test_a_download_that_was_cut_goes_on_and_counts_once(full: DeskServer, tmp_path: Path) -> None:
    owner = await full.owner()
    made = await link(owner, "photos", deliveries=1)
    part = (await full.stranger().get(made["file_url"], Range="bytes=0-999999")).body
    (tmp_path / "trip.zip").write_bytes(part)
    await run("curl", "-sSf", "-C", "-", "-O", made["file_url"], cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "trip.zip") as archive:
        assert archive.testzip() is None
    now = await told(owner, made["code"])
    assert (now["state"], now["delivered"], now["bytes_sent"]) == ("spent", 1, made["length"])
    answer = await full.stranger().get(made["file_url"])
    assert kind(answer) == (410, "link-spent")
    assert kind(await full.stranger().get(f"/s/{made['code']}", Accept="application/json")) == (410, "link-spent")


async def test_deliveries_are_counted_and_then_it_is_spent(full: DeskServer) -> None:
    owner = await full.owner()
    made = await link(owner, "notes", deliveries=3)
    for left in (3, 2, 1):
        answer = await full.stranger().get(f"/s/{made['code']}", Accept="application/json")
        assert (answer.json["deliveries"], answer.json["deliveries_left"]) == (3, left)
        assert (await full.stranger().get(made["file_url"])).status == 200
    assert kind(await full.stranger().get(made["file_url"])) == (410, "link-spent")


async def test_looking_spends_nothing(full: DeskServer) -> None:
    owner = await full.owner()
    made = await link(owner, "photos", deliveries=1)
    for _ in range(3):
        page = await full.stranger().page(f"/s/{made['code']}")
        assert "photos/a.jpg" in page
        assert len(page) < 30_000
        await full.stranger().ask("HEAD", made["file_url"])
    now = await told(owner, made["code"])
    assert (now["state"], now["bytes_sent"], now["delivered"]) == ("open", 0, 0)


async def test_the_button_of_the_page_begins_the_download(full: DeskServer) -> None:
    made = await link(await full.owner(), "photos", note="with <love>")
    receiver = full.stranger()
    page = await receiver.page(f"/s/{made['code']}?lang=ko")
    assert "with &lt;love&gt;" in page
    assert "중간에 끊겨도" in page
    answer = await receiver.form(f"/s/{made['code']}", {"format": "zip"}, csrf=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"/s/{made['code']}/trip.zip")
    assert len((await receiver.get(answer.headers["Location"])).body) == made["length"]
    other = await receiver.form(f"/s/{made['code']}", {"format": "tar"}, csrf=False)
    assert other.headers["Location"].endswith("/trip.tar")
    tar = await receiver.get(other.headers["Location"])
    assert (tar.status, tar.headers["Content-Type"]) == (200, "application/x-tar")


async def test_a_password_is_asked_for(full: DeskServer, tmp_path: Path) -> None:
    made = await link(await full.owner(), "photos", password="geheim", note="hi")
    assert made["password"] is True
    receiver = full.stranger()
    answer = await receiver.get(made["file_url"])
    assert kind(answer) == (401, "password-wrong")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert "photos" not in await receiver.page(f"/s/{made['code']}")
    locked = (await receiver.get(f"/s/{made['code']}", Accept="application/json")).json
    assert sorted(locked) == ["expires_at", "file_url", "filename", "note", "password"]
    wrong = await receiver.form(f"/s/{made['code']}", {"password": "other"}, csrf=False)
    assert (wrong.status, "The password is not right." in wrong.body.decode()) == (401, True)
    right = await receiver.form(f"/s/{made['code']}", {"password": "geheim"}, csrf=False)
    assert right.status == 303
    assert f"Path=/s/{made['code']}" in right.headers["Set-Cookie"]
    assert (await receiver.get(right.headers["Location"])).status == 200
    assert "photos/a.jpg" in await receiver.page(f"/s/{made['code']}")
    await run("curl", "-sSf", "-u", ":geheim", "-O", made["file_url"], cwd=tmp_path)
    assert (tmp_path / "trip.zip").stat().st_size == made["length"]
    assert await run("curl", "-sSf", "-u", ":wrong", "-o", "x", made["file_url"], cwd=tmp_path, check=False) == 22
    for _ in range(6):
        answer = await full.stranger().form(f"/s/{made['code']}", {"password": "other"}, csrf=False)
    stranger = await full.stranger().form(f"/s/{made['code']}", {"password": "geheim"}, csrf=False)
    assert (stranger.status, "Too many tries" in stranger.body.decode()) == (429, True)
    assert (await receiver.get(right.headers["Location"])).status == 200  # who was let in goes on


async def test_no_route_of_a_link_with_a_password_tells_what_is_inside_without_it(full: DeskServer) -> None:
    """All routes that there are by the server's own document, by every method, with no, a wrong and a foreign proof."""
    owner = await full.owner()
    made = await link(owner, "photos", password="geheim")
    other = await link(owner, "photos", password="another")
    guest = full.stranger()
    proven = (await guest.form(f"/s/{other['code']}", {"password": "another"}, csrf=False)).headers["Set-Cookie"]
    document = (await guest.get("/openapi.json")).json
    routes = {path: set(methods) for path, methods in document["paths"].items() if path.startswith("/s/")}
    assert {"/s/{code}", "/s/{code}/{name}", "/s/{code}/{name}/members"} <= routes.keys()
    etag = (await guest.get(made["file_url"], **_basic("geheim"))).headers["ETag"]
    inside = (DATA[:1_000], b"a.jpg", etag.strip('"').encode())
    for path, methods in routes.items():
        where = path.replace("{code}", made["code"]).replace("{name}", "trip.zip")
        for method in methods | {"head"}:
            for headers in (
                {},
                {"Range": "bytes=0-9"},
                {"If-None-Match": etag},
                {"Cookie": proven.partition(";")[0]},
                _basic("another"),
            ):
                answer = await full.stranger().ask(method.upper(), where, headers=headers)
                allowed = (200,) if path == "/s/{code}" and "Authorization" not in headers else ()
                assert answer.status in (400, 401, 403, 405, 429, *allowed), (method, path, headers)
                told = answer.body + repr(answer.headers).encode()
                assert not [each for each in inside if each in told], (method, path, headers)
    assert (await guest.get(made["file_url"])).status == 401
    listed = (await owner.get("/desk/links")).body
    assert b"geheim" not in listed
    assert b"scrypt" not in listed


async def test_a_revoked_link_is_gone_at_once(full: DeskServer) -> None:
    owner = await full.owner()
    made = await link(owner, "photos")
    assert (await full.stranger().get(made["file_url"])).status == 200
    revoked = await owner.ask("DELETE", f"/desk/links/{made['code']}")
    assert (revoked.status, revoked.json["state"]) == (200, "revoked")
    assert kind(await full.stranger().get(made["file_url"])) == (410, "link-revoked")
    page = await full.stranger().ask("GET", f"/s/{made['code']}", headers=HTML)
    assert (page.status, "The sender took this link back." in page.body.decode()) == (410, True)
    assert (await owner.post(f"/desk/links/{made['code']}/remove")).status == 204
    assert (await owner.get("/desk/links")).json["items"] == []
    assert kind(await full.stranger().get("/s/nothing-of-ours")) == (404, "link-not-found")


async def test_after_a_change_the_whole_is_new_and_a_part_is_refused(full: DeskServer) -> None:
    owner = await full.owner()
    made = await link(owner, "photos")
    first = await full.stranger().get(made["file_url"], Range="bytes=0-99")
    assert first.status == 206
    assert (await told(owner, made["code"]))["changed"] is False
    full.write("photos/a.jpg", b"another")
    assert (await told(owner, made["code"]))["changed"] is True
    assert kind(await full.stranger().get(made["file_url"], Range="bytes=100-")) == (409, "selection-changed")
    whole = await full.stranger().get(made["file_url"])
    assert whole.status == 200
    assert whole.headers["ETag"] != first.headers["ETag"]
    assert (await told(owner, made["code"]))["changed"] is True
    assert (await full.stranger().get(made["file_url"], Range="bytes=9-", If_Range=whole.headers["ETag"])).status == 206


async def test_it_ends_and_is_told_to_have_ended(full: DeskServer) -> None:
    owner = await full.owner()
    made = await link(owner, "notes", expires_in=1)
    await asyncio.sleep(1.1)
    assert kind(await full.stranger().get(made["file_url"])) == (410, "link-expired")
    assert (await told(owner, made["code"]))["state"] == "expired"


async def test_what_was_left_out_is_told(full: DeskServer) -> None:
    (full.root / "photos" / "out").symlink_to("/etc")
    owner = await full.owner()
    refused = await owner.post("/desk/links", folder="trip", paths=["photos"])
    assert kind(refused) == (400, "selection-refused")
    made = await link(owner, "photos", **{"except": ["photos/out"]})
    assert made["left_out"] == 1
    assert "Left out by the sender: 1" in await full.stranger().page(f"/s/{made['code']}")


async def test_links_outlive_the_server(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.write("a.txt", DATA)
        made = await link(await it.owner(), "a.txt", deliveries=2, password="x y")
        assert (await it.stranger().ask("GET", f"/s/{made['code']}/trip.zip", headers=_basic("x y"))).status == 200
    assert all(b"x y" not in each.read_bytes() for each in it.state.iterdir())
    async with desk(tmp_path) as it:
        path = f"/s/{made['code']}/trip.zip"
        assert (await it.stranger().ask("GET", path, headers=_basic("x y"))).status == 200
        assert kind(await it.stranger().ask("GET", path, headers=_basic("x y"))) == (410, "link-spent")


async def test_managers_make_the_same_links(full: DeskServer) -> None:
    body = {"volume": "trip", "virtual_folder_id": "0" * 31 + "7", "files": ["notes"], "deliveries": 1}
    made = await full.manage("POST", "/links", body)
    assert made.status == 201, made.json
    assert made.json["url"].startswith(f"{full.base}/s/")
    assert (await full.stranger().get(made.json["file_url"])).status == 200
    (only,) = (await full.manage("GET", "/links")).json["items"]
    assert (only["state"], only["delivered"]) == ("spent", 1)
    gone = await full.manage("DELETE", f"/links/{made.json['code']}?remove=true")
    assert gone.json["state"] == "revoked"
    assert (await full.manage("GET", "/links")).json["items"] == []
    assert kind(await full.manage("DELETE", "/links/none")) == (404, "link-not-found")


async def test_nothing_secret_is_logged(full: DeskServer, capfd: pytest.CaptureFixture[str]) -> None:
    owner = await full.owner()
    made = await link(owner, "notes", password="geheim")
    key = full.key()
    await full.stranger().page(f"/enter?key={key}")
    await full.stranger().sign_in(key)
    await full.stranger().page(f"/s/{made['code']}")
    await full.stranger().form(f"/s/{made['code']}", {"password": "geheim"}, csrf=False)
    await full.stranger().get(f"/s/{made['code']}/other/deeper")
    await owner.ask("DELETE", f"/desk/links/{made['code']}")
    drop = (await owner.post("/desk/requests", folder="trip")).json
    await full.stranger().page("/r/" + drop["code"])
    captured = capfd.readouterr()
    said = captured.out + captured.err
    assert "/s/{code}" in said
    for secret in (made["code"], drop["code"], key, key.replace("-", ""), "geheim", owner.csrf):
        assert secret not in said


def _basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f":{password}".encode()).decode()}
