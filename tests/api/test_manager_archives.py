"""Tokens and plans, as the manager asks for them."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from pannier.dto.ids import FolderId
from pannier.volumes.base import Batch, Folder, Found, Listing, Source, WholeReader
from pannier.volumes.memory import MemoryVolume
from pannier.volumes.whole import OpeningReader
from tests.api.live import FOLDER, MINT, PLAN, Live, live, until

ALIAS = "/folder/file/download-archive"


class Upstream(BaseModel):
    """Upstream's claims (WIRE section 5): unknown ones are ignored."""

    operation: str
    volume: str
    virtual_folder_id: str
    files: list[str] = Field(min_length=1)
    filename: str | None
    exp: int


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def fill(it: Live) -> None:
    for name in ("a.txt", "b/c.txt", "b/d.tmp"):
        it.write(name, name.encode())


class GatedFolder:
    def __init__(self, folder: Folder, volume: GatedVolume) -> None:
        self._folder, self._volume = folder, volume

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        return self._folder.lookup(path, follow=follow)

    def scan(self, source: bytes) -> Listing:
        self._volume.scans += 1
        return Listing(source, self._batches(self._folder.scan(source)))

    def _batches(self, listing: Listing) -> Iterator[Batch]:
        for batch in listing.batches():
            yield batch
            for _ in range(len(batch)):  # the walk counts after each, and notices that nobody waits
                self._volume.gate.wait(0.05)
                yield Batch.of(())
            while not self._volume.gate.is_set() and self._volume.held:
                self._volume.gate.wait(0.05)
                yield Batch.of(())

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        return self._folder.identities(source, names)

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        return self._folder.open(source, identity, path)

    def whole_reader(self) -> WholeReader:
        return OpeningReader(self)

    def close(self) -> None:
        self._volume.closed += 1
        self._folder.close()


class GatedVolume:
    """A volume whose listings stand still while its gate is shut."""

    def __init__(self) -> None:
        self.memory = MemoryVolume("m")
        self.memory.make_folder(FOLDER)
        self.gate = threading.Event()
        self.gate.set()
        self.held = True
        self.scans = self.closed = 0
        self.name, self.id = "m", "gated"
        self.identity_scheme, self.clock_granularity_ns = "inode", 0

    def now_ns(self) -> int:
        return self.memory.now_ns()

    def folder(self, folder: FolderId) -> Folder:
        return GatedFolder(self.memory.folder(folder), self)

    def close(self) -> None:
        self.memory.close()


