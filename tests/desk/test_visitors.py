"""The pages of those who are not signed in: what is on them works, in the reader's words and by the reader's clock."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk.browsing import Place, place


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("visited"), browser) as it:
        it.write("사진/summit.jpg", b"b" * 300_000)
        it.start()
        yield it


def link(owner: Page, **more: Any) -> str:
    """Make a link, and return its address."""
    url = owner.evaluate(
        """async (more) => {
            const csrf = document.querySelector('meta[name="pannier"]').dataset.csrf;
            const body = JSON.stringify({folder: 'trip', paths: ['사진'], filename: '여행 사진.zip', ...more});
            const headers = {'X-Pannier-CSRF': csrf, 'Content-Type': 'application/json'};
            return (await (await fetch('/desk/links', {method: 'POST', body, headers})).json()).url;
        }""",
        more,
    )
    assert isinstance(url, str)
    return url


@pytest.mark.parametrize("password", [None, "geheim"])
def test_the_lines_for_a_terminal_fetch_the_archive(trip: Place, tmp_path: Path, password: str | None) -> None:
    address = link(trip.person(), **({} if password is None else {"password": password}))
    visitor = trip.stranger(java_script_enabled=False)
    visitor.goto(address)
    lines = visitor.locator(".line code").all_text_contents()
    assert [line.split()[0] for line in lines] == ["curl", "wget", "aria2c"]
    for number, line in enumerate(lines):
        where = tmp_path / f"fetched{number}"
        where.mkdir()
        command = line.replace("PASSWORD", password or "")
        done = subprocess.run(["sh", "-c", command], cwd=where, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        (archive,) = where.iterdir()
        assert archive.name == "여행 사진.zip", line
        assert zipfile.ZipFile(archive).read("사진/summit.jpg") == b"b" * 300_000


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en-US", r"until \w+ \d+, (\d+, )?\d\d:\d\d \(in 7.days\)"),
        ("ko-KR", r"(\d+년 )?\d+월 \d+일 \d\d:\d\d까지\(7일 남음\)"),
    ],
)
def test_a_script_tells_the_end_by_the_reader_s_clock(trip: Place, locale: str, said: str) -> None:
    address = link(trip.person())
    plain = trip.stranger(java_script_enabled=False, locale=locale)
    plain.goto(address)
    assert "UTC" in plain.locator("time").inner_text()
    visitor = trip.stranger(locale=locale, timezone_id="Asia/Seoul")
    visitor.goto(address)
    expect(visitor.locator("time")).to_have_text(re.compile(f"^{said}$"))
    assert visitor.locator("time").get_attribute("title")


def test_a_password_can_be_shown_and_a_line_copied(trip: Place) -> None:
    address = link(trip.person(), password="geheim")
    visitor = trip.stranger(permissions=["clipboard-read", "clipboard-write"])
    visitor.goto(address)
    field, show = visitor.get_by_label("Password"), visitor.get_by_role("button", name="Show", exact=True)
    field.fill("geheim")
    expect(field).to_have_attribute("type", "password")
    show.click()
    expect(field).to_have_attribute("type", "text")
    expect(show).to_have_attribute("aria-pressed", "true")
    visitor.locator("summary").last.click()
    visitor.get_by_role("button", name="Copy").first.click()
    copied = visitor.evaluate("navigator.clipboard.readText()")
    assert copied == visitor.locator(".line code").first.inner_text()
    visitor.get_by_role("button", name="Show what is inside").click()
    expect(visitor.locator("summary").first).to_have_text("What is inside: 1")


def test_without_a_script_there_are_no_buttons_for_scripts(trip: Place) -> None:
    visitor = trip.stranger(java_script_enabled=False)
    visitor.goto(link(trip.person(), password="geheim"))
    assert [each for each in visitor.locator("button").all_text_contents() if each in ("Show", "Copy")] == ["Show"] + [
        "Copy"
    ] * 3
    expect(visitor.locator("button:visible")).to_have_text(["Download", "Show what is inside"])
    visitor.goto(f"{trip.base}/enter")
    expect(visitor.locator("main button:visible")).to_have_text(["Sign in on this device"])


def test_what_ended_leads_receivers_nowhere(trip: Place) -> None:
    visitor = trip.stranger()
    visitor.goto(f"{trip.base}/s/none")
    expect(visitor.locator("h1")).to_have_text("There is no such link here. Check that the whole address was copied.")
    expect(visitor.locator("main a")).to_have_count(0)


def test_a_page_names_all_modules_that_it_comes_to_load(trip: Place) -> None:
    page = trip.stranger()
    trip.enter(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(trip.base)))
    trip.go(page)
    html = page.request.get(f"{trip.base}/f/trip/", headers={"Accept": "text/html"}).text()
    named = set(re.findall(r'<link rel="modulepreload" href="([^"]+)">', html))
    of_the_worker = {"/static/page/arranger.js", "/static/page/matching.js"}
    assert {each for each in asked if each.endswith(".js")} - of_the_worker - {"/static/page/main.js"} == named
