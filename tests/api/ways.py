"""Every route, and every way in which a path, or a name that becomes part of one, enters through it.

The table is held to what the listeners say of themselves: a route or a field that is not here is a failure.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import yarl
from pydantic import BaseModel

from pannier.dto.claims import ArchiveDownloadTokenData, PannierClaim
from pannier.dto.downloads import DownloadClaim, DownloadTokenData
from pannier.dto.selections import placeholder
from pannier.dto.uploads import UploadClaim, UploadTokenData
from tests.api.attacks import FOLDER, MADE_SCOPE, NEW, OTHER, Stage
from tests.api.host import OWNER
from tests.api.live import KEY, SECRET, Answer
from tests.api.wire import PATIENCE

Attacks = Callable[[Stage], list[str]]
Go = Callable[[Stage, str], Awaitable[list[Answer]]]

PATH, NAME, VOLUME, FOLDER_ID, SCOPE, TEXT = (
    Stage.paths,
    Stage.names,
    Stage.volumes,
    Stage.folders,
    Stage.scopes,
    Stage.texts,
)


@dataclass(frozen=True)
class Way:
    """One way in: ``go`` sends a value through it, and whatever follows; with the value ``good`` all of it succeeds.

    ``good`` is None where no value of a client's is ever right.
    """

    route: str
    field: str
    attacks: Attacks
    go: Go
    good: str | None

    def __str__(self) -> str:
        return f"{self.route} {self.field}"


# ---------------------------------------------------------------- asking


async def ask(
    stage: Stage, listener: str, method: str, path: str, *, query: dict[str, str] | None = None, **more: Any
) -> Answer:
    """Send a request whose path and query go out as they are written here."""
    listening = stage.host.it.listening
    base = listening.client_url if listener == "client" else listening.manager_url
    text = urlencode(query or {}, errors="surrogateescape")
    url = yarl.URL(f"{base}{path}{'?' if text else ''}{text}", encoded=True)
    headers = more.pop("headers", {}) | ({} if listener == "client" else {"X-BackendAI-Storage-Auth-Token": SECRET})
    async with stage.host.it.session.request(method, url, headers=headers, **more) as response:
        body = await response.read()
        is_json = response.content_type.endswith("json") and body
        return Answer(response.status, response.headers, body, json.loads(body) if is_json else None)


_SIGNED = itertools.count()


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, KEY, algorithms=["HS256"])
    return found


def signed(claims: dict[str, Any]) -> str:
    """A token that only who knows the key can make: what it says is to be harmless all the same."""
    # two tokens of the same claims would be one, and have one session: each of these ends at a second of its own
    return jwt.encode({"exp": int(time.time()) + 600 + next(_SIGNED), **claims}, KEY, algorithm="HS256")


# ---------------------------------------------------------------- what follows an answer


async def spend_archive(stage: Stage, answer: Answer) -> list[Answer]:
    return [await ask(stage, "client", "GET", "/download-archive", query={"token": answer.json["token"]})]


async def spend_download(stage: Stage, answer: Answer) -> list[Answer]:
    return [await ask(stage, "client", "GET", "/download", query={"token": answer.json["token"]})]


async def spend_upload(stage: Stage, answer: Answer) -> list[Answer]:
    query = {"token": answer.json["token"]}
    return [await ask(stage, "client", "PATCH", "/upload", query=query, data=b"new", headers={"Upload-Offset": "0"})]


async def wait_for_task(stage: Stage, answer: Answer) -> list[Answer]:
    deadline = time.monotonic() + PATIENCE
    while True:
        told = await ask(stage, "manager", "GET", f"/tasks/{answer.json['bgtask_id']}")
        if told.status != 200 or told.json["state"] in ("done", "failed") or told.json["error"]:
            return [told]
        assert time.monotonic() < deadline, told.json
        await asyncio.sleep(0.005)


async def nothing(stage: Stage, answer: Answer) -> list[Answer]:
    return []


Then = Callable[[Stage, Answer], Awaitable[list[Answer]]]


# ---------------------------------------------------------------- manager-facing: bodies

KINDS: dict[str, Attacks] = {
    "volume": VOLUME,
    "src_volume": VOLUME,
    "dst_volume": VOLUME,
    "vfid": FOLDER_ID,
    "src_vfid": FOLDER_ID,
    "dst_vfid": FOLDER_ID,
    "virtual_folder_id": FOLDER_ID,
    "qsid": SCOPE,
    "relpath": PATH,
    "src_relpath": PATH,
    "dst_relpath": PATH,
    "relpaths": PATH,
    "files": PATH,
    "except": PATH,
    "subpath": PATH,
    "new_name": NAME,
    "filename": NAME,
    "cursor": TEXT,
    "exclude": TEXT,
    "payload": TEXT,
    "unmanaged_path": PATH,
}
"""Fields of bodies that are text, by name: what is tried in them."""

HARMLESS = {
    "mode": "a number",
    "options": "numbers",
    "extra_args": "for other storage systems; looked at by nobody",
    "size": "a number",
    "size_bytes": "a number",
    "limit": "a number",
    "parents": "yes or no",
    "exist_ok": "yes or no",
    "is_dir": "yes or no",
    "recursive": "yes or no",
    "archive": "yes or no",
    "strict": "yes or no",
    "multiple": "yes or no",
    "conflict": "one of three words",
    "format": "one of some words",
    "formats": "some of them",
    "compression": "one of some words",
    "links": "one of four words",
    "layout": "one of two words",
    "expires_in": "a duration",
    "resume_grace": "a duration",
    "rate": "a size",
    "one_time": "yes or no",
}
"""Fields of bodies that cannot hold a path, and why."""

NEVER_RIGHT = {"unmanaged_path", "cursor"}
"""Fields in which no value of ours is good."""

_V, _F = {"volume": "m"}, {"volume": "m", "vfid": FOLDER}
_SELECTED = {"volume": "m", "virtual_folder_id": FOLDER, "files": ["dir"]}
_SCOPED = {"volume": "m", "qsid": f"user:{OWNER}"}
_ARCHIVE_MORE = {"except": ["dir/deep"], "exclude": ["*.tmp"], "filename": "name"}

BODIES: dict[str, tuple[dict[str, Any], Then]] = {
    "POST /folder/clone": ({"src_volume": "m", "src_vfid": OTHER, "dst_volume": "m", "dst_vfid": NEW}, wait_for_task),
    "POST /folder/create": ({"volume": "m", "vfid": NEW}, nothing),
    "POST /folder/delete": ({"volume": "m", "vfid": OTHER}, wait_for_task),
    "POST /folder/file/archive-download-token": (_SELECTED | _ARCHIVE_MORE, spend_archive),
    "POST /folder/file/download-archive": (_SELECTED | _ARCHIVE_MORE, spend_archive),
    "POST /folder/file/archive-plan": (
        _SELECTED | {"except": ["dir/deep"], "exclude": ["*.tmp"], "cursor": None},
        nothing,
    ),
    "POST /folder/file/delete": (_F | {"relpaths": ["dir"], "recursive": True}, nothing),
    "POST /folder/file/delete-async": (_F | {"relpaths": ["dir"], "recursive": True}, wait_for_task),
    "POST /folder/file/download": (_F | {"relpath": "a", "unmanaged_path": None}, spend_download),
    "POST /folder/file/fetch": (_F | {"relpath": "a"}, nothing),
    "POST /folder/file/list": (_F | {"relpath": "dir", "cursor": None}, nothing),
    "POST /folder/file/mkdir": (_F | {"relpath": "new/below"}, nothing),
    "POST /folder/file/move": (_F | {"src_relpath": "dir", "dst_relpath": "moved"}, nothing),
    "POST /folder/file/rename": (_F | {"relpath": "a", "new_name": "renamed"}, nothing),
    "POST /folder/file/upload": (_F | {"relpath": "new/file", "size": 3}, spend_upload),
    "POST /folder/revoke": (_F, nothing),
    "GET /folder/fs-usage": (_V, nothing),
    "GET /folder/metadata": (_F | {"payload": "any"}, nothing),
    "POST /folder/metadata": (_F | {"payload": "any"}, nothing),
    "GET /folder/mount": (_F | {"subpath": "dir"}, nothing),
    "GET /folder/usage": (_F, nothing),
    "GET /folder/used-bytes": (_F, nothing),
    "POST /quota-scope": (_V | {"qsid": MADE_SCOPE}, nothing),
    "GET /quota-scope": (_SCOPED, nothing),
    "PATCH /quota-scope": (_SCOPED, nothing),
    "DELETE /quota-scope/quota": (_SCOPED, nothing),
    "GET /volume/hwinfo": (_V, nothing),
    "GET /volume/performance-metric": (_V, nothing),
    "GET /volume/quota": (_F, nothing),
    "PATCH /volume/quota": (_F, nothing),
}
"""Of each manager-facing route that takes a body: a good one, and what follows."""

WITHOUT_A_BODY = {
    *(f"{method} {path}" for method in ("GET", "HEAD") for path in ("/", "/health", "/livez", "/openapi.json")),
    *(f"{method} {path}" for method in ("GET", "HEAD") for path in ("/readyz", "/status")),
    "GET /served",
    "GET /volumes",
}
BY_ID = {"GET /tasks/{id}", "GET /sessions/{id}", "DELETE /sessions/{id}"}
QUERIED: dict[str, dict[str, str]] = {"GET /sessions": {"volume": "m", "vfid": FOLDER}}
"""Of each manager-facing route with a query: good text in it."""
ALWAYS_REFUSED = {"GET /volume/quota", "PATCH /volume/quota"}


def _body_ways() -> Iterator[Way]:
    for route, (good, then) in BODIES.items():
        for field in good:
            if field in KINDS:
                known = route not in ALWAYS_REFUSED and field not in NEVER_RIGHT
                yield Way(
                    f"manager {route}",
                    field,
                    KINDS[field],
                    _in_body(route, good, field, then),
                    _text(good[field]) if known else None,
                )


def _text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _in_body(route: str, good: dict[str, Any], field: str, then: Then) -> Go:
    method, _, path = route.partition(" ")

    async def go(stage: Stage, text: str) -> list[Answer]:
        body = good | {field: [text] if isinstance(good[field], list) else text}
        answer = await ask(stage, "manager", method, path, json=body)
        return [answer, *(await then(stage, answer) if answer.status < 300 else [])]

    return go


def _by_id(route: str) -> Go:
    method, _, path = route.partition(" ")

    async def go(stage: Stage, text: str) -> list[Answer]:
        id = quote(text.encode("utf-8", "surrogateescape"), safe="")
        return [await ask(stage, "manager", method, path.replace("{id}", id))]

    return go


def _queried(route: str, name: str) -> Go:
    method, _, path = route.partition(" ")

    async def go(stage: Stage, text: str) -> list[Answer]:
        return [await ask(stage, "manager", method, path, query=QUERIED[route] | {name: text})]

    return go


# ---------------------------------------------------------------- client-facing: queries, headers and claims

TOKEN_ROUTES: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
    "GET /download": (DownloadTokenData, {"archive": "true"}),
    "HEAD /download": (DownloadTokenData, {"archive": "true"}),
    "GET /download-archive": (ArchiveDownloadTokenData, {}),
    "HEAD /download-archive": (ArchiveDownloadTokenData, {}),
    "HEAD /upload": (UploadTokenData, {}),
    "PATCH /upload": (UploadTokenData, {}),
    "POST /uploads": (UploadTokenData, {}),
    "HEAD /uploads": (UploadTokenData, {}),
    "PATCH /uploads": (UploadTokenData, {}),
    "DELETE /uploads": (UploadTokenData, {}),
    "GET /session": (ArchiveDownloadTokenData, {}),
    "GET /archive-members": (ArchiveDownloadTokenData, {}),
}
"""Of each client-facing route that takes a token: what the token says, and what else stands in the query."""

PARAMETERS: dict[str, Attacks | str] = {
    "token": "its claims are ways of their own",
    "dst_dir": PATH,
    "path": PATH,
    "start": "a number",
    "etag": "compared",
    "archive": "yes or no",
    "no_cache": "yes or no",
    "format": "one of some words",
    "compression": "one of some words",
    "Range": "numbers",
    "If-Range": "compared",
    "If-Match": "compared",
    "If-None-Match": "compared",
    "If-Modified-Since": "a date",
    "If-Unmodified-Since": "a date",
    "Upload-Offset": "a number",
    "Upload-Length": "a number",
    "Upload-Metadata": PATH,
    "Upload-Checksum": "a word and a number",
    "Tus-Resumable": "compared",
    "id": TEXT,
    "volume": VOLUME,
    "vfid": FOLDER_ID,
    "limit": "a number",
    "cursor": "a number",
}
"""Parameters in queries, headers and URLs: what is tried in them, or why they cannot hold a path."""

CLAIMS: dict[type[BaseModel], dict[str, Attacks | str]] = {
    DownloadTokenData: {
        "op": "compared",
        "volume": VOLUME,
        "vfid": FOLDER_ID,
        "relpath": PATH,
        "exp": "a number",
        "archive": "yes or no",
        "unmanaged_path": PATH,
        "jti": TEXT,
        "pannier": "its members are ways of their own",
    },
    ArchiveDownloadTokenData: {
        "operation": "compared",
        "volume": VOLUME,
        "virtual_folder_id": FOLDER_ID,
        "files": PATH,
        "filename": NAME,
        "exp": "a number",
        "jti": TEXT,
        "pannier": "its members are ways of their own",
    },
    UploadTokenData: {
        "op": "compared",
        "volume": VOLUME,
        "vfid": FOLDER_ID,
        "relpath": PATH,
        "size": "a number",
        "session": PATH,
        "exp": "a number",
        "pannier": "its members are ways of their own",
    },
    DownloadClaim: {"v": "a number", "strict": "yes or no", "told": "yes or no"},
    PannierClaim: {
        "v": "a number",
        "selection": TEXT,
        "paths": PATH,
        "links": "one of four words",
        "exclude": TEXT,
        "except_": PATH,
        "layout": "one of two words",
        "format": "one of some words",
        "compression": "one of some words",
        "formats": "some of them",
        "rate": "a number",
        "one_time": "yes or no",
        "resume_grace": "a number",
    },
    UploadClaim: {
        "v": "a number",
        "strict": "yes or no",
        "conflict": "one of three words",
        "multiple": "yes or no",
        "metadata": TEXT,
    },
}
"""What tokens say: what is tried in a claim, or why it cannot hold a path."""

_MEMBERS: dict[type[BaseModel], type[BaseModel]] = {
    DownloadTokenData: DownloadClaim,
    ArchiveDownloadTokenData: PannierClaim,
    UploadTokenData: UploadClaim,
}
_LISTS = {"files", "paths", "exclude", "except_"}
GOOD_CLAIMS: dict[str, str | None] = {
    "volume": "m",
    "vfid": FOLDER,
    "virtual_folder_id": FOLDER,
    "relpath": "a",
    "files": "dir",
    "paths": "dir",
    "filename": "name",
    "jti": "a-name-of-its-own",
    "exclude": "*.tmp",
    "except_": "dir/deep",
    "metadata": "",
    "session": None,
    "selection": None,
    "unmanaged_path": None,
}


async def _claims(stage: Stage, model: type[BaseModel], route: str) -> dict[str, Any]:
    """Claims that are good for a route."""
    if model is DownloadTokenData:
        return {"op": "download", "volume": "m", "vfid": FOLDER, "relpath": "a"}
    if model is ArchiveDownloadTokenData:
        return {
            "operation": "download",
            "volume": "m",
            "virtual_folder_id": FOLDER,
            "files": ["dir"],
            "filename": None,
        }
    several = route == "POST /uploads"
    body = _F | {"relpath": "dir" if several else "a", "size": 3, "multiple": several}
    return claims_of((await ask(stage, "manager", "POST", "/folder/file/upload", json=body)).json["token"])


async def _send(
    stage: Stage, route: str, token: str, query: dict[str, str], metadata: bytes = b"uploaded"
) -> list[Answer]:
    """Send a good request with a token, and what follows."""
    method, _, path = route.partition(" ")
    headers: dict[str, str] = {}
    if path == "/uploads":
        headers["Tus-Resumable"] = "1.0.0"
    if route == "POST /uploads":
        headers |= {"Upload-Length": "3", "Upload-Metadata": f"filename {base64.b64encode(metadata).decode()}"}
    if method in ("PATCH", "POST"):
        headers |= {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    data = b"new" if method in ("PATCH", "POST") else None
    return [await ask(stage, "client", method, path, query={"token": token, **query}, data=data, headers=headers)]


def _in_claim(route: str, claim: str, member: bool) -> Go:
    model, query = TOKEN_ROUTES[route]

    async def go(stage: Stage, text: str) -> list[Answer]:
        claims = await _claims(stage, model, route)
        value: Any = [text] if claim in _LISTS else text
        if not member:
            claims[claim] = value
        else:
            ours = claims.setdefault("pannier", {"v": 1})
            ours[claim.rstrip("_")] = value
            if model is ArchiveDownloadTokenData:
                digest = text if claim == "selection" else "0" * 64
                claims["files"] = [placeholder(digest)]
                if claim not in ("selection", "paths"):
                    ours["paths"] = ["dir"]
        return await _send(stage, route, signed(claims), query)

    return go


def _in_query(route: str, name: str) -> Go:
    model, query = TOKEN_ROUTES[route]

    async def go(stage: Stage, text: str) -> list[Answer]:
        return await _send(stage, route, signed(await _claims(stage, model, route)), query | {name: text})

    return go


async def _in_metadata(stage: Stage, text: str) -> list[Answer]:
    token = signed(await _claims(stage, UploadTokenData, "POST /uploads"))
    return await _send(stage, "POST /uploads", token, {}, text.encode("utf-8", "surrogateescape"))


def _token_ways() -> Iterator[Way]:
    for route, (model, _) in TOKEN_ROUTES.items():
        for of, member in ((model, False), (_MEMBERS[model], True)):
            for claim, attacks in CLAIMS[of].items():
                if not isinstance(attacks, str):
                    good = GOOD_CLAIMS[claim]
                    if route == "POST /uploads" and claim == "relpath":
                        good = "dir"
                    field = f"claim {'pannier.' if member else ''}{claim}"
                    yield Way(f"client {route}", field, attacks, _in_claim(route, claim, member), good)


WAYS: Sequence[Way] = (
    *_body_ways(),
    *_token_ways(),
    *(
        Way(f"client {route}", "query dst_dir", PATH, _in_query(route, "dst_dir"), good)
        for route, good in (
            ("GET /download", "."),
            ("HEAD /download", "."),
            ("HEAD /upload", "dir"),
            ("PATCH /upload", "dir"),
        )
    ),
    Way("client GET /archive-members", "query path", PATH, _in_query("GET /archive-members", "path"), "dir/deep/c"),
    Way("client POST /uploads", "header Upload-Metadata", PATH, _in_metadata, "below/uploaded"),
    *(Way(f"manager {route}", "path id", TEXT, _by_id(route), None) for route in sorted(BY_ID)),
    *(
        Way(f"manager {route}", f"query {name}", attacks, _queried(route, name), good)
        for route, query in QUERIED.items()
        for name, good in query.items()
        if not isinstance(attacks := PARAMETERS[name], str)
    ),
)
