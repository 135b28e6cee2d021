"""A front desk on a listener of its own: the page is of one origin, downloads and uploads are of another."""

from __future__ import annotations

import json
import socket
import urllib.request
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.commands import pannier
from tests.desk.browsing import Place, free_port, pick, place, row
from tests.desk.test_page_saving import PICK, kept


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    address = f"127.0.0.1:{free_port()}"
    with place(tmp_path, browser, settings={"PANNIER_API__DESK__SERVICE_ADDR": address}) as it:
        it.write("photos/a.jpg", b"a" * 40_000)
        it.write("b.txt", b"b")
        it.start()
        it.base = f"http://{address}"
        yield it


def test_the_page_works_across_its_two_origins(trip: Place, tmp_path: Path) -> None:
    page = trip.stranger()
    page.add_init_script(PICK)
    trip.enter(page)
    trip.go(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pick(page, "photos", "b.txt")
    with page.expect_download() as started:
        page.locator(".bar .primary").click()
    assert started.value.url.startswith(f"http://127.0.0.1:{trip.port}/download-archive?")
    assert sorted(zipfile.ZipFile(started.value.path()).namelist()) == ["b.txt", "photos/a.jpg"]
    expect(page.locator('.download[data-state="sent"]')).to_be_visible()
    page.locator(".bar").get_by_role("button", name="More for the selection").click()
    page.get_by_role("menuitem", name="Save and watch over it").click()
    expect(page.locator('.download[data-state="checked"]')).to_contain_text("2 entries checked")
    assert zipfile.ZipFile(BytesIO(kept(page))).testzip() is None
    (tmp_path / "new.bin").write_bytes(b"new" * 1000)
    page.get_by_test_id("files").set_input_files(tmp_path / "new.bin")
    expect(page.locator(".tray h2")).to_contain_text("1 file uploaded")
    assert (trip.root / "new.bin").read_bytes() == b"new" * 1000
    expect(row(page, "new.bin")).to_be_visible()
    there = {url.split("?")[0].partition(str(trip.port))[2] for url in asked if f":{trip.port}/" in url}
    assert all(path.startswith(("/download-archive", "/uploads")) for path in there), there


def test_without_a_script_too_and_neither_serves_what_is_the_other_s(trip: Place) -> None:
    page = trip.stranger(java_script_enabled=False)
    trip.enter(page)
    answer = page.goto(f"{trip.base}/f/trip/")
    assert answer is not None
    there = f"http://127.0.0.1:{trip.port}"
    assert f"form-action 'self' {there};" in answer.headers["content-security-policy"]
    page.locator("input[type=checkbox]").first.check()
    page.get_by_role("button", name="Count").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Download").click()
    assert started.value.url.startswith(f"{there}/download")
    assert zipfile.ZipFile(started.value.path()).namelist() == ["b.txt"]
    for url, status in ((f"{trip.base}/download?token=x", 404), (f"{there}/f/trip/", 404), (f"{there}/desk/me", 404)):
        assert page.request.get(url).status == status, url
    with urllib.request.urlopen(f"{there}/") as found:
        assert json.load(found)["type"] == "client-facing"


def test_links_lead_to_the_desk(trip: Place) -> None:
    link = pannier("link", "trip/photos", home=trip.home).stdout.split()[0]
    assert link.startswith(f"{trip.base}/s/")
    with urllib.request.urlopen(link) as found:
        told = json.load(found)
    with urllib.request.urlopen(told["file_url"]) as found:
        assert zipfile.ZipFile(BytesIO(found.read())).namelist() == ["photos/a.jpg"]


def test_a_host_that_none_is_called_by_is_not_taken_over(trip: Place) -> None:
    for host in ("[abc", "[g]", "a b", "x;script-src *", "a:b:c", ""):
        with socket.create_connection(("127.0.0.1", int(trip.base.rpartition(":")[2]))) as peer:
            peer.sendall(f"GET /enter HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            head = b"".join(iter(lambda: peer.recv(65_536), b"")).partition(b"\r\n\r\n")[0].decode()
        assert head.startswith("HTTP/1.1 200 "), (host, head)
        assert f"connect-src 'self' http://127.0.0.1:{trip.port}; " in head, host
