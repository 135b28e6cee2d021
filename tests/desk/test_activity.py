"""Downloads of single files at the front desk: told and taken back as those of archives, whatever they are called."""

from __future__ import annotations

import asyncio
import os

from tests.desk.desks import DeskServer, Person, kind


async def told(person: Person, id: str, word: str) -> dict[str, object]:
    """The download, once it stands so."""
    while True:
        answer = await person.get(f"/desk/activity/{id}")
        item: dict[str, object] = answer.json
        if item["word"] == word:
            return item
        await asyncio.sleep(0.02)


async def test_one_file_has_a_session_that_tells_and_can_be_revoked(it: DeskServer) -> None:
    it.write("dir/a.bin", b"a" * 5_000)
    owner = await it.owner()
    begun = (await owner.post("/desk/file", folder="trip", path="dir/a.bin")).json
    assert begun["filename"] == "a.bin"
    waiting = await told(owner, begun["session"], "waiting")
    assert (waiting["format"], waiting["filename"]) == ("file", "a.bin")
    some = await owner.get(begun["url"], Range="bytes=0-999")
    assert (some.status, len(some.body)) == (206, 1_000)
    cut = await told(owner, begun["session"], "interrupted")
    assert (cut["length"], cut["delivered"]) == (5_000, {"bytes": 1_000, "total": 1_000, "ranges": [[0, 1_000]]})
    rest = await owner.get(begun["url"], Range="bytes=1000-")
    assert some.body + rest.body == b"a" * 5_000
    assert (await told(owner, begun["session"], "sent"))["etag"] == rest.headers["ETag"]
    assert [each["id"] for each in (await owner.get("/desk/activity")).json["items"]] == [begun["session"]]
    managed = (await it.manage("GET", "/sessions")).json["items"]
    assert [each["format"] for each in managed] == ["file"]
    assert (await owner.post(f"/desk/activity/{begun['session']}/stop")).json["word"] == "revoked"
    assert kind(await owner.get(begun["url"])) == (410, "session-revoked")
    other = (await owner.post("/desk/file", folder="trip", path="dir/a.bin")).json
    assert (await owner.get(other["url"])).status == 200


async def test_an_empty_file_is_sent_too(it: DeskServer) -> None:
    it.write("empty", b"")
    owner = await it.owner()
    begun = (await owner.post("/desk/file", folder="trip", path="empty")).json
    assert (await owner.get(begun["url"])).body == b""
    assert (await told(owner, begun["session"], "sent"))["state"] == "complete"


async def test_any_name_has_its_row(it: DeskServer) -> None:
    owner = await it.owner()
    for name in (b"caf\xe9.txt", b"a\\b", b"tab\there", b" ", "\u202egpj.exe".encode(), b"x" * 255):
        with open(os.fsencode(it.root) + b"/" + name, "wb") as file:  # noqa: ASYNC230 - a few bytes
            file.write(b"it")
        begun = await owner.post("/desk/file", folder="trip", path=os.fsdecode(name))
        assert begun.status == 200, begun.body
        assert (await owner.get(begun.json["url"])).body == b"it"
        await told(owner, begun.json["session"], "sent")
    assert len((await owner.get("/desk/activity")).json["items"]) == 6
