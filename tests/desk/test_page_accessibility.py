"""axe-core finds no violation on any screen, light and dark, with scripts and without; nothing is cut at 400 % zoom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk.browsing import PHONE, Place, pick, place, row

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
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
    """Have axe look at the whole page, by the rules of WCAG 2.2 AA and its own best practices.

    Light first, by all rules; then dark by those that look at colours, as nothing else is different.
    """
    if page.evaluate("window.axe === undefined"):
        page.evaluate(AXE.read_text())
    look(page, LEVELS, f"{screen}, light")
    page.emulate_media(color_scheme="dark")
    look(page, {"type": "rule", "values": OF_COLOURS}, f"{screen}, dark")
    page.emulate_media(color_scheme="light")


def look(page: Page, rules: Any, screen: str) -> None:
    found = page.evaluate(
        """(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(({violations}) =>
            violations.map(({id, nodes}) =>
                [id, nodes.map((it) => `${it.html.slice(0, 200)} ${it.failureSummary}`)]))""",
        rules,
    )
    assert found == [], screen


def test_the_rules_of_colours_are_all_there_are(trip: Place) -> None:
    """Whichever other rule looks at colours has to join them."""
    page = trip.stranger()
    page.goto(f"{trip.base}/enter")
    page.evaluate(AXE.read_text())
    rules = page.evaluate("(tags) => axe.getRules(tags).map(({ruleId, help}) => [ruleId, help])", LEVELS)
    colourful = {id for id, help in rules if re.search("colou?r|contrast|distinguish", f"{id} {help}", re.IGNORECASE)}
    assert colourful == set(OF_COLOURS)


def test_no_screen_has_a_violation(trip: Place) -> None:
    page = trip.person(color_scheme="light", reduced_motion="reduce")
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
    row(page, "empty").wait_for()
    (trip.root / "empty").rmdir()
    row(page, "empty").locator("a.entry").click()
    expect(page.locator(".trouble")).to_contain_text("was moved or deleted")
    judge(page, "read error")


def test_a_phone_has_no_violation_and_a_narrow_window_cuts_nothing(trip: Place) -> None:
    page = trip.person(PHONE, color_scheme="light", reduced_motion="reduce")
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


def test_the_pages_of_others_have_no_violation(trip: Place) -> None:
    """Sign-in, what receivers of links and senders of files see, refusals, and the listing where no script runs."""
    owner = trip.person(color_scheme="light")
    made = owner.evaluate(
        """async () => {
            const csrf = document.querySelector('meta[name="pannier"]').dataset.csrf;
            const post = async (path, body) => (await (await fetch(path, {method: 'POST', body: JSON.stringify(body),
                headers: {'X-Pannier-CSRF': csrf, 'Content-Type': 'application/json'}})).json()).url;
            const link = {folder: 'trip', paths: ['photos', 'README.md']};
            return [await post('/desk/links', {...link, note: 'Love, Mina', deliveries: 2}),
                    await post('/desk/links', {...link, password: 'geheim'}),
                    await post('/desk/requests', {folder: 'trip', path: 'empty', title: 'Photos', count: 3})];
        }"""
    )
    page = trip.stranger(color_scheme="light", reduced_motion="reduce")
    for address in ("/enter?key=VQ7M-2KXR-9DTA", *made, "/s/none", "/nowhere"):
        page.goto(address if address.startswith("http") else trip.base + address)
        judge(page, address)
    plain = trip.stranger(color_scheme="light", reduced_motion="reduce")
    plain.context.add_cookies(trip.cookies)
    plain.route("**/page/main.js", lambda route: route.abort())  # axe itself is a script
    for address in ("/f/trip/", "/links", "/f/trip/nowhere"):
        plain.goto(trip.base + address)
        plain.locator("h1").first.wait_for()
        judge(plain, f"{address}, plain")
