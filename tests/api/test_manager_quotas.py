"""Quota scopes: the wire's routes, and that their limits hold, over a real volume."""

from __future__ import annotations

import asyncio
import io
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pannier.dto.ids import FolderId, QuotaScope
from pannier.errors import Busy, QuotaExceeded, VolumeFailed
from pannier.services.places import Places
from pannier.services.quotas import Quotas
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.hosts import Measure
from pannier.volumes.posix import PosixVolume
from tests.api.disk import disk
from tests.api.host import OWNER, Host, kind, new_id
from tests.api.live import Answer, until

KIB = 1024
MIB = 1024 * KIB
SCOPE = f"user:{OWNER}"


async def ask(host: Host, method: str, path: str = "/quota-scope", **body: Any) -> Answer:
    return await host.ask(method, path, **{"qsid": SCOPE, **body})


async def limited(host: Host, limit: int) -> str:
    """Make a folder in a scope with a limit."""
    assert (await ask(host, "PATCH", options={"limit_bytes": limit})).status == 204
    folder = new_id()
    assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204
    return folder


async def mint(host: Host, folder: str, name: str, size: int) -> Answer:
    return await host.ask("POST", "/folder/file/upload", vfid=folder, relpath=name, size=size)


async def send(host: Host, token: str, data: bytes, offset: int = 0) -> Answer:
    url = f"{host.it.listening.client_url}/upload?token={token}"
    return await host.it.ask("PATCH", url, data=io.BytesIO(data), Upload_Offset=str(offset))


async def upload(host: Host, folder: str, name: str, size: int) -> Answer:
    minted = await mint(host, folder, name, size)
    return minted if minted.status != 200 else await send(host, minted.json["token"], b"x" * size)


async def test_a_scope_from_its_making_to_the_end_of_its_limit(host: Host) -> None:
    assert kind(await ask(host, "GET")) == (404, "storage/quota/scope/not-found")
    assert (await ask(host, "GET")).json["error_code"] == "quota-scope_read_not-found"
    made = await ask(host, "POST", options={"limit_bytes": 5 * MIB}, extra_args={"any": 1})
    assert (made.status, made.body) == (204, b"")
    assert (host.root / uuid.UUID(OWNER).hex).stat().st_mode & 0o777 == 0o755
    again = await ask(host, "POST", options={"limit_bytes": 6 * MIB})
    assert kind(again) == (409, "storage/quota/scope/already-exists")
    assert again.json["msg"]
    told = await ask(host, "GET")
    assert told.json["limit_bytes"] == 5 * MIB
    assert 0 <= told.json["used_bytes"] < MIB
    assert (await ask(host, "PATCH", options={"limit_bytes": 7 * MIB})).status == 204
    assert (await ask(host, "GET")).json["limit_bytes"] == 7 * MIB
    assert (await ask(host, "PATCH")).status == 204  # without options nothing changes
    assert (await ask(host, "GET")).json["limit_bytes"] == 7 * MIB
    for _ in range(2):
        assert (await ask(host, "DELETE", "/quota-scope/quota")).status == 204
    assert (await ask(host, "GET")).json["limit_bytes"] is None
    assert (await ask(host, "PATCH", options={"limit_bytes": 1 * MIB})).status == 204
    assert (await ask(host, "PATCH", options={"limit_bytes": 0})).status == 204  # as quota tools have it
    assert (await ask(host, "GET")).json["limit_bytes"] is None


