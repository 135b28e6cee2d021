"""Keys of tokens over HTTP: real servers whose settings change between two starts, with tokens that live on."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from pannier.keys import new_pair
from tests.api.disk import Disk, disk
from tests.api.host import kind
from tests.api.live import MINT, SECRET

OLD = {"alg": "HS256", "secret": "o" * 43}
TUS = {"Tus_Resumable": "1.0.0"}


@pytest.fixture
def pem(tmp_path: Path) -> dict[str, Path]:
    found = {"private_key": tmp_path / "k.pem", "public_key": tmp_path / "k.pub.pem"}
    for path, content in zip(found.values(), new_pair(), strict=True):
        path.touch(0o600)
        path.write_bytes(content)
    return found


@asynccontextmanager
async def started(tmp_path: Path, **keys: Any) -> AsyncIterator[Disk]:
    """A start of the server over the same state, with keys as given."""
    for name in ("folder", "outside"):  # made anew by each start; the state stays
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    async with disk(tmp_path, keys=keys) as it:
        (it.root / "a").write_text("the content")
        yield it


async def archive(it: Disk, token: str) -> int:
    answer = await it.it.get(token)
    if answer.status == 200:
        assert zipfile.ZipFile(io.BytesIO(answer.body)).read("a") == b"the content"
    return answer.status


async def single(it: Disk, token: str) -> int:
    return (await it.it.ask("GET", f"{it.it.listening.client_url}/download?token={token}")).status


async def test_tokens_live_through_a_rotation_of_keys_and_restarts(tmp_path: Path, pem: dict[str, Path]) -> None:
    new = {"alg": "EdDSA", "private_key": pem["private_key"]}
    async with started(tmp_path) as it:
        wire = await it.it.mint("a")
    async with started(tmp_path, active="old", ring={"old": OLD, "new": new}) as it:
        old, opened = await it.it.mint("a"), [await archive(it, wire)]
        opened += [await archive(it, old)]
        file = (await it.ask("download", relpath="a")).json["token"]
        opened += [await single(it, file)]
        assert opened == [200, 200, 200]
    async with started(tmp_path, active="new", ring={"old": OLD, "new": new}) as it:
        latest = await it.it.mint("a")
        assert [await archive(it, each) for each in (wire, old, latest)] == [200, 200, 200]
        assert await single(it, file) == 200
    async with started(tmp_path, active="new", ring={"new": new}, accept_shared=False) as it:
        assert [await archive(it, each) for each in (wire, old, latest)] == [401, 401, 200]
        assert await single(it, file) == 401
    assert [jwt.get_unverified_header(each).get("kid") for each in (wire, old, latest)] == [None, "old", "new"]


async def test_a_server_with_the_public_key_alone_takes_tokens_and_signs_none(
    tmp_path: Path, pem: dict[str, Path]
) -> None:
    async with started(tmp_path, active="k", ring={"k": {"alg": "EdDSA", "private_key": pem["private_key"]}}) as it:
        token = await it.it.mint("a")
        several = (await it.ask("upload", relpath="up", size=3, multiple=True)).json["token"]
        one = (await it.ask("upload", relpath="b", size=3)).json["token"]
    half = {"alg": "EdDSA", "public_key": pem["public_key"]}
    async with started(tmp_path, ring={"k": half}, accept_shared=False) as it:
        assert await archive(it, token) == 200
        refused = [
            await it.it.manage(MINT, it.it.order("a")),
            await it.ask("download", relpath="a"),
            await it.ask("upload", relpath="c", size=3),
            await it.ask("upload", relpath="up", size=3, multiple=True),
            await it.it.ask(
                "POST",
                f"{it.it.listening.client_url}/uploads?token={several}",
                **TUS,
                Upload_Length="3",
                Upload_Metadata="filename YQ==",
            ),
        ]
        assert [kind(each) for each in refused] == [(501, "minting-unavailable")] * 5
        assert it.tree() == {"a": "the content"}  # nothing was begun
        answer = await it.it.ask("HEAD", f"{it.it.listening.client_url}/upload?token={one}")
        assert answer.status == 404  # the token is good; its upload was begun in another folder


async def test_uploads_go_through_with_native_tokens(tmp_path: Path, pem: dict[str, Path]) -> None:
    async with started(tmp_path, active="k", ring={"k": {"alg": "EdDSA", "private_key": pem["private_key"]}}) as it:
        one = (await it.ask("upload", relpath="b", size=3)).json["token"]
        url = f"{it.it.listening.client_url}/upload?token={one}"
        assert (await it.it.ask("PATCH", url, data=b"new", Upload_Offset="0")).status == 204
        several = (await it.ask("upload", relpath="up", size=3, multiple=True)).json["token"]
        begun = await it.it.ask(
            "POST",
            f"{it.it.listening.client_url}/uploads?token={several}",
            data=b"abc",
            **TUS,
            Upload_Length="3",
            Upload_Metadata="filename YQ==",
            Content_Type="application/offset+octet-stream",
        )
        assert begun.status == 201
        assert jwt.get_unverified_header(begun.headers["Location"].rpartition("=")[2])["kid"] == "k"
        assert it.tree() == {"a": "the content", "b": "new", "up": "directory", "up/a": "abc"}


async def test_a_kind_of_token_opens_its_own_routes_only_whatever_signed_it(
    tmp_path: Path, pem: dict[str, Path]
) -> None:
    async with started(tmp_path, active="k", ring={"k": {"alg": "EdDSA", "private_key": pem["private_key"]}}) as it:
        tokens = {
            "archive": await it.it.mint("a"),
            "file": (await it.ask("download", relpath="a")).json["token"],
            "upload": (await it.ask("upload", relpath="b", size=3)).json["token"],
        }
        client = it.it.listening.client_url
        routes = {
            "archive": ("GET", f"{client}/download-archive?token="),
            "file": ("GET", f"{client}/download?token="),
            "upload": ("PATCH", f"{client}/upload?token="),
        }
        for wanted, (method, url) in routes.items():
            for of, token in tokens.items():
                answer = await it.it.ask(
                    method, url + token, data=b"new" if method == "PATCH" else None, Upload_Offset="0"
                )
                assert (answer.status < 300) == (of == wanted), (wanted, of)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        SECRET[:-1],
        SECRET + "x",
        SECRET.upper(),
        SECRET[:-1] + "\u00ff",
        SECRET * 200,
        f"{SECRET},{SECRET}",
        f"Bearer {SECRET}",
    ],
    ids=["none", "empty", "short", "long", "upper case", "not ASCII", "very long", "twice", "with a scheme"],
)
async def test_nothing_but_the_manager_secret_itself_is_the_manager_secret(tmp_path: Path, given: str | None) -> None:
    async with started(tmp_path) as it:
        headers = {} if given is None else {"X_BackendAI_Storage_Auth_Token": given}
        for path in (MINT, "/volumes", "/openapi.json", "/nowhere", "//status", "/status/"):
            answer = await it.it.ask("GET", it.it.listening.manager_url + path, **headers)
            assert (answer.status, answer.json.get("error_code")) == (403, "storage-proxy_auth_forbidden"), path
