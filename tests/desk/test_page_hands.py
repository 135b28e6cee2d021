"""The page under the hands of people: what is dropped on it, Shift and Ctrl, fingers, what they find in its menus."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk.browsing import PHONE, Place, pick, place, row
from tests.desk.pictures import png


@pytest.fixture
def trip(tmp_path: Path, browser: Browser) -> Iterator[Place]:
    with place(tmp_path, browser) as it:
        for name in ("a", "b", "c", "d", "e"):
            it.write(f"{name}.txt", name.encode() * 1000)
        it.write("photos/1.jpg", b"1" * 5000)
        it.start()
        yield it


def drag(page: Page, over: str, files: list[Path], *, drop: bool = True) -> None:
    """Drag files and folders of this machine over an element, as from a file manager, and let go."""
    line = page.context.new_cdp_session(page)
    box = page.locator(over).bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(each) for each in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", *(["drop"] if drop else [])):
        line.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def expect_picked(page: Page, *names: str) -> None:
    """Wait until these entries are picked, and no other."""
    for name in names:
        expect(row(page, name)).to_have_class(re.compile(r"\bpicked\b"))
    expect(page.locator(".rows .row.picked")).to_have_count(len(names))


def test_files_and_folders_are_dropped_on_the_listing_and_on_a_folder_in_it(trip: Place, tmp_path: Path) -> None:
    new = tmp_path / "Fotos"
    (new / "deep").mkdir(parents=True)
    (new / "deep" / "사진.jpg").write_bytes(b"x" * 3000)
    (new / "empty").mkdir()
    (tmp_path / "one.bin").write_bytes(b"one")
    (tmp_path / "two.bin").write_bytes(b"two")
    page = trip.person()
    drag(page, "main .grid", [new, tmp_path / "one.bin"], drop=False)
    expect(page.locator(".drop-hint")).to_contain_text("Drop to upload to trip")
    drag(page, "main .grid", [new, tmp_path / "one.bin"])
    expect(page.locator(".drop-hint")).to_have_count(0)
    expect(page.locator(".tray h2")).to_contain_text("2 files uploaded")
    expect(row(page, "Fotos")).to_be_visible()
    assert (trip.root / "Fotos/deep/사진.jpg").read_bytes() == b"x" * 3000
    assert (trip.root / "Fotos/empty").is_dir()  # in a directory that no file made
    assert (trip.root / "one.bin").read_bytes() == b"one"
    over = '.rows .row[data-name="photos"] .size'
    drag(page, over, [tmp_path / "two.bin"], drop=False)
    expect(page.locator(".drop-hint")).to_contain_text("Drop to upload to trip/photos")
    drag(page, over, [tmp_path / "two.bin"])
    expect(page.locator(".tray h2")).to_contain_text("1 file uploaded")
    assert (trip.root / "photos/two.bin").read_bytes() == b"two"


def test_shift_extends_from_where_one_was_and_ctrl_toggles(trip: Place) -> None:
    page = trip.person()
    where = {"x": 600, "y": 10}  # beside the name
    row(page, "b.txt").click(position=where)
    row(page, "d.txt").click(position=where, modifiers=["Shift"])
    expect_picked(page, "b.txt", "c.txt", "d.txt")
    row(page, "c.txt").locator("a.entry").click(modifiers=["Control"])
    row(page, "photos").click(position=where, modifiers=["Control"])
    expect_picked(page, "photos", "b.txt", "d.txt")
    row(page, "a.txt").locator(".box").click()
    row(page, "c.txt").locator(".box").click(modifiers=["Shift"])
    expect_picked(page, "photos", "a.txt", "b.txt", "c.txt", "d.txt")
    expect(page.locator(".bar.exact .first")).to_contain_text("5 selected")


def test_fingers_pick_open_and_hold(trip: Place) -> None:
    page = trip.person(PHONE)
    row(page, "a.txt").locator(".box").tap()
    expect(page.locator(".rows .row.picked")).to_have_count(1)
    row(page, "b.txt").tap(position={"x": 280, "y": 28})
    expect_picked(page, "a.txt", "b.txt")
    row(page, "a.txt").tap(position={"x": 280, "y": 28})
    expect_picked(page, "b.txt")
    box = row(page, "c.txt").bounding_box()
    assert box is not None
    line = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 250, "y": box["y"] + box["height"] / 2}
    line.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    page.locator("[role=menu]").wait_for()
    line.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.get_by_role("menuitem", name="Preview").tap()
    expect(page.locator(".panel pre")).to_contain_text("ccc")
    page.get_by_role("button", name="Back").tap()
    expect_picked(page, "b.txt")
    row(page, "photos").locator("a.entry").tap()
    expect(row(page, "1.jpg")).to_be_visible()
    expect(page.locator(".bar.exact .first")).to_contain_text("1 selected")


def test_the_format_is_chosen_and_is_what_comes(trip: Place) -> None:
    page = trip.person()
    pick(page, "photos", "a.txt")
    for name, ending, exact in (("TAR", ".tar", True), ("ZIP, smaller", ".zip", False)):
        page.locator(".bar .drop").click()
        page.get_by_role("menuitemradio", name=re.compile(f"^{name}")).click()
        expect(page.locator(".bar .drop")).to_contain_text(name)  # with it the numbers of the other format are gone
        told = page.locator(".bar.exact .second")
        expect(told).to_contain_text("can be resumed" if exact else "archive size known at the end")
        said = told.inner_text()
        with page.expect_download() as started:
            page.locator(".bar .primary").click()
        data = Path(started.value.path()).read_bytes()
        assert started.value.suggested_filename.endswith(ending)
        if exact:
            assert f"{len(data):,} bytes" in said
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                assert sorted(tar.getnames()) == ["a.txt", "photos/1.jpg"]
        else:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.read("photos/1.jpg") == b"1" * 5000
                assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_DEFLATED}


@pytest.mark.parametrize("what", ["archive", "file"])
def test_a_download_is_stopped_and_what_runs_is_cut(trip: Place, what: str) -> None:
    for name in ("one", "two"):
        trip.write(f"big/{name}.bin", b"x" * 6_000_000)
    trip.slow(200_000)
    page = trip.person(path="big")
    pick(page, *(["one.bin", "two.bin"] if what == "archive" else ["one.bin"]))
    with page.expect_download() as started:
        page.locator(".bar .primary").click()
    running = page.locator('.download[data-state="running"]')
    expect(running).to_contain_text("big.zip" if what == "archive" else "one.bin")
    expect(running).to_contain_text(re.compile(r"sent .+ of (5\.72|11\.4)\sMiB"))
    expect(page).to_have_title(re.compile(r"^\d+ % · big"))
    expect(page.locator(".bar .second")).to_contain_text("Download started; see Activity")
    running.get_by_role("button", name="Stop").click()
    expect(page.locator('.download[data-state="revoked"]')).to_contain_text("This download was stopped.")
    assert started.value.failure() is not None
    page.reload()
    page.locator(".top .activity").click()
    expect(page.locator(".download")).to_have_attribute("data-state", "revoked")


def test_one_file_is_told_in_the_activity_too(trip: Place) -> None:
    trip.write("empty.txt", b"")
    page = trip.person()
    for name in ("a.txt", "empty.txt"):
        with page.expect_download() as started:
            row(page, name).hover()
            row(page, name).locator(".more button").click()
            page.get_by_role("menuitem", name="Download file").click()
        assert Path(started.value.path()).read_bytes() == (trip.root / name).read_bytes()
        sent = page.locator('.download[data-state="sent"]', has_text=name)
        expect(sent).to_contain_text(f"All {1000 if name == 'a.txt' else 0:,} bytes sent at")


def test_the_trash_gives_back_and_forgets(trip: Place) -> None:
    page = trip.person()
    for name in ("a.txt", "b.txt"):
        row(page, name).click(button="right")
        page.get_by_role("menuitem", name="Delete").click()
        expect(row(page, name)).to_have_count(0)
    page.locator(".top").get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Deleted").click()
    deed = page.locator(".panel .links-list li")
    expect(deed).to_have_count(2)
    row(page, "d.txt").focus()  # by no click and no arrow key, as a screen reader does it
    page.keyboard.press("Delete")
    expect(row(page, "d.txt")).to_have_count(0)
    assert sorted(each.name for each in trip.root.glob("*.txt")) == ["c.txt", "e.txt"]
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(row(page, "d.txt")).to_be_visible()
    expect(deed).to_have_count(2)
    deed.filter(has_text="a.txt").get_by_role("button", name="Put back").click()
    expect(row(page, "a.txt")).to_be_visible()
    assert (trip.root / "a.txt").read_bytes() == b"a" * 1000
    expect(deed).to_have_count(1)
    deed.get_by_role("button", name="Delete for good").click()
    dialog = page.locator("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name=re.compile("^Delete 1")).click()
    expect(page.locator(".panel")).to_contain_text("Nothing was deleted")
    assert not list((trip.root / ".upload" / "trash").glob("*/*"))


def test_an_image_is_shown_by_its_content_and_html_as_text(trip: Place) -> None:
    trip.write("picture", png(64, 48, lambda x, y: (x, y, 80)))
    trip.write("page.png", b"<!doctype html><script>document.title = 'evil'</script>")
    page = trip.person()
    row(page, "picture").locator("a.entry").click()
    image = page.locator(".panel img")
    expect(image).to_be_visible()
    assert image.evaluate("(it) => it.decode().then(() => [it.naturalWidth, it.naturalHeight])") == [64, 48]
    assert page.get_by_role("complementary", name="picture").count() == 1
    row(page, "page.png").locator("a.entry").click()
    expect(page.locator(".panel pre")).to_contain_text("document.title = 'evil'")
    expect(page).to_have_title("trip · Pannier")


def test_the_theme_is_switched_and_kept_without_a_flash(trip: Place) -> None:
    page = trip.person(color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.locator(".top .theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate(ground)
    assert dark != light
    answer = page.reload()
    assert answer is not None
    assert 'data-theme="dark"' in answer.text()  # said by the server, before any script
    page.locator(".app .under").wait_for()
    assert page.evaluate(ground) == dark


def test_a_public_page_says_so_and_changes_nothing(tmp_path: Path, browser: Browser) -> None:
    with place(tmp_path, browser, "--public") as it:
        it.write("photos/a.jpg", b"a" * 4000)
        it.write("b.txt")
        it.start()
        page = it.stranger()
        it.go(page)
        expect(page.locator(".strip.public")).to_contain_text("Anyone who can reach this address")
        pick(page, "photos", "b.txt")
        assert page.get_by_role("button", name=re.compile("Upload|New folder|Share|My links")).count() == 0
        with page.expect_download() as started:
            page.locator(".bar .primary").click()
        assert sorted(zipfile.ZipFile(started.value.path()).namelist()) == ["b.txt", "photos/a.jpg"]
        expect(page.locator('.download[data-state="sent"]')).to_be_visible()
        page.reload()
        page.locator(".top .activity").click()
        expect(page.locator('.download[data-state="sent"]')).to_be_visible()


def test_who_was_signed_out_elsewhere_is_told_and_loses_nothing(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    with place(tmp_path, browser, "--password-file", str(tmp_path / "password")) as it:
        it.write("a.txt")
        it.write("b.txt")
        it.start()
        page = it.person()
        pick(page, "a.txt", "b.txt")
        other = page.context.new_page()
        it.go(other)
        other.locator(".top").get_by_role("button", name="More").click()
        other.get_by_role("menuitem", name="Sign out").click()
        other.get_by_label("Password").wait_for()
        page.locator(".bar .primary").click()
        strip = page.locator(".strip.offline")
        expect(strip).to_contain_text("You were signed out. Sign in; your selection is kept.")
        expect(page.locator(".rows .row")).to_have_count(2)
        with page.context.expect_page() as opened:
            strip.get_by_role("link", name="Sign in").click()
        opened.value.get_by_label("Password").fill("correct horse")
        opened.value.get_by_role("button", name="Sign in", exact=True).click()
        opened.value.wait_for_url(f"{it.base}/f/**")
        opened.value.close()
        page.bring_to_front()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # which headless tabs are not told
        expect(strip).to_have_count(0)
        expect(page.locator(".bar .first")).to_contain_text("2 selected")
        with page.expect_download():
            page.locator(".bar .primary").click()


def test_several_folders_are_all_there(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "m.txt").write_bytes(b"m")
    with place(tmp_path, browser, str(tmp_path / "more")) as it:
        it.write("a.txt")
        it.start()
        page = it.person()
        page.locator(".top .mark").click()
        page.wait_for_url(f"{it.base}/")
        expect(page.locator("main .folder-list a")).to_have_text(["trip", "more"])
        page.locator("main .folder-list a").last.click()
        expect(row(page, "m.txt")).to_be_visible()
        page.locator(".top .folder").click()
        page.get_by_role("menuitemradio", name="trip").click()
        expect(row(page, "a.txt")).to_be_visible()
