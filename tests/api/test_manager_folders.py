"""The wire's routes of volumes and whole folders, over a real volume."""

from __future__ import annotations

import asyncio
import os
import stat
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.host import OWNER, Host, kind, new_id, served
from tests.api.live import FOLDER, SECRET, live

# ---------------------------------------------------------------- volumes


async def test_volumes_are_listed(host: Host) -> None:
    answer = await host.it.ask("GET", f"{host.it.listening.manager_url}/volumes", X_BackendAI_Storage_Auth_Token=SECRET)
    assert answer.status == 200
    listed = {"name": "m", "backend": "vfs", "path": str(host.root), "fsprefix": ".", "capabilities": ["vfolder"]}
    assert answer.json == {"volumes": [listed]}
    for body in (b"{}", b'{"volume": "m"}', b"nonsense"):
        refused = await host.it.ask(
            "GET", f"{host.it.listening.manager_url}/volumes", data=body, X_BackendAI_Storage_Auth_Token=SECRET
        )
        assert kind(refused) == (400, "storage/invalid-api-params")


async def test_what_is_told_of_a_volume(host: Host) -> None:
    hardware = await host.ask("GET", "/volume/hwinfo")
    assert (hardware.status, hardware.json) == (200, {"status": "healthy", "status_info": None, "metadata": {}})
    space = await host.ask("GET", "/folder/fs-usage")
    told = os.statvfs(host.root)
    assert space.json["capacity_bytes"] == told.f_blocks * told.f_frsize
    assert 0 < space.json["used_bytes"] <= space.json["capacity_bytes"]
    metric = await host.ask("GET", "/volume/performance-metric")
    assert set(metric.json["metric"]) == {
        *("iops_read", "iops_write", "io_bytes_read", "io_bytes_write", "io_usec_read", "io_usec_write")
    }
    assert all(value >= 0 for value in metric.json["metric"].values())
    assert datetime.fromisoformat(metric.json["observed_at"]).tzinfo is not None


@pytest.mark.parametrize("path", ["/volume/hwinfo", "/volume/performance-metric", "/folder/fs-usage"])
async def test_a_volume_that_is_not_configured(host: Host, path: str) -> None:
    assert kind(await host.ask("GET", path, volume="other")) == (400, "storage/volume/invalid")
    assert kind(await host.ask("GET", path, unknown=1)) == (400, "storage/invalid-api-params")


async def test_a_volume_that_is_on_no_host_says_so(tmp_path: Path) -> None:
    async with live(tmp_path / "state") as it:
        host = Host(it, tmp_path)
        assert kind(await host.ask("GET", "/folder/fs-usage")) == (400, "operation-unsupported")
        assert kind(await host.ask("POST", "/folder/create", vfid=new_id())) == (400, "operation-unsupported")
        assert kind(await host.ask("GET", "/folder/usage", vfid=str(FOLDER))) == (400, "operation-unsupported")


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize(("mode", "expected"), [({}, 0o775), ({"mode": None}, 0o775), ({"mode": 0o2770}, 0o2770)])
async def test_a_folder_is_made_where_upstream_looks_for_it(host: Host, mode: dict[str, Any], expected: int) -> None:
    folder = new_id()
    before = os.umask(0o077)
    try:
        answer = await host.ask("POST", "/folder/create", vfid=folder, **mode)
    finally:
        os.umask(before)
    assert (answer.status, answer.body) == (204, b"")
    assert stat.S_IMODE(host.where(folder).stat().st_mode) == expected
    assert stat.S_IMODE((host.root / OWNER.replace("-", "")).stat().st_mode) == 0o755
    mounted = await host.ask("GET", "/folder/mount", vfid=folder)
    assert (mounted.status, mounted.json) == (200, {"path": str(host.where(folder))})
    assert kind(await host.ask("POST", "/folder/create", vfid=folder)) == (409, "storage/vfolder/already-exists")


async def test_of_those_who_make_one_folder_exactly_one_does(host: Host) -> None:
    folder = new_id()
    answers = await asyncio.gather(*(host.ask("POST", "/folder/create", vfid=folder) for _ in range(30)))
    assert sorted(answer.status for answer in answers) == [204] + [409] * 29


