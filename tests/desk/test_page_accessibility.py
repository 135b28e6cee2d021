"""axe-core finds no violation on any screen, light and dark; nothing is wider than the window at 400 % zoom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk.browsing import PHONE, Place, pick, place, row

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    with place(tmp_path, browser) as it:
        it.write("photos/사진.jpg", b"b" * 30_000)
        it.write("a\\b.txt")
        it.write("README.md", b"# Trip\n")
        (it.root / "raw").symlink_to("../../mnt")
        (it.root / "empty").mkdir()
        it.start()
        it.forgiving = True  # axe has inline styles, which the browser forbids it
        yield it


def judge(page: Page, screen: str) -> None:
    """Have axe look at the whole page, by the rules of WCAG 2.2 AA and its own best practices."""
    page.evaluate(AXE.read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        """(rules) => axe.run(document, {runOnly: rules}).then(({violations}) => violations.map(({id, nodes}) =>
            [id, nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`)]))""",
        rules,
    )
    assert found == [], screen


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_screen_has_a_violation(trip: Place, theme: Any) -> None:
    page = trip.person(color_scheme=theme, reduced_motion="reduce")
    judge(page, "listing, none selected")
    pick(page, "photos", "a\\\\b.txt")
    judge(page, "exact, renamed")
    page.locator(".bar .details").click()
    judge(page, "details")
    page.locator(".bar .share").click()
    judge(page, "share form")
    page.locator("dialog").get_by_role("button", name="Make link").click()
    page.locator("dialog .copied-line").first.wait_for()
    judge(page, "share made")
    page.locator("dialog").get_by_role("button", name="Close").last.click()
    page.locator(".top .wide").click()
    page.locator(".links-list li").wait_for()
    judge(page, "my links")
    row(page, "README.md").locator("a.entry").click()
    page.locator(".panel pre").wait_for()
    judge(page, "preview")
    pick(page, "raw")
    page.locator(".bar .primary").click()
    judge(page, "refusals")
    with page.expect_download():
        page.locator(".panel .primary").click()
    page.locator(".download").wait_for()
    judge(page, "activity")
    row(page, "README.md").locator(".more button").click()
    judge(page, "menu of a row")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    judge(page, "keyboard")
    page.locator("#filter").fill("nothing like it")
    expect(page.locator(".place-of-list")).to_contain_text("No name here contains")
    judge(page, "no match")
    trip.go(page, "empty")
    expect(page.locator(".place-of-list")).to_contain_text("This folder is empty.")
    judge(page, "empty folder")
    trip.go(page)
    (trip.root / "empty").rmdir()
    row(page, "empty").locator("a.entry").click()
    page.locator(".trouble").wait_for()
    judge(page, "read error")


def test_a_phone_has_no_violation_and_a_narrow_window_cuts_nothing(trip: Place) -> None:
    page = trip.person(PHONE, reduced_motion="reduce")
    pick(page, "photos")
    judge(page, "phone, exact")
    page.set_viewport_size({"width": 320, "height": 640})  # 1280 px at 400 %
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator(".bar").get_by_role("button", name="More for the selection").click()
    page.get_by_role("menuitem", name="Details").click()
    judge(page, "phone, details")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".panel")).to_have_count(0)
