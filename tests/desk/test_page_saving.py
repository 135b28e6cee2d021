"""A download that the page itself writes: checked, gone on with after a break, never a mix of two archives.

No picker of files can be driven without a screen: the file is one of the browser's own (Origin Private File System),
which is written through the same interface.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk.browsing import Place, pick, place

PICK = """window.showSaveFilePicker = async ({suggestedName}) => {
    window.suggested = suggestedName;
    return (await navigator.storage.getDirectory()).getFileHandle('kept', {create: true});
}"""
# A break is not gone on with by itself: only the button does.
PATIENT = """const timeout = window.setTimeout;
window.setTimeout = (then, wait, ...more) => timeout(then, window.patient && wait >= 1000 ? 1e9 : wait, ...more);"""
KEPT = """async () => {
    const file = await (await (await navigator.storage.getDirectory()).getFileHandle('kept')).getFile();
    return Array.from(new Uint8Array(await file.arrayBuffer()), (byte) => String.fromCharCode(byte)).join('');
}"""


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    with place(tmp_path, browser) as it:
        for number in range(3):
            it.write(f"big/{number}.bin", bytes(range(256)) * 4000)
        it.start()
        yield it


def save(it: Place) -> Page:
    """Choose *Save and watch over it* for everything, over a line that can be cut."""
    it.slow(700_000)
    page = it.stranger()
    page.add_init_script(PICK)
    page.add_init_script(PATIENT)
    it.enter(page)
    it.go(page)
    pick(page, "big")
    page.locator(".bar").get_by_role("button", name="More for the selection").click()
    page.get_by_role("menuitem", name="Save and watch over it").click()
    expect(page.locator('.download[data-state="running"]')).to_contain_text(re.compile(r"sent [\d.]+\s[KM]iB"))
    return page


def kept(page: Page) -> bytes:
    text: str = page.evaluate(KEPT)
    return text.encode("latin-1")


def test_it_goes_on_by_itself_after_a_break_and_is_checked(trip: Place) -> None:
    page = save(trip)
    assert trip.narrow is not None
    trip.narrow.rate = 0  # it does not come to its end meanwhile
    trip.kill()
    trip.narrow.cut()  # what the kernel still holds of it
    broken = page.locator('.download[data-state="interrupted"]')
    expect(broken).to_contain_text("It goes on by itself in")
    trip.narrow.rate = 50_000_000
    trip.start()
    expect(page.locator('.download[data-state="checked"]')).to_contain_text("3 entries checked, every CRC-32 agrees")
    assert page.evaluate("window.suggested") == "big.zip"
    with zipfile.ZipFile(BytesIO(kept(page))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["big/0.bin", "big/1.bin", "big/2.bin"]


def test_of_two_archives_nothing_is_kept(trip: Place) -> None:
    page = save(trip)
    assert trip.narrow is not None
    trip.narrow.rate = 0  # it does not come to its end meanwhile
    page.evaluate("window.patient = true")
    trip.kill()
    trip.narrow.cut()  # what the kernel still holds of it
    page.locator('.download[data-state="interrupted"]').wait_for()
    trip.write("big/2.bin", b"another")
    trip.start()
    trip.narrow.rate = 50_000_000
    page.get_by_role("button", name="Resume here").click()
    stopped = page.locator('.download[data-state="stopped"]')
    expect(stopped).to_contain_text(re.compile("no longer the one you began|changed while it was sent"))
    expect(stopped.get_by_role("button", name="start over")).to_be_visible()
    assert kept(page) == b""
