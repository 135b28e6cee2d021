"""The wire's manager-facing side, row by row: what the subject's own tests leave open (docs/wire.md names them all)."""

from __future__ import annotations

import errno
import os
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from pannier.dto.ids import FolderId
from pannier.volumes.hosts import Measure
from pannier.volumes.posix import PosixVolume
from tests.api.host import OWNER, Host, kind, new_id
from tests.api.live import KEY, Answer, live

SCOPE = f"user:{OWNER}"
PROBS = "https://api.backend.ai/probs/"


def routes(folder: str, other: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route that refuses unknown members, with a body that it takes."""
    at, scope = {"vfid": folder}, {"qsid": SCOPE}
    return [
        ("GET", "/volume/hwinfo", {}),
        ("GET", "/volume/performance-metric", {}),
        ("GET", "/folder/fs-usage", {}),
        ("GET", "/volume/quota", at),
        ("PATCH", "/volume/quota", {**at, "size_bytes": 1}),
        ("POST", "/quota-scope", {**scope, "options": None, "extra_args": None}),
        ("GET", "/quota-scope", scope),
        ("PATCH", "/quota-scope", {**scope, "options": {"limit_bytes": 1}}),
        ("DELETE", "/quota-scope/quota", scope),
        ("POST", "/folder/create", {"vfid": other, "mode": None, "options": {"any": "key"}}),
        ("POST", "/folder/delete", {"vfid": other}),
        ("GET", "/folder/mount", {**at, "subpath": "."}),
        ("GET", "/folder/usage", at),
        ("GET", "/folder/used-bytes", at),
        ("GET", "/folder/metadata", at),
        ("POST", "/folder/metadata", {**at, "payload": {"any": 1}}),
        ("POST", "/folder/file/mkdir", {**at, "relpath": "made", "parents": True, "exist_ok": False}),
        ("POST", "/folder/file/list", {**at, "relpath": "."}),
        ("POST", "/folder/file/rename", {**at, "relpath": "file", "new_name": "new", "is_dir": False}),
        ("POST", "/folder/file/move", {**at, "src_relpath": "new", "dst_relpath": "file"}),
        ("POST", "/folder/file/fetch", {**at, "relpath": "file"}),
        ("POST", "/folder/file/delete", {**at, "relpaths": ["nothing"], "recursive": False}),
        ("POST", "/folder/file/download", {**at, "relpath": "f", "archive": False, "unmanaged_path": None}),
        ("POST", "/folder/file/upload", {**at, "relpath": "up", "size": "5"}),
    ]


async def made(host: Host) -> str:
    """A folder with a file in it."""
    folder = new_id()
    assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204
    (host.where(folder) / "file").write_text("content")
    return folder


# ---------------------------------------------------------------- bodies


async def test_each_older_route_takes_its_members_and_no_others(host: Host) -> None:
    """Refused as the wire has it: no error code, so that a manager takes it for its caller's mistake."""
    folder, other = await made(host), new_id()
    taken = {}
    for method, path, body in routes(folder, other):
        for wrong, field in (({**body, "unknown": 1}, "unknown"), ({**body, "volume": 5}, "volume")):
            refused = await host.ask(method, path, **wrong)
            assert kind(refused) == (400, "storage/invalid-api-params"), (method, path, refused.json)
            assert set(refused.json["data"]) == {field}
            assert "error_code" not in refused.json
        taken[method, path] = (await host.ask(method, path, **body)).status
    assert set(taken.values()) <= {200, 202, 204, 400, 409}
    assert {route for route, status in taken.items() if status == 400} == {
        ("GET", "/volume/quota"),
        ("PATCH", "/volume/quota"),
    }
    # the scope came with the folder
    assert {route for route, status in taken.items() if status == 409} == {("POST", "/quota-scope")}


async def test_the_newer_routes_and_cloning_ignore_unknown_members(host: Host) -> None:
    folder = await made(host)
    order = {"virtual_folder_id": folder, "files": ["file"], "unknown": 1}
    assert (await host.ask("POST", "/folder/file/archive-download-token", **order)).status == 200
    files = {"vfid": folder, "relpaths": ["nothing"], "unknown": 1}
    assert (await host.ask("POST", "/folder/file/delete-async", **files)).status == 202
    clone = {"src_volume": "m", "src_vfid": folder, "dst_volume": None, "dst_vfid": new_id(), "unknown": 1}
    assert (await host.ask("POST", "/folder/clone", **clone)).status == 200
    for path, body in (("archive-download-token", {**order, "files": []}), ("delete-async", {**files, "relpaths": 5})):
        refused = await host.ask("POST", f"/folder/file/{path}", **body)
        assert kind(refused) == (400, "generic-bad-request")
        assert refused.json["error_code"] == "api_parsing_invalid-parameters"


async def test_a_legacy_id_is_read_and_never_made(host: Host) -> None:
    legacy = uuid.uuid4().hex
    refused = await host.ask("POST", "/folder/create", vfid=legacy)
    assert (refused.status, refused.json["error_code"]) == (400, "storage-proxy_request_invalid-parameters")
    root = host.where(legacy)
    assert root == host.root / legacy[:2] / legacy[2:4] / legacy[4:]
    root.mkdir(parents=True)
    (root / "file").write_text("content")
    for spelling in (legacy, str(uuid.UUID(legacy)), legacy.upper()):
        mounted = await host.ask("GET", "/folder/mount", vfid=spelling)
        assert (mounted.status, mounted.json) == (200, {"path": str(root)})
    usage = await host.ask("GET", "/folder/usage", vfid=legacy)
    assert usage.json == {"file_count": 1, "used_bytes": 7}
    listed = await host.ask("POST", "/folder/file/list", vfid=legacy, relpath=".")
    assert [item["name"] for item in listed.json["items"]] == ["file"]
    assert (await host.ask("POST", "/folder/file/fetch", vfid=legacy, relpath="file")).body == b"content"
    for path in ("download", "upload"):
        minted = await host.ask(
            "POST", f"/folder/file/{path}", vfid=legacy, relpath="f", **({"size": 1} if path[0] == "u" else {})
        )
        assert jwt.decode(minted.json["token"], KEY, algorithms=["HS256"])["vfid"] == legacy


# ---------------------------------------------------------------- answers


async def test_an_item_of_a_listing_has_the_members_of_the_wire_and_no_others(host: Host) -> None:
    folder = await made(host)
    root = host.where(folder)
    (root / "sub").mkdir()
    (root / "link").symlink_to("sub")
    os.utime(root / "file", (0, 1_700_000_000.25))
    listed = await host.ask("POST", "/folder/file/list", vfid=folder, relpath=".")
    assert listed.headers["Content-Type"].startswith("application/json")
    for item in listed.json["items"]:
        assert set(item) == {"name", "type", "stat", "symlink_target"}
        assert set(item["stat"]) == {"mode", "size", "created", "modified"}
        told = (root / item["name"]).lstat()
        assert (item["stat"]["mode"], item["stat"]["size"]) == (told.st_mode, told.st_size)
        for name, ns in (("created", told.st_ctime_ns), ("modified", told.st_mtime_ns)):
            assert item["stat"][name].endswith("+00:00")
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)
            assert datetime.fromisoformat(item["stat"][name]) == moment
    assert {item["name"]: item["symlink_target"] for item in listed.json["items"]} == {
        "file": "",
        "link": "sub",
        "sub": "",
    }


