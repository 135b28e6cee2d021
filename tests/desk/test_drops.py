"""Requests for files: others put files into one directory and see nothing else, within what was meant."""

from __future__ import annotations

import asyncio
import subprocess
from io import BytesIO
from pathlib import Path

import aiohttp

from tests.desk.desks import HTML, DeskServer, desk, kind


def form(**files: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, content in files.items():
        data.add_field("file", BytesIO(content), filename=name.replace("_", "."))
    return data


async def test_files_of_a_plain_form_are_there_and_replace_nothing(it: DeskServer) -> None:
    it.write("inbox/a.txt", b"mine")
    owner = await it.owner()
    made = (await owner.post("/desk/requests", folder="trip", path="inbox", title="Photos <b>")).json
    where = f"/r/{made['code']}"
    page = await it.stranger().page(where)
    assert "Photos &lt;b&gt;" in page
    assert "a.txt" not in page
    sent = await it.stranger().ask("POST", where, data=form(a_txt=b"theirs", b_txt=b"", c_bin=bytes(3_000_000)))
    assert sent.json == {
        "files": [{"name": "a (1).txt", "size": 6}, {"name": "b.txt", "size": 0}, {"name": "c.bin", "size": 3_000_000}]
    }
    assert (it.root / "inbox" / "a.txt").read_bytes() == b"mine"
    assert (it.root / "inbox" / "a (1).txt").read_bytes() == b"theirs"
    assert (it.root / "inbox" / "c.bin").stat().st_size == 3_000_000
    shown = await it.stranger().ask("POST", where, data=form(d_txt=b"d"), headers=HTML)
    assert "Received: d.txt" in shown.body.decode()
    (now,) = (await owner.get("/desk/requests")).json["items"]
    assert (now["files"], now["received"], now["state"]) == (4, 3_000_007, "open")


async def test_curl_sends_files(it: DeskServer, tmp_path: Path) -> None:
    made = (await (await it.owner()).post("/desk/requests", folder="trip", path="new/dir")).json
    (tmp_path / "f.bin").write_bytes(b"x" * 100_000)
    done = await asyncio.to_thread(
        subprocess.run, ["curl", "-sSf", "-F", f"file=@{tmp_path}/f.bin", made["url"]], check=True, capture_output=True
    )
    assert b'"size":100000' in done.stdout
    assert (it.root / "new" / "dir" / "f.bin").stat().st_size == 100_000


async def test_its_limits_hold_also_for_many_at_once(it: DeskServer) -> None:
    owner = await it.owner()
    made = (await owner.post("/desk/requests", folder="trip", largest=1_000, total=2_500, count=4)).json
    where = f"/r/{made['code']}"
    assert (await it.stranger().get(where)).json == {
        "title": "",
        "expires_at": made["expires_at"],
        "largest": 1_000,
        "left": 2_500,
        "files_left": 4,
    }
    assert kind(await it.stranger().post(f"{where}/uploads", name="big", size=1_001)) == (413, "limit-exceeded")
    assert kind(await it.stranger().ask("POST", where, data=form(big=bytes(1_001)))) == (413, "limit-exceeded")
    assert it.names() == set()
    answers = await asyncio.gather(
        *(it.stranger().post(f"{where}/uploads", name=f"f{number}", size=900) for number in range(6))
    )
    assert sorted(answer.status for answer in answers) == [200, 200, 413, 413, 413, 413]
    urls = [answer.json["url"] for answer in answers if answer.status == 200]
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert (await it.stranger().ask("PATCH", urls[0], data=bytes(900), headers=headers)).status == 204
    (now,) = (await owner.get("/desk/requests")).json["items"]
    assert (now["files"], now["received"]) == (1, 900)
    assert (await it.stranger().get(where)).json["left"] == 700
    assert kind(await it.stranger().get("/desk/list?folder=trip")) == (401, "signed-out")


async def test_one_that_is_closed_takes_nothing(it: DeskServer) -> None:
    owner = await it.owner()
    made = (await owner.post("/desk/requests", folder="trip")).json
    closed = await owner.ask("DELETE", f"/desk/requests/{made['code']}")
    assert closed.json["state"] == "closed"
    where = f"/r/{made['code']}"
    assert kind(await it.stranger().get(where)) == (410, "request-closed")
    assert kind(await it.stranger().ask("POST", where, data=form(a=b"a"))) == (410, "request-closed")
    assert kind(await it.stranger().get("/r/none")) == (404, "link-not-found")
    assert (await owner.post(f"/desk/requests/{made['code']}/remove")).status == 204
    assert (await owner.get("/desk/requests")).json["items"] == []
    assert it.names() == set()


async def test_no_name_leads_elsewhere(it: DeskServer) -> None:
    made = (await (await it.owner()).post("/desk/requests", folder="trip", path="inbox")).json
    where = f"/r/{made['code']}"
    for name in ("../out", "..", ".", "a/../../out", "/etc/out", "a//b", "a\x00b", "a\nb", ""):
        answer = await it.stranger().post(f"{where}/uploads", name=name, size=1)
        assert answer.status == 400, name
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../out"\r\n\r\nx\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await it.stranger().ask("POST", where, data=body, headers=headers)
    assert answer.status == 400
    assert it.names() <= {"inbox"}
    assert not (it.root.parent / "out").exists()


async def test_a_form_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        made = (await (await it.owner()).post("/desk/requests", folder="trip")).json
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbegun'
        answer = await it.stranger().ask("POST", f"/r/{made['code']}", data=body, headers=headers)
        assert answer.status == 400
        assert it.names() == set()
