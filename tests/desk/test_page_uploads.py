"""Uploads in a real browser: a folder that a dying server interrupts, names that are taken, a file request."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.desk.browsing import Place, place, row


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    with place(tmp_path, browser) as it:
        it.write("here/taken.txt", b"old")
        it.start()
        yield it


def test_a_folder_goes_on_where_a_killed_server_left_it(trip: Place, tmp_path: Path) -> None:
    data = os.urandom(6_000_000)
    source = tmp_path / "Fotos"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "video.mov").write_bytes(data)
    (source / "사진.jpg").write_bytes(b"x" * 1000)
    (source / "empty.txt").write_bytes(b"")
    page = trip.person(path="here")
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    line.send("Network.emulateNetworkConditions", slow)
    page.get_by_test_id("folder").set_input_files(source)
    sending = page.locator('.upload[data-state="sending"]', has_text="video.mov")
    expect(sending.locator(".progress")).to_have_attribute("aria-valuenow", re.compile("[1-9]"))
    trip.kill()
    waiting = page.locator('.upload[data-state="waiting"]', has_text="video.mov")
    expect(waiting).to_contain_text("is safe. Next try in")
    assert not (trip.root / "here/Fotos/deep/er/video.mov").exists()  # never seen unfinished
    line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    trip.start()
    expect(page.locator(".tray h2")).to_contain_text("3 files uploaded")
    assert (trip.root / "here/Fotos/deep/er/video.mov").read_bytes() == data
    assert (trip.root / "here/Fotos/사진.jpg").read_bytes() == b"x" * 1000
    assert (trip.root / "here/Fotos/empty.txt").read_bytes() == b""
    expect(row(page, "Fotos")).to_be_visible()


@pytest.mark.parametrize(
    ("choice", "names", "content"),
    [
        ("Keep both", {"taken.txt", "taken (1).txt"}, b"old"),
        ("Replace", {"taken.txt"}, b"new!"),
        ("Skip", {"taken.txt"}, b"old"),
    ],
)
def test_a_name_that_is_taken_is_a_question(
    trip: Place, tmp_path: Path, choice: str, names: set[str], content: bytes
) -> None:
    new = tmp_path / "taken.txt"
    new.write_bytes(b"new!")
    page = trip.person(path="here")
    page.get_by_test_id("files").set_input_files(new)
    asks = page.locator('.upload[data-state="asks"]')
    expect(asks).to_contain_text("exists (3 bytes")
    asks.get_by_role("button", name=choice).click()
    expect(asks).to_have_count(0)
    expect(page.locator('.upload[data-state="sent"], .upload[data-state="skipped"]')).to_have_count(1)
    here = trip.root / "here"
    assert {each.name for each in here.iterdir()} == names
    assert (here / "taken.txt").read_bytes() == content


@pytest.mark.slow
def test_an_upload_of_an_earlier_page_goes_on_once_its_file_is_added_again(trip: Place, tmp_path: Path) -> None:
    data = os.urandom(60_000_000)
    new = tmp_path / "big.bin"
    new.write_bytes(data)
    page = trip.person(path="here")
    line = page.context.new_cdp_session(page)
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 10_000_000},
    )
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_test_id("files").set_input_files(new)
    safe = "Object.values(JSON.parse(localStorage.getItem('pannier.uploads') ?? '{}')).map((it) => it.safe)"
    while page.evaluate(safe) in ([], [0]):  # until the first piece is durable
        page.wait_for_timeout(50)
    page.reload()
    expect(page.locator(".tray")).to_contain_text(
        "1 upload is waiting. Add the same file again and it goes on from 32.0 MiB"
    )
    page.get_by_test_id("files").set_input_files(new)
    expect(page.locator(".tray h2")).to_contain_text("1 file uploaded")
    assert (trip.root / "here/big.bin").read_bytes() == data


def test_files_are_put_by_somebody_who_sees_nothing(trip: Place, tmp_path: Path) -> None:
    trip.write("here/secret.txt")
    page = trip.person(path="here")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("menuitem", name="New file request").click()
    page.locator("dialog").get_by_label("Title").fill("Photos for Mina")
    page.locator("dialog").get_by_role("button", name="Make link").click()
    address = page.locator("dialog .copied-line a").inner_text()
    page.locator("dialog").get_by_role("button", name="Close").last.click()
    new = tmp_path / "taken.txt"
    new.write_bytes(b"theirs")
    visitor = trip.stranger()
    visitor.goto(address)
    expect(visitor.locator("h1")).to_contain_text("Photos for Mina")
    visitor.locator(".drop-zone input:not([webkitdirectory])").set_input_files(new)
    expect(visitor.locator(".sending li.ok")).to_contain_text("received")
    assert "secret" not in visitor.content()
    assert (trip.root / "here/taken.txt").read_bytes() == b"old"
    assert (trip.root / "here/taken (1).txt").read_bytes() == b"theirs"
    page.locator(".top .wide").click()
    expect(page.locator(".links-list")).to_contain_text(
        re.compile(r"1\sfile,\s6\sbytes.*received")
    )  # once more, spoken