@pytest.mark.parametrize(
    ("path", "body", "number", "paths"),
    [
        ("list", {"relpath": "no/such"}, errno.ENOENT, ["no/such"]),
        ("list", {"relpath": "file"}, errno.ENOTDIR, ["file"]),
        ("rename", {"relpath": "no", "new_name": "x"}, errno.ENOENT, ["no"]),
        ("move", {"src_relpath": "file", "dst_relpath": "no/such/x"}, errno.ENOENT, ["no/such/x"]),
        ("delete", {"relpaths": ["dir"]}, errno.EISDIR, ["dir"]),
    ],
)
async def test_what_the_file_system_refuses_is_told_in_its_words(
    host: Host, path: str, body: dict[str, Any], number: int, paths: list[str]
) -> None:
    """With paths as the manager knows them, none of the host's."""
    folder = await made(host)
    (host.where(folder) / "dir").mkdir()
    refused = await host.ask("POST", f"/folder/file/{path}", vfid=folder, **body)
    assert refused.status == 400
    assert (refused.json["msg"], refused.json["errno"]) == (os.strerror(number), number)
    assert refused.json["paths"][-1:] == paths[-1:]
    assert str(host.root) not in refused.body.decode()


async def test_results_of_mkdir_stand_in_two_lists_whatever_the_status(host: Host) -> None:
    folder = await made(host)
    for relpath, status, counts in (
        (["a", "b/c"], 200, (2, 0)),
        (["d", "../x", "file"], 207, (1, 2)),
        (["../x"], 422, (0, 1)),
        ("file", 422, (0, 1)),
        ([], 422, (0, 0)),
    ):
        answer = await host.ask("POST", "/folder/file/mkdir", vfid=folder, relpath=relpath)
        assert (answer.status, set(answer.json)) == (status, {"results"})
        results = answer.json["results"]
        assert set(results) == {"success", "failed"}
        assert (len(results["success"]), len(results["failed"])) == counts
        assert all(set(each) == {"msg", "item"} for each in (*results["success"], *results["failed"]))
        assert all(each["msg"] is None for each in results["success"])
        assert all(each["msg"] for each in results["failed"])


async def test_an_upload_into_a_folder_that_is_not_there_is_not_begun(host: Host) -> None:
    refused = await host.ask("POST", "/folder/file/upload", vfid=new_id(), relpath="f", size=1)
    assert kind(refused) == (404, "storage/vfolder/not-found")
    assert list(host.root.iterdir()) == []


