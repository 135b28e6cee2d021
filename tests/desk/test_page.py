"""The page in a real browser: select, count, download, change, share; by mouse, by keyboard, on a phone, in Korean."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from tests.desk.browsing import PHONE, Place, pick, place, press_if_there, row


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    with place(tmp_path, browser) as it:
        it.write("2026/photos/a.jpg", b"a" * 40_000)
        it.write("2026/photos/사진.jpg", b"b" * 30_000)
        it.write("2026/README.md", b"# Trip\n<script>alert(1)</script>\n")
        it.write("2026/notes/todo.txt", b"go\n")
        it.start()
        yield it


def members(download: Download) -> dict[str, bytes]:
    with zipfile.ZipFile(download.path()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_number_comes_before_the_button_and_is_what_is_sent(trip: Place) -> None:
    page = trip.person(path="2026")
    expect(page.locator(".bar")).to_contain_text("Select files or folders")
    pick(page, "photos", "README.md")
    told = page.locator(".bar .told").inner_text()
    exact = re.search(r"exactly ([\d,]+) bytes", told)
    assert exact is not None, told
    expect(page.locator(".bar .first")).to_contain_text("2 selected")
    expect(page.locator(".bar .first")).to_contain_text("3 entries")
    with page.expect_download() as started:
        page.locator(".bar .primary").click()
    download = started.value
    assert Path(download.path()).stat().st_size == int(exact[1].replace(",", ""))
    sent = members(download)
    assert sorted(Path(name).name for name in sent) == ["README.md", "a.jpg", "사진.jpg"]
    assert all(data == next(trip.root.rglob(Path(name).name)).read_bytes() for name, data in sent.items())
    expect(page.locator('.download[data-state="sent"]')).to_contain_text("bytes sent at")
    page.reload()  # rows of activity survive it, and so does the selection
    expect(page.locator(".bar .first")).to_contain_text("2 selected")
    page.locator(".top .activity").click()
    expect(page.locator('.download[data-state="sent"]')).to_have_count(1)


def test_one_file_is_sent_as_it_is(trip: Place) -> None:
    page = trip.person(path="2026")
    pick(page, "README.md")
    expect(page.locator(".bar .second")).to_contain_text("the file itself, no archive")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download file").first.click()
    assert Path(started.value.path()).read_bytes() == (trip.root / "2026/README.md").read_bytes()


def test_what_cannot_be_included_is_decided_by_a_person(trip: Place) -> None:
    (trip.root / "2026" / "raw").symlink_to("../../mnt")
    page = trip.person(path="2026")
    pick(page, "raw", "notes")
    expect(page.locator(".bar .primary")).to_have_text("Review")
    expect(page.locator(".bar .share")).to_have_attribute("aria-disabled", "true")
    page.locator(".bar .primary").click()
    panel = page.locator(".panel")
    expect(panel).to_contain_text("1 of 2 entries cannot be included")
    expect(panel.locator(".paths")).to_contain_text("link leads outside")
    with page.expect_download() as started:
        panel.get_by_role("button", name=re.compile("Leave out 1, download 1")).click()
    assert [Path(name).name for name in members(started.value)] == ["todo.txt"]
    expect(page.locator(".bar .chip.warn")).to_have_text("1 left out")


def test_by_keyboard_alone(trip: Place) -> None:
    page = trip.person(path="2026")
    focused = page.locator(".rows .row:focus")
    expect(focused).to_have_attribute("data-name", "notes")
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("data-name", "todo.txt")
    expect(page).to_have_title(re.compile("^notes · trip · Pannier$"))
    page.keyboard.press("Alt+ArrowUp")
    expect(focused).to_have_attribute("data-name", "notes")  # the focus is where one came from
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator(".row.picked")).to_have_count(2)
    page.locator(".bar.exact").wait_for()
    with page.expect_download() as started:
        page.keyboard.press("Control+Enter")
    assert len(members(started.value)) == 3
    page.keyboard.press("u")
    expect(page.locator(".bar")).to_contain_text("Selection of 2 cleared.")
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("READ")
    expect(page.locator(".rows .row")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("data-name", "README.md")
    page.keyboard.press("Enter")
    expect(page.locator(".panel pre")).to_contain_text("<script>alert(1)</script>")
    page.keyboard.press("Escape")
    expect(page.locator(".panel pre")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".rows .row")).to_have_count(3)
    page.keyboard.press("?")
    expect(page.get_by_role("complementary", name="Keyboard")).to_be_visible()


def test_changes_by_two_people_lose_nothing(trip: Place) -> None:
    page, other = trip.person(path="2026"), trip.person(path="2026")
    page.get_by_role("button", name="New folder").click()
    name = page.locator("dialog input")
    expect(name).to_be_focused()
    page.keyboard.type("새 폴더")
    page.keyboard.press("Enter")
    expect(row(page, "새 폴더")).to_be_focused()
    expect(other.locator(".strip.news")).to_contain_text("changed here")  # rows do not jump under the pointer
    assert row(other, "새 폴더").count() == 0
    other.get_by_role("button", name="Show").click()
    expect(row(other, "새 폴더")).to_be_visible()
    page.keyboard.press("F2")
    expect(name).to_be_focused()
    page.keyboard.type("README.md")
    page.keyboard.press("Enter")
    expect(page.locator("dialog .trouble")).to_contain_text("exists already")
    name.fill("papers")
    page.keyboard.press("Enter")
    expect(row(page, "papers")).to_be_focused()
    row(page, "README.md").click(button="right")
    page.get_by_role("menuitem", name="Move").click()
    page.locator("dialog .pick", has_text="papers").click()
    page.get_by_role("button", name=re.compile("Move to papers")).click()
    expect(page.locator(".notice")).to_contain_text("1 entry moved")
    assert (trip.root / "2026/papers/README.md").is_file()
    row(page, "papers").click()
    row(page, "papers").press("Delete")
    expect(page.locator(".notice")).to_contain_text("1 entry deleted")
    assert not (trip.root / "2026/papers").exists()
    expect(row(page, "papers")).to_have_count(0)
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(row(page, "papers")).to_be_visible()
    assert (trip.root / "2026/papers/README.md").read_bytes().startswith(b"# Trip")


def test_a_link_with_a_password_for_one_delivery(trip: Place) -> None:
    page = trip.person(path="2026")
    pick(page, "photos")
    page.locator(".bar .share").click()
    dialog = page.locator("dialog")
    dialog.get_by_text("one", exact=True).click()
    dialog.locator("input[type=password]").fill("geheim")
    dialog.get_by_role("button", name="Make link").click()
    address = dialog.locator(".copied-line a").inner_text()
    dialog.get_by_role("button", name="Close").last.click()
    visitor = trip.stranger()
    visitor.goto(address)
    visitor.locator("input[type=password]").fill("geheim")
    with visitor.expect_download() as started:
        visitor.get_by_role("button", name="Download").click()
    assert sorted(map(len, members(started.value).values())) == [30_000, 40_000]
    page.locator(".top .wide").click()
    item = page.locator(".links-list li")
    expect(item).to_contain_text("one-time")
    expect(item).to_contain_text("all deliveries made")
    answer = visitor.goto(address)
    assert answer is not None
    assert answer.status == 410


def test_a_revoked_link_opens_nothing(trip: Place) -> None:
    page = trip.person(path="2026")
    pick(page, "photos")
    page.locator(".bar .share").click()
    page.locator("dialog").get_by_role("button", name="Make link").click()
    address = page.locator("dialog .copied-line a").inner_text()
    page.locator("dialog").get_by_role("button", name="Close").last.click()
    page.locator(".top .wide").click()
    page.locator(".links-list").get_by_role("button", name="Revoke").click()
    expect(page.locator("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.locator("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator(".links-list li")).to_contain_text("revoked")
    answer = trip.stranger().goto(address)
    assert answer is not None
    assert answer.status == 410


def test_korean_on_a_phone(trip: Place) -> None:
    page = trip.person(PHONE, path="2026", locale="ko-KR")
    assert page.evaluate("document.documentElement.lang") == "ko"
    row(page, "photos").locator(".box").tap()
    expect(page.locator(".bar .told")).to_contain_text("1개 선택")
    expect(page.locator(".bar .told")).to_contain_text("이어받기 가능")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    boxes = page.locator(".button:visible, .hit:visible").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect()).filter((it) => it.width < 44 || it.height < 44).length"
    )
    assert boxes == 0
    with page.expect_download() as started:
        page.locator(".bar .primary").tap()
    assert len(members(started.value)) == 2


def test_read_only_has_no_changing_controls(tmp_path: Path, browser: Browser) -> None:
    with place(tmp_path, browser, "--read-only") as it:
        it.write("a.txt")
        it.start()
        page = it.person()
        expect(row(page, "a.txt")).to_be_visible()
        assert page.get_by_role("button", name=re.compile("Upload|New folder")).count() == 0
        row(page, "a.txt").click(button="right")
        assert page.get_by_role("menuitem", name=re.compile("Delete|Rename|Move")).count() == 0


def test_the_page_without_a_server_says_so_and_comes_back(trip: Place) -> None:
    page: Page = trip.person(path="2026")
    pick(page, "photos")
    trip.kill()
    row(page, "README.md").locator(".box").click()
    expect(page.locator(".strip.offline")).to_contain_text("No connection to the server since")
    drawn = "drawn => drawn.getBBox().width > 0"  # its icon came before the server went
    assert page.locator(".strip.offline .icon use").evaluate(drawn)
    expect(page.locator(".bar .primary")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".rows .row")).to_have_count(3)  # what was there can be read
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".strip.offline")).to_contain_text("No connection to the server since")
    trip.start()
    press_if_there(page.get_by_role("button", name="Try now"))
    expect(page.locator(".strip.offline")).to_have_count(0)
    expect(page.locator(".bar.exact .first")).to_contain_text("2 selected")