@pytest.mark.parametrize(
    ("path", "key"),
    [(MINT, "virtual_folder_id"), (ALIAS, "virtual_folder_id"), (ALIAS, "vfid"), (ALIAS, "vfolder_id")],
)
async def test_both_routes_mint_what_upstream_reads(tmp_path: Path, path: str, key: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        body = {"volume": "m", key: str(FOLDER), "files": ["b", "a.txt"], "filename": "x.zip", "unknown": 1}
        answer = await it.manage(path, body)
        assert answer.status == 200
        assert (answer.json["plan"], answer.json["entries"]) == ("done", 3)
        read = Upstream.model_validate(claims(answer.json["token"]))
        assert (read.operation, read.volume, read.files, read.filename) == ("download", "m", ["b", "a.txt"], "x.zip")
        assert read.virtual_folder_id == str(FOLDER)
        got = await it.get(answer.json["token"])
        assert (len(got.body), got.headers["ETag"]) == (answer.json["length"], answer.json["etag"])


async def test_options_travel_where_a_reader_that_ignores_them_opens_nothing(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(".", exclude=["*.tmp"], **{"except": ["a.txt"]})
        said = claims(token)
        assert said["files"][0].startswith(".upload/selection-")
        assert said["pannier"] == {"v": 1, "paths": ["."], "exclude": ["*.tmp"], "except": ["a.txt"]}
        assert (await it.manage(PLAN, it.order(*said["files"]))).json["offenders"]["items"][0]["code"] == "missing"
        got = await it.get(token)
        assert b"b/c.txt" in got.body
        assert b"a.txt" not in got.body


async def test_a_large_selection_stays_here_and_its_token_small(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        names = [f"folder with a long name/{number:05}.dat" for number in range(3_000)]
        for name in names:
            it.write(name, b"x")
        answer = await it.manage(MINT, it.order(*names))
        assert len(answer.json["token"]) < 1_000
        assert len(answer.json["token"].split(".")) == 3
        assert (await it.get(answer.json["token"])).body.count(b"PK\x01\x02") == 3_000
        for file in tmp_path.glob("state.db*"):  # noqa: ASYNC240
            file.unlink()
        lost = await it.get(answer.json["token"])
        assert (lost.status, lost.json["error_code"]) == (400, "auth_auth_invalid-parameters")


async def test_bodies_up_to_the_limit_are_taken_here_and_larger_ones_refused(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"max_selection_body": 512 * 1024}) as it:
        fill(it)
        body = it.order("a.txt", padding="x" * 400_000)
        assert (await it.manage(MINT, body)).status == 200
        body["padding"] *= 2
        answer = await it.manage(MINT, body)
        assert (answer.status, answer.json["setting"], answer.json["limit"]) == (
            413,
            "limits.max-selection-body",
            524288,
        )
        assert answer.json["measured"] > 524288


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "api_parsing_bad-request"),
        (b"{", "api_parsing_bad-request"),
        (b"[" * 100_000, "api_parsing_bad-request"),
        (b"[]", "api_parsing_invalid-parameters"),
        (b"{}", "api_parsing_invalid-parameters"),
        (b'{"volume": 1, "virtual_folder_id": "x", "files": []}', "api_parsing_invalid-parameters"),
        (b'{"volume": "m", "virtual_folder_id": "../..", "files": ["a"]}', "api_parsing_invalid-parameters"),
    ],
)
async def test_bodies_of_another_form_are_400(tmp_path: Path, body: bytes, code: str) -> None:
    async with live(tmp_path) as it:
        secret = it.settings.api.manager.secret.get_secret_value()
        answer = await it.ask("POST", it.listening.manager_url + MINT, data=body, X_BackendAI_Storage_Auth_Token=secret)
        assert (answer.status, answer.json["error_code"]) == (400, code)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"volume": "other"}, 400, "storage_access_invalid-parameters"),
        ({"virtual_folder_id": "0" * 32}, 404, "vfolder_read_not-found"),
        ({"files": ["nope"]}, 404, "vfolder_read_not-found"),
        ({"files": ["b/../../x"]}, 400, "storage-proxy_request_invalid-parameters"),
        ({"files": ["a.txt\n"]}, 400, "storage-proxy_request_invalid-parameters"),
        ({"exclude": ["["]}, 400, "storage-proxy_request_invalid-parameters"),
        ({"links": "jump"}, 400, "api_parsing_invalid-parameters"),
        ({"filename": "a/b"}, 400, "api_parsing_invalid-parameters"),
    ],
)
async def test_what_cannot_be_had_is_refused_when_minting(
    tmp_path: Path, change: dict[str, Any], status: int, code: str
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        answer = await it.manage(MINT, {**it.order("a.txt"), **change})
        assert (answer.status, answer.json["error_code"]) == (status, code), answer.json


async def test_limits_name_what_was_measured_and_the_setting(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"max_entries": 2, "max_depth": 3}) as it:
        fill(it)
        answer = await it.manage(MINT, it.order("."))
        assert (answer.status, answer.json["type"]) == (413, "urn:pannier:problem:limit-exceeded")
        assert (answer.json["limit"], answer.json["measured"], answer.json["setting"]) == (2, 3, "limits.max-entries")
        it.write("x/1/2/3/4", b"deep")
        deep = await it.manage(MINT, it.order("x"))
        assert (deep.json["limit"], deep.json["measured"], deep.json["setting"]) == (3, 4, "limits.max-depth")


async def test_a_count_that_takes_longer_goes_on_and_serves_who_comes_with_the_token(tmp_path: Path) -> None:
    volume = GatedVolume()
    volume.held = False
    for number in range(25):  # each is listed slowly
        volume.memory.write(FOLDER, b"d/%d" % number, b"x")
    volume.gate.clear()
    async with live(tmp_path, volume=volume, archive={}) as it:
        answer = await it.manage(MINT, it.order("d"))
        assert (answer.json["plan"], "length" in answer.json) == ("running", False)
        got = await it.get(answer.json["token"])
        assert (got.status, volume.scans) == (200, 1)