async def test_patch_makes_a_scope_and_project_scopes_are_the_same(host: Host) -> None:
    scope = f"project:{uuid.uuid4()}"
    assert (await ask(host, "PATCH", qsid=scope, options={"limit_bytes": 3 * MIB})).status == 204
    assert (await ask(host, "GET", qsid=scope)).json["limit_bytes"] == 3 * MIB
    bare = f"project:{uuid.uuid4()}"
    assert (await ask(host, "PATCH", qsid=bare)).status == 204
    assert (await ask(host, "GET", qsid=bare)).json["limit_bytes"] is None
    assert [path.name for path in host.root.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/quota-scope", {"qsid": "user"}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"qsid": f"group:{OWNER}"}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"qsid": "user:../.."}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"qsid": 1}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"options": {"limit_bytes": -1}}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"options": {"limit_bytes": 2**63}}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"options": {"limit": 1}}, (400, "storage/invalid-api-params")),
        ("POST", "/quota-scope", {"unknown": 1}, (400, "storage/invalid-api-params")),
        ("GET", "/quota-scope", {"volume": "other"}, (400, "storage/volume/invalid")),
        ("PATCH", "/quota-scope", {"volume": "other"}, (400, "storage/volume/invalid")),
        ("DELETE", "/quota-scope/quota", {}, (404, "storage/quota/scope/not-found")),
    ],
)
async def test_what_is_refused(
    host: Host, method: str, path: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert kind(await ask(host, method, path, **body)) == expected
    assert list(host.root.iterdir()) == []


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_quotas_of_single_folders_are_retired(host: Host, method: str) -> None:
    answer = await host.ask(method, "/volume/quota", vfid=new_id(), size_bytes=1)
    assert kind(answer) == (400, "operation-unsupported")


async def test_a_volume_that_is_one_folder_has_no_scopes(tmp_path: Path) -> None:
    async with disk(tmp_path) as it:
        answer = await it.it.manage("/quota-scope", {"volume": "m", "qsid": SCOPE})
        assert kind(answer) == (400, "operation-unsupported")


async def test_a_scope_gets_its_first_limit_with_its_first_folder(host: Host) -> None:
    options = {"initial_max_size_for_quota_scope": 4 * MIB, "any": "thing"}
    assert (await host.ask("POST", "/folder/create", vfid=new_id(), options=options)).status == 204
    assert (await ask(host, "GET")).json["limit_bytes"] == 4 * MIB
    options = {"initial_max_size_for_quota_scope": 9 * MIB}
    assert (await host.ask("POST", "/folder/create", vfid=new_id(), options=options)).status == 204
    assert (await ask(host, "GET")).json["limit_bytes"] == 4 * MIB
    other = f"user:{uuid.uuid4()}"
    options = {"initial_max_size_for_quota_scope": -1}
    assert (await host.ask("POST", "/folder/create", vfid=f"{other}/{uuid.uuid4()}", options=options)).status == 204
    assert (await ask(host, "GET", qsid=other)).json["limit_bytes"] is None


async def test_uploads_end_at_the_limit_and_go_on_when_there_is_room(host: Host) -> None:
    folder = await limited(host, 3 * MIB)
    assert (await upload(host, folder, "a", 2 * MIB)).status == 204
    full = await upload(host, folder, "b", 2 * MIB)
    assert kind(full) == (507, "quota-exceeded")
    assert full.json["error_code"] == "vfolder_create_quota-exceeded"
    assert full.json["limit"] == 3 * MIB
    assert full.json["asked"] == 2 * MIB
    assert 2 * MIB <= full.json["used"] < 3 * MIB
    assert (await upload(host, folder, "c", MIB // 2)).status == 204
    used = (await ask(host, "GET")).json["used_bytes"]
    assert 2.5 * MIB <= used < 3 * MIB
    gone = await host.ask("POST", "/folder/file/delete", vfid=folder, relpaths=["a"])
    assert gone.status == 200
    assert (await upload(host, folder, "b", 2 * MIB)).status == 204  # counted anew before it would be refused
    assert (await ask(host, "PATCH", options={"limit_bytes": MIB})).status == 204
    assert kind(await upload(host, folder, "d", 1)) == (507, "quota-exceeded")
    assert (await ask(host, "DELETE", "/quota-scope/quota")).status == 204
    assert (await upload(host, folder, "d", 9 * MIB)).status == 204


async def test_all_folders_of_a_scope_count_and_no_others(host: Host) -> None:
    folder = await limited(host, 2 * MIB)
    sibling, stranger = new_id(), f"user:{uuid.uuid4()}/{uuid.uuid4()}"
    for each in (sibling, stranger):
        assert (await host.ask("POST", "/folder/create", vfid=each)).status == 204
    (host.where(sibling) / "written-by-a-session").write_bytes(b"x" * 1536 * KIB)
    (host.where(stranger) / "large").write_bytes(b"x" * 9 * MIB)
    assert kind(await upload(host, folder, "a", MIB)) == (507, "quota-exceeded")
    assert (await upload(host, stranger, "a", 9 * MIB)).status == 204
    (host.where(sibling) / "written-by-a-session").unlink()
    deadline = time.monotonic() + 20
    while (await upload(host, folder, "a", MIB)).status != 204:  # found by the next count, which others wait for
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def test_many_at_once_stay_below_the_limit(host: Host) -> None:
    folder = await limited(host, 4 * MIB)
    tokens = []
    for number in range(16):
        minted = await mint(host, folder, f"f{number}", MIB)
        assert minted.status == 200  # nothing is there yet
        tokens.append(minted.json["token"])
    answers = await asyncio.gather(*(send(host, token, b"x" * MIB) for token in tokens))
    assert {answer.status for answer in answers} == {204, 507}
    written = sum(path.stat().st_size for path in host.where(folder).glob("f*"))
    assert written <= 4 * MIB
    assert sum(answer.status == 204 for answer in answers) == written // MIB >= 2


async def test_an_upload_that_is_too_large_now_can_go_on_later(host: Host) -> None:
    folder = await limited(host, 3 * MIB)
    token = (await mint(host, folder, "f", 2 * MIB)).json["token"]
    assert (await send(host, token, b"x" * MIB)).status == 204
    (host.where(folder) / "other").write_bytes(b"x" * 2 * MIB)
    assert (await ask(host, "GET")).status == 200
    deadline = time.monotonic() + 20
    while (await ask(host, "GET")).json["used_bytes"] < 3 * MIB:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert kind(await send(host, token, b"x" * MIB, MIB)) == (507, "quota-exceeded")
    assert (await host.ask("POST", "/folder/file/delete", vfid=folder, relpaths=["other"])).status == 200
    assert (await send(host, token, b"x" * MIB, MIB)).status == 204


async def test_a_limit_outlives_its_server_and_counts_for_others(tmp_path: Path, host: Host) -> None:
    folder = await limited(host, MIB)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "volume").symlink_to(host.root)
    volume = PosixVolume("m", host.root)
    workers = Workers("test", 2)
    quotas = Quotas(Places({"m": volume}), workers)
    try:
        with pytest.raises(QuotaExceeded):
            await quotas.check(Place(volume, FolderId.parse(folder)), 2 * MIB)
        assert (await ask(host, "DELETE", "/quota-scope/quota")).status == 204
        await quotas.check(Place(volume, FolderId.parse(folder)), 2 * MIB)
    finally:
        await quotas.close()
        await workers.close()
        volume.close()


async def test_a_limit_that_cannot_be_read_lets_nothing_in(host: Host) -> None:
    folder = await limited(host, MIB)
    (host.root / uuid.UUID(OWNER).hex / ".pannier-quota").write_text("{}")
    assert (await upload(host, folder, "a", 1)).status >= 500
    assert list(host.where(folder).iterdir()) == []
    assert (await ask(host, "PATCH", options={"limit_bytes": MIB})).status == 204
    assert (await upload(host, folder, "a", 1)).status == 204


class SlowVolume(PosixVolume):
    """A volume that takes as long to be counted as the test likes."""

    def __init__(self, root: Path) -> None:
        super().__init__("m", root)
        self.go_on = threading.Event()
        self.counts = 0

    @override
    def measure_scope(self, scope: QuotaScope, going_on: Callable[[], bool]) -> Measure | None:
        self.counts += 1
        while not self.go_on.wait(0.01):
            if not going_on():
                return None
        return super().measure_scope(scope, going_on)


async def test_a_count_that_takes_long_is_waited_for_once_and_ends_with_the_server(tmp_path: Path) -> None:
    scope = QuotaScope.parse(SCOPE)
    volume, workers = SlowVolume(tmp_path), Workers("test", 4)
    place = Place(volume, FolderId(scope, uuid.uuid4()))
    quotas = Quotas(Places({"m": volume}), workers, patience=0.1)
    try:
        volume.make_scope(scope, MIB)
        refused = await asyncio.gather(*(quotas.check(place, 1) for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in refused} == {Busy}
        assert volume.counts == 1
        volume.go_on.set()
        deadline = time.monotonic() + 20
        while True:
            assert time.monotonic() < deadline
            try:
                await quotas.check(place, 1)
            except Busy:
                continue
            break
        with pytest.raises(QuotaExceeded):
            await quotas.check(place, MIB)
        volume.go_on.clear()
        quotas.freed(place)
        counted = volume.counts
        waiting = asyncio.create_task(quotas.check(place, MIB))
        await until(lambda: volume.counts > counted)
    finally:
        await quotas.close()
        await workers.close()
        volume.close()
    with pytest.raises(VolumeFailed, match="stops"):
        await waiting


async def test_an_old_count_is_made_again_beside_what_it_still_allows(tmp_path: Path) -> None:
    scope = QuotaScope.parse(SCOPE)
    volume, workers = SlowVolume(tmp_path), Workers("test", 4)
    volume.go_on.set()
    place = Place(volume, FolderId(scope, uuid.uuid4()))
    quotas = Quotas(Places({"m": volume}), workers, fresh=0.0)
    try:
        volume.make_scope(scope, MIB)
        await quotas.check(place, 1)
        volume.go_on.clear()
        await quotas.check(place, 1)  # waits for nobody
        await until(lambda: volume.counts == 2)
    finally:
        await quotas.close()
        await workers.close()
        volume.close()
