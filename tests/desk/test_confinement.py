"""Every route of the front desk, and every field in it that may name a path: nothing outside the folder is reached.

The table is held to what the listener says of itself: a field that is not here is a failure.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.desk.desks import DeskServer, Person

SECRET = b"what lies outside, and is nobody's business"
PATHS = {"path", "paths", "into", "except", "name", "filename"}
HARMLESS = {
    "folder": "compared with names",
    "cursor": "numbers",
    "version": "numbers",
    "limit": "a number",
    "sort": "one of three words",
    "order": "one of two words",
    "links": "one of four words",
    "layout": "one of two words",
    "exclude": "patterns, matched against what was found",
    "format": "one of some words",
    "compression": "one of some words",
    "conflict": "one of three words",
    "expires_in": "a number",
    "deliveries": "a number",
    "password": "compared by its digest",
    "note": "shown",
    "title": "shown",
    "largest": "a number",
    "total": "a number",
    "count": "a number",
    "size": "a number",
    "lang": "compared",
    "page": "a number",
    "start": "a number",
    "etag": "compared",
    "key": "compared",
    "id": "a name in the trash: tried below",
    "code": "compared with what is kept",
    "below": "tried below",
}
GOOD: dict[str, dict[str, Any]] = {
    "POST /desk/plan": {"folder": "trip", "paths": ["a"], "except": ["dir"]},
    "POST /desk/download": {"folder": "trip", "paths": ["a"], "except": ["dir"], "filename": "x.zip"},
    "POST /desk/file": {"folder": "trip", "path": "a"},
    "POST /desk/mkdir": {"folder": "trip", "path": "new"},
    "POST /desk/rename": {"folder": "trip", "path": "a", "name": "b"},
    "POST /desk/move": {"folder": "trip", "paths": ["a"], "into": "dir"},
    "POST /desk/delete": {"folder": "trip", "paths": ["a"]},
    "POST /desk/trash/{id}/restore": {"folder": "trip"},
    "POST /desk/trash/{id}/forget": {"folder": "trip"},
    "POST /desk/uploads": {"folder": "trip", "path": "dir"},
    "POST /desk/links": {"folder": "trip", "paths": ["a"], "except": ["dir"], "filename": "x.zip"},
    "POST /desk/requests": {"folder": "trip", "path": "dir"},
    "POST /r/{code}/uploads": {"name": "f", "size": 1},
}
QUERIED = {"GET /desk/list": {"folder": "trip"}, "GET /desk/changes": {"folder": "trip", "version": "0-0-0"}}
ADDRESSED = ("/f/trip/", "/raw/trip/", "/preview/trip/")


def attacks(outside: Path) -> list[str]:
    return [
        f"../{outside.name}/secret",
        f"dir/../../{outside.name}/secret",
        "..",
        "../",
        "dir/../..",
        str(outside / "secret"),
        f"/{outside}/secret",
        "out/secret",
        "dir/out/secret",
        "up/secret",
        "secret-link",
        ".upload",
        ".upload/trash",
        "dir/../.upload",
        "trip2/secret",
        "a\0b",
        f"a\n../{outside.name}/secret",
        "/etc/passwd",
    ]


def stage(it: DeskServer) -> Path:
    """Lay out a folder with every way out, and what lies outside."""
    outside = it.root.parent / "trip-outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    it.write("a", b"inside")
    it.write("dir/b", b"inside")
    (it.root / "out").symlink_to(outside)
    (it.root / "dir" / "out").symlink_to("../../trip-outside")
    (it.root / "up").symlink_to("../trip-outside")
    (it.root / "secret-link").symlink_to(outside / "secret")
    return outside


def laid(outside: Path) -> list[tuple[str, str]]:
    return [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(outside.rglob("*"))]


async def follow(it: DeskServer, person: Person, answer: Any) -> list[bytes]:
    """What an answer leads to is looked at, too."""
    found = [answer.body]
    where = answer.headers.get("Location") or (answer.json or {}).get("url", "")
    if answer.status < 400 and "/uploads?" in where:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": "filename eA=="}
        headers |= {"Content-Type": "application/offset+octet-stream"}
        found.append((await person.ask("POST", where, data=b"new", headers=headers)).body)
    elif answer.status < 400 and where:
        found.append((await person.get(where)).body)
    if (answer.json or {}).get("file_url"):
        found.append((await person.get(answer.json["file_url"])).body)
    return found


async def test_the_table_names_every_field(it: DeskServer) -> None:
    document = (await it.stranger().get("/openapi.json")).json
    schemas = document["components"]["schemas"]
    bodies = set()
    for path, methods in document["paths"].items():
        if not path.startswith(("/desk/", "/s/", "/r/", "/f/", "/raw/", "/preview/", "/links", "/enter", "/static/")):
            continue
        for method, operation in methods.items():
            names = {each["name"] for each in operation.get("parameters", ()) if each["in"] != "header"}
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
                fields = set(schemas[name]["properties"])
                bodies.add(f"{method.upper()} {path}")
                named = GOOD[f"{method.upper()} {path}"].keys() & PATHS
                assert named == fields & PATHS, f"{method} {path}"
                names |= fields
            assert names <= PATHS | HARMLESS.keys(), f"{method} {path}: {names - PATHS - HARMLESS.keys()}"
    assert bodies == GOOD.keys()


WAYS = [(route, field) for route, good in GOOD.items() for field in good if field in PATHS]


@pytest.mark.parametrize(("route", "field"), WAYS, ids=lambda it: str(it))
async def test_no_field_leads_outside(it: DeskServer, route: str, field: str) -> None:
    outside, owner = stage(it), await it.owner()
    before = laid(outside)
    drop = (await owner.post("/desk/requests", folder="trip", path="dir")).json["code"]
    method, _, path = route.partition(" ")
    for text in attacks(outside):
        body = GOOD[route] | {field: [text] if isinstance(GOOD[route][field], list) else text}
        answer = await owner.ask(method, path.replace("{code}", drop), json=body)
        assert answer.status < 500, (text, answer.body)
        for content in await follow(it, owner, answer):
            assert SECRET not in content, text
        assert laid(outside) == before, text
        if not (it.root / "a").exists():
            it.write("a", b"inside")


async def test_no_address_leads_outside(it: DeskServer) -> None:
    outside, owner = stage(it), await it.owner()
    before = laid(outside)
    for base in ADDRESSED:
        for text in attacks(outside):
            for address in (quote(text), quote(text, safe=""), text.replace("\0", "%00").replace("\n", "%0A")):
                answer = await owner.get(base + address)
                assert answer.status < 500, (base, address)
                for content in await follow(it, owner, answer):
                    assert SECRET not in content, (base, address)
    for query in QUERIED.items():
        for text in attacks(outside):
            route, good = query
            asked = "&".join(f"{name}={quote(value)}" for name, value in (good | {"path": text}).items())
            answer = await owner.get(f"{route.partition(' ')[2]}?{asked}")
            assert answer.status < 500
            assert b"secret" not in answer.body or text in answer.json.get("detail", "") or answer.status >= 400, text
    link = (await owner.post("/desk/links", folder="trip", paths=["a", "dir/b"], filename="x.zip")).json["code"]
    for text in attacks(outside):
        answer = await it.stranger().get(f"/s/{link}/x.zip/members?path={quote(text)}")
        assert answer.status in (400, 404), (text, answer.status)
    for text in (*attacks(outside), "0" * 32):
        for what in ("restore", "forget"):
            address = f"/desk/trash/{quote(text, safe='')}/{what}"
            answer = await owner.ask("POST", address, json={"folder": "trip"})
            assert 400 <= answer.status < 500
        assert (await owner.get(f"/static/{quote(text)}")).status in (400, 404)
        assert (await owner.get(f"/s/{quote(text, safe='')}")).status in (400, 404)
    assert laid(outside) == before
    assert os.listdir(outside) == ["secret"]