async def test_a_plan_names_everything(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        it.memory.mkdir(FOLDER, b"empty")
        it.write("a\\b.txt", b"1")
        it.write("A.TXT", b"2")
        it.memory.symlink(FOLDER, b"l", b"a.txt")
        plan = (await it.manage(PLAN, it.order(".", links="omit", exclude=["*.tmp"]))).json
        assert {k: plan[k] for k in ("entries", "files", "directories", "links", "format")} == {
            "entries": 5, "files": 4, "directories": 1, "links": 0, "format": "zip"
        }  # fmt: skip
        token = await it.mint(".", links="omit", exclude=["*.tmp"])
        got = await it.get(token)
        assert (plan["length"], plan["etag"]) == (len(got.body), got.headers["ETag"])
        assert [each["path"] for each in plan["members"]["items"]] == ["A.TXT", "a.txt", "a\\b.txt", "b/c.txt", "empty"]
        assert plan["renamed"]["items"] == [{"path": "a\\b.txt", "name": "a_b.txt", "reasons": ["backslash"]}]
        assert {(each["path"], each["reason"]) for each in plan["omitted"]["items"]} == {
            ("b/d.tmp", "exclude"),
            ("l", "link"),
        }
        assert {each["reason"] for each in plan["warnings"]["items"]} >= {"differs-in-case-only"}


async def test_a_plan_with_offenders_lists_them_all_page_by_page(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for number in range(2_345):
            it.memory.special(FOLDER, b"s%04d" % number)
        first = (await it.manage(PLAN, it.order("."))).json
        assert (first["length"], first["etag"], first["offenders"]["total"]) == (None, None, 2_345)
        paths, cursor = [each["path"] for each in first["offenders"]["items"]], first["offenders"]["cursor"]
        while cursor:
            page = (await it.manage(PLAN, it.order(".", cursor=cursor))).json
            assert page["list"] == "offenders"
            paths += [each["path"] for each in page["page"]["items"]]
            cursor = page["page"]["cursor"]
        assert paths == [f"s{number:04}" for number in range(2_345)]
        refused = await it.manage(MINT, it.order("."))
        assert (refused.status, len(refused.json["offenders"]), refused.json["total"]) == (400, 1_000, 2_345)


async def test_a_cursor_of_another_plan_is_a_conflict_and_nonsense_is_400(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"max_entries": 3_000}) as it:
        for number in range(1_001):
            it.write(f"f{number}", b"")
        cursor = (await it.manage(PLAN, it.order("."))).json["members"]["cursor"]
        assert len((await it.manage(PLAN, it.order(".", cursor=cursor))).json["page"]["items"]) == 1
        assert (await it.manage(PLAN, it.order("f1", cursor=cursor))).status == 409
        for nonsense in ("x", "!!!", base64.urlsafe_b64encode(b"a:members:-1").decode(), "é"):
            assert (await it.manage(PLAN, it.order(".", cursor=nonsense))).status == 400


async def test_progress_comes_line_by_line_and_the_plan_last(tmp_path: Path) -> None:
    volume = GatedVolume()
    volume.held = False
    for number in range(25):
        volume.memory.write(FOLDER, b"d/%02d" % number, b"xy")
    volume.gate.clear()
    async with live(tmp_path, volume=volume) as it:
        answer = await it.manage(PLAN, it.order("d"), Accept="application/x-ndjson")
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        *progress, plan = [json.loads(line) for line in answer.body.splitlines()]
        assert progress
        assert all(set(line) == {"entries", "bytes", "seconds"} for line in progress)
        assert (plan["entries"], plan["bytes"]) == (25, 50)
        early = await it.manage(PLAN, it.order("d", volume="other"), Accept="application/x-ndjson")
        assert early.status == 400


async def test_closing_the_connection_ends_the_count_unless_others_wait(tmp_path: Path) -> None:
    volume = GatedVolume()
    volume.memory.write(FOLDER, b"d/f", b"x")
    volume.gate.clear()
    async with live(tmp_path, volume=volume) as it:
        first, second = (asyncio.create_task(it.manage(PLAN, it.order("d"))) for _ in range(2))
        await until(lambda: volume.scans > 0)
        first.cancel()
        await asyncio.sleep(0.3)
        assert volume.closed == 0  # the other one still waits
        second.cancel()
        await until(lambda: volume.closed > 0)
        assert volume.scans == 1


async def test_paths_longer_than_any_request_may_have_are_still_named(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        deep = b"/".join([b"d" * 254] * 80)
        it.memory.write(FOLDER, deep, b"x")
        plan = await it.manage(PLAN, it.order("."))
        assert (plan.status, plan.json["members"]["items"][0]["path"]) == (200, deep.decode())
        it.memory.deny(FOLDER, deep)
        refused = await it.manage(MINT, it.order("."))
        assert (refused.status, refused.json["offenders"][0]["path"]) == (403, deep.decode())