async def test_many_folders_of_new_scopes_are_made_at_once(host: Host) -> None:
    folders = [f"project:{uuid.uuid4()}/{uuid.uuid4().hex}" for _ in range(40)]
    answers = await asyncio.gather(*(host.ask("POST", "/folder/create", vfid=folder) for folder in folders))
    assert {answer.status for answer in answers} == {204}
    assert all(host.where(folder).is_dir() for folder in folders)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"vfid": uuid.uuid4().hex}, (400, "storage/invalid-api-params")),
        ({"vfid": "nonsense"}, (400, "storage/invalid-api-params")),
        ({"vfid": f"team:{OWNER}/{'0' * 32}"}, (400, "storage/invalid-api-params")),
        ({}, (400, "storage/invalid-api-params")),
        ({"vfid": f"user:{OWNER}/{'0' * 32}", "mode": 0o10000}, (400, "storage/invalid-api-params")),
        ({"vfid": f"user:{OWNER}/{'0' * 32}", "unknown": 1}, (400, "storage/invalid-api-params")),
        ({"vfid": f"user:{OWNER}/{'0' * 32}", "volume": "other"}, (400, "storage/volume/invalid")),
    ],
    ids=lambda value: None,
)
async def test_what_is_not_made(host: Host, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert kind(await host.ask("POST", "/folder/create", **body)) == expected
    assert list(host.root.iterdir()) == []


async def test_a_missing_scope_is_made_only_where_that_is_allowed(tmp_path: Path) -> None:
    async with served(tmp_path, storage_proxy={"allow_auto_quota_scope_creation": False}) as host:
        folder = new_id()
        answer = await host.ask("POST", "/folder/create", vfid=folder)
        assert kind(answer) == (404, "storage/quota/scope/not-found")
        (host.root / OWNER.replace("-", "")).mkdir()
        assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204


async def test_a_scope_that_is_a_link_leads_nowhere(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (host.root / OWNER.replace("-", "")).symlink_to(outside)
    answer = await host.ask("POST", "/folder/create", vfid=new_id())
    assert answer.status == 400
    assert list(outside.iterdir()) == []


async def test_mount_looks_at_the_subpath(host: Host) -> None:
    folder = new_id()
    assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204
    (host.where(folder) / "sub").mkdir()
    (host.where(folder) / "out").symlink_to("../..")
    assert (await host.ask("GET", "/folder/mount", vfid=folder, subpath="sub")).json == {
        "path": str(host.where(folder))
    }
    for subpath in ("nothing", "../x", "out", "/etc"):
        refused = await host.ask("GET", "/folder/mount", vfid=folder, subpath=subpath)
        assert kind(refused) == (400, "mount-refused")
        told = {key: refused.json.get(key) for key in ("msg", "vfid", "subpath", "error_code")}
        assert told == {"msg": "Invalid subpath", "vfid": folder, "subpath": subpath, "error_code": None}


async def test_what_a_folder_holds_is_counted(host: Host) -> None:
    folder = new_id()
    assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204
    root = host.where(folder)
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"x" * 100_000)
    os.link(root / "a" / "file", root / "a" / "again")
    (root / "a" / "b" / "link").symlink_to("../file")
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"y" * 50)
    usage = await host.ask("GET", "/folder/usage", vfid=folder)
    assert (usage.status, usage.json) == (200, {"file_count": 6, "used_bytes": 200_050})
    used = await host.ask("GET", "/folder/used-bytes", vfid=folder)
    blocks = {path.lstat().st_ino: path.lstat().st_blocks for path in root.rglob("*")}
    assert (used.status, used.json) == (200, {"used_bytes": 512 * sum(blocks.values())})


async def test_a_folder_that_is_not_there(host: Host) -> None:
    folder = new_id()
    for path in ("/folder/usage", "/folder/used-bytes"):
        assert kind(await host.ask("GET", path, vfid=folder)) == (404, "storage/vfolder/not-found")
    unmounted = await host.ask("GET", "/folder/mount", vfid=folder)  # the wire has 400 here, and no code
    assert kind(unmounted) == (400, "mount-refused")
    assert (unmounted.json["msg"], unmounted.json["vfid"]) == ("VFolder not found", folder)
    assert not {"subpath", "error_code"} & set(unmounted.json)


async def test_metadata_is_taken_and_nothing_is_done(host: Host) -> None:
    for method, more in (("GET", {}), ("POST", {"payload": {"a": 1}})):
        answer = await host.ask(method, "/folder/metadata", vfid=new_id(), **more)
        assert (answer.status, answer.json) == (200, {"status": "ok"})