async def test_used_space_is_all_that_is_not_available(host: Host, tmp_path: Path) -> None:
    """What is kept for root is used, too. Others write to the disk meanwhile, hence the slack."""

    def looked() -> int:
        told = os.statvfs(tmp_path)
        return (told.f_blocks - told.f_bavail) * told.f_frsize

    slack = 2**30
    before = looked()
    space = (await host.ask("GET", "/folder/fs-usage")).json
    after = looked()
    assert min(before, after) - slack <= space["used_bytes"] <= max(before, after) + slack


class Endless(PosixVolume):
    """A volume on which no count comes to its end in time."""

    def measure(self, folder: FolderId, seconds: float) -> Measure | None:
        assert seconds == 30
        return super().measure(folder, -1.0)


async def test_a_count_that_takes_too_long_is_minus_one(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    volume = Endless("m", tmp_path / "volume")
    try:
        async with live(tmp_path / "state", volume=volume) as it:
            host = Host(it, tmp_path / "volume")
            folder = await made(host)
            usage = await host.ask("GET", "/folder/usage", vfid=folder)
            assert (usage.status, usage.json) == (200, {"file_count": -1, "used_bytes": -1})
            assert (await host.ask("GET", "/folder/used-bytes", vfid=folder)).json == {"used_bytes": -1}
    finally:
        volume.close()


# ---------------------------------------------------------------- how upstream's manager takes it

_CODE = re.compile(r"[a-z-]+_[a-z-]+_[a-z-]+")


def taken_for(answer: Answer) -> str:
    """What upstream's manager makes of a refusal, by the domain of its error code."""
    assert answer.json is not None, "not JSON: it could not tell"
    code = answer.json.get("error_code") or ""
    domain = code.partition("_")[0] if _CODE.fullmatch(code) else "vfolder"
    if domain == "vfolder":
        return {400: "bad request", 404: "not found", 410: "gone"}.get(answer.status, "failed")
    if domain == "quota-scope" and answer.status == 404:
        return "scope not found"
    return "unexpected"


async def test_upstreams_manager_tells_its_user_what_was_wrong(host: Host) -> None:
    folder, away = await made(host), new_id()
    (host.where(folder) / "dir").mkdir()
    (host.where(folder) / "out").symlink_to("../..")
    files = "/folder/file/"
    for method, path, body, expected in (
        ("POST", files + "list", {"relpath": "nothing"}, "bad request"),
        ("POST", files + "list", {"relpath": "../x"}, "bad request"),
        ("POST", files + "list", {"relpath": "out"}, "bad request"),
        ("POST", files + "list", {"relpath": 5}, "bad request"),
        ("POST", files + "list", {"relpath": ".", "vfid": away}, "not found"),
        ("POST", files + "mkdir", {"relpath": "file"}, "failed"),  # 422, with its results
        ("POST", files + "rename", {"relpath": "file", "new_name": "a/b"}, "bad request"),
        ("POST", files + "rename", {"relpath": "file", "new_name": "dir"}, "failed"),
        ("POST", files + "move", {"src_relpath": "no", "dst_relpath": "x"}, "bad request"),
        ("POST", files + "delete", {"relpaths": ["dir"]}, "bad request"),
        ("POST", files + "fetch", {"relpath": "nothing"}, "not found"),
        ("POST", files + "upload", {"relpath": "../x", "size": 1}, "bad request"),
        ("POST", files + "upload", {"relpath": "x", "size": "many"}, "bad request"),
        ("POST", files + "upload", {"relpath": "x", "size": 1, "vfid": away}, "not found"),
        ("GET", "/folder/usage", {"vfid": away}, "not found"),
        ("GET", "/folder/mount", {"vfid": away}, "bad request"),
        ("GET", "/folder/mount", {"subpath": "nothing"}, "bad request"),
        ("POST", "/folder/create", {"vfid": folder}, "failed"),
        ("GET", "/volume/quota", {}, "bad request"),
    ):
        refused = await host.ask(method, path, **{"vfid": folder, **body})
        assert taken_for(refused) == expected, (path, body, refused.json)
    scope = await host.ask("GET", "/quota-scope", qsid=f"project:{uuid.uuid4()}")
    assert taken_for(scope) == "scope not found"
    order = {"virtual_folder_id": folder, "files": ["nothing"]}
    assert taken_for(await host.ask("POST", files + "archive-download-token", **order)) == "not found"
    # what upstream itself has told as a failure stays one
    assert taken_for(await host.ask("POST", files + "list", vfid=folder, relpath=".", volume="other")) == "unexpected"
    across = {"src_volume": "m", "src_vfid": folder, "dst_volume": "other", "dst_vfid": away}
    answer = await host.ask("POST", "/folder/clone", **across)
    assert (answer.status, answer.json["error_code"]) == (500, "storage-proxy_generic_internal-error")
    assert answer.json["type"] == PROBS + "storage/generic"
