"""Pictures of the page's screens, for people to look at: ``python -m tests.desk.screens [DIRECTORY [WORD…]]``.

English in light and dark on a desktop and a phone, Korean in light on a desktop and in dark on a phone; what is seen
once only (forced colours, print, …) at the end. With words, only what has one of them in its name is taken. WebP, so
that they are small. All are taken with reduced motion.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.desk.browsing import DESKTOP, PHONE, Place, launch, pick, place, row
from tests.desk.pictures import hills

LONG = "여행 경비 내역과 사진 정리 목록 " * 5 + "최종본.xlsx"
MANY = 100_000
SLOW = 500_000  # bytes per second of a download that is to be seen
VARIANTS: list[tuple[str, str, tuple[int, int]]] = [
    ("en", "light", DESKTOP),
    ("en", "dark", DESKTOP),
    ("en", "light", PHONE),
    ("en", "dark", PHONE),
    ("ko", "light", DESKTOP),
    ("ko", "dark", PHONE),
]
ONLY_ENGLISH = {"counting", "no-match", "many", "public", "image", "text", "help", "focus"}


def furnish(it: Place, many: int) -> None:
    """Put there what the screens show; ``many`` entries in one folder."""
    for number in range(209):
        it.write(f"2026/photos/IMG_{4000 + number}.jpg", os.urandom(60_000))
    it.write("2026/notes/todo.txt", b"go\n" * 400)
    it.write("2026/README.md", b"# Trip\n\nWhere we went, and what it cost.\n" * 60)
    it.write("2026/summit.png", hills(960, 600))
    it.write("2026/route-with-a-very-long-name-that-nobody-reads-to-its-end-any-more-final.gpx", b"x" * 1_373_634)
    it.write("2026/a\\b.txt", b"x")
    (it.root / "2026/latest").symlink_to("photos")
    it.write(f"names/{LONG}", b"x" * 48_213)
    it.write("names/" + unicodedata.normalize("NFD", "한글 이름 (NFD).hwp"), b"x" * 20_480)
    it.write("names/evil\u202egnp.exe", b"x" * 999)
    it.write("names/tab\tand\nline.txt", b"x")
    it.write("names/🏔️ 정상에서 👩‍👩‍👧.mov", b"x" * 9_800_000)
    it.write("names/" + "w" * 251 + ".txt", b"x")
    it.write("names/" + "가" * 83 + ".txt", b"x")
    os.close(os.open(os.fsencode(it.root) + b"/names/caf\xe9.txt", os.O_CREAT))
    it.write("data/log.csv", b"a,b\n" * 1000)
    (it.root / "data/raw").symlink_to("../../mnt")
    os.mkfifo(it.root / "data/agent.pipe")
    (it.root / "empty").mkdir()
    big = it.root / "scans"
    big.mkdir()
    for number in range(many):
        (big / f"file-{number:06d}.jpg").touch()


def snap(page: Page, where: Path) -> None:
    """Take a picture of what is in view."""
    taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 72})
    where.write_bytes(base64.b64decode(taken["data"]))


class Camera:
    """Takes pictures of one variant."""

    def __init__(self, page: Page, folder: Path, variant: str, words: list[str]) -> None:
        self.page, self.folder, self.variant, self.words = page, folder, variant, words
        self.phone, self.english = variant.endswith("phone"), variant.startswith("en")

    def wants(self, *screens: str) -> bool:
        """Whether one of these is to be taken."""
        return any(
            (self.english or screen not in ONLY_ENGLISH)
            and (not self.words or any(word in screen for word in self.words))
            for screen in screens
        )

    def shot(self, screen: str, wait: int = 350) -> None:
        if self.wants(screen):
            self.page.wait_for_timeout(wait)
            snap(self.page, self.folder / f"{screen}-{self.variant}.webp")

    def press(self, where: str) -> None:
        it = self.page.locator(where).first
        it.tap() if self.phone else it.click()

    def more(self, name: str) -> None:
        """An entry of the top bar's menu."""
        self.press(".top > .menu:last-child > button")
        self.page.locator("[role=menu] button", has_text=name).first.click()

    def clear(self) -> None:
        if self.page.locator(".bar .acts").count():
            self.press(".bar .clear-x" if self.phone else ".bar .clear")


# ---------------------------------------------------------------- scenes: each begins anywhere, with nothing selected


def selecting(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    it.go(page, "2026")
    page.mouse.move(5, 5)
    shot("listing")
    pick(page, "photos", "README.md")
    shot("exact")
    pick(page, "a\\\\b.txt")
    shot("renamed")
    if camera.phone:
        camera.press(".bar .acts > .menu:has(.bare) > button")
        page.locator("[role=menu] button.phone-only").first.tap()
    else:
        camera.press(".bar .details")
    page.locator(".panel").wait_for()
    shot("details")
    if camera.phone:
        camera.press(".panel .back")
        camera.press(".bar .acts > .menu:has(.bare) > button")
        page.locator("[role=menu] button.phone-only").nth(1).tap()
    else:
        camera.press(".bar .share")
    page.locator("dialog").wait_for()
    shot("share")
    camera.press("dialog button[type=submit]")
    page.locator("dialog .copied-line").first.wait_for()
    shot("share-made")
    camera.press("dialog .dialog-head button")
    camera.clear()


def names(it: Place, camera: Camera) -> None:
    it.go(camera.page, "names")
    camera.shot("names")
    camera.page.locator("#filter").fill("xyz")
    camera.page.locator(".place-of-list").wait_for()
    camera.shot("no-match")


def many(it: Place, camera: Camera) -> None:
    page = camera.page
    (old,) = it.root.glob("scans*")
    old.rename(it.root / f"scans-{camera.variant[3:]}")  # what was counted a minute ago is known
    it.go(page)
    row(page, f"scans-{camera.variant[3:]}").locator(".box").click()
    counted = re.compile("[1-9][0-9,.]* entries so far")
    while camera.wants("counting") and not counted.search(page.locator(".bar").inner_text()):
        page.wait_for_timeout(20)
    camera.shot("counting", wait=0)
    camera.clear()
    it.go(page, f"scans-{camera.variant[3:]}")
    expect(page.locator(".under")).to_contain_text("100,000 entries; filter")
    page.evaluate("document.querySelector('.grid').scrollTop = 1640000")
    camera.shot("many")


def downloading(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    assert it.narrow is not None
    it.narrow.rate = SLOW
    it.go(page, "2026")
    pick(page, "photos", "summit.png", "route-with-a-very-long-name-that-nobody-reads-to-its-end-any-more-final.gpx")
    with page.expect_download() as started:
        camera.press(".bar .primary")
    page.locator('.download[data-state="running"]').wait_for()
    shot("running", wait=4500)
    started.value.cancel()
    page.locator('.download[data-state="interrupted"]').wait_for()
    shot("interrupted")
    camera.press(".download .acts button:last-child")
    with page.expect_download():
        camera.press(".bar .primary")
    page.locator('.download[data-state="running"]').wait_for()
    page.wait_for_timeout(1200)
    for each in (*it.root.glob("2026/photos/IMG_41*"), *it.root.glob("2026/route-*")):  # what was not sent yet
        with each.open("ab") as file:
            file.write(b"x")
    it.narrow.rate, it.narrow.resumes = 50_000_000, False  # Chromium would get the new archive whole, by itself
    page.locator('.download[data-state="stopped"]').wait_for()
    it.narrow.resumes = True
    shot("stopped")
    camera.press(".download .acts button:last-child")
    page.wait_for_timeout(1000)
    page.locator(".bar.exact, .bar.started").wait_for()
    with page.expect_download():
        camera.press(".bar .primary")
    page.locator('.download[data-state="sent"]').first.wait_for()
    it.narrow.rate = SLOW
    shot("sent")
    camera.press(".activity-panel .panel-head button")  # "Clear ended"
    camera.press(".activity-panel .panel-head .bare")
    camera.clear()


def deciding(it: Place, camera: Camera) -> None:
    page = camera.page
    it.go(page, "data")
    for name in ("raw", "agent.pipe", "log.csv"):
        row(page, name).locator(".box").click()
    page.locator(".bar.refused").wait_for()
    camera.press(".bar .primary")
    page.locator(".panel .paths").first.wait_for()
    camera.shot("refusals")
    camera.press(".panel .back" if camera.phone else ".panel .close")
    camera.clear()


def uploading(it: Place, camera: Camera) -> None:
    page, new = camera.page, it.home / "new"
    it.go(page, "2026")
    page.get_by_test_id("files").set_input_files([new / "README.md", new / "video.mov", new / "disk.iso"])
    for state in ("asks", "refused", "sent"):
        page.locator(f'.upload[data-state="{state}"]').wait_for()
    camera.shot("uploads")
    page.locator('.upload[data-state="asks"] .acts button').last.click()
    page.locator(".tray .panel-head .bare").last.click()
    (it.root / "2026/video.mov").unlink()


def sharing(it: Place, camera: Camera) -> None:
    page = camera.page
    it.go(page, "2026")
    page.evaluate("(it) => it.click()", page.locator(".top .wide").element_handle())  # hidden on a phone, in its menu
    page.locator(".links-list li").first.wait_for()
    camera.shot("links")


def reading(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    it.go(page, "2026")
    row(page, "summit.png").locator("a.entry").click()
    page.locator(".panel img").wait_for()
    page.locator(".panel img").evaluate("(it) => it.decode()")
    shot("image")
    it.go(page, "2026")
    row(page, "README.md").locator("a.entry").click()
    page.locator(".panel pre").wait_for()
    shot("text")


def nothing(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    it.go(page, "empty")
    page.locator(".place-of-list").wait_for()
    shot("empty")
    (it.root / "gone").mkdir()
    it.go(page)
    row(page, "gone").wait_for()
    (it.root / "gone").rmdir()
    row(page, "gone").locator("a.entry").click()
    page.locator(".trouble").wait_for()
    shot("read-error")
    it.go(page, "2026")
    pick(page, "photos")
    page.context.set_offline(True)
    row(page, "README.md").locator(".box").click()
    page.locator(".strip.offline").wait_for()
    shot("offline")
    page.context.set_offline(False)
    page.reload()
    page.locator(".bar .acts").wait_for()  # the selection survives it
    camera.clear()


def deleting(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    it.write("2026/old.txt", b"old")
    it.go(page, "2026")
    row(page, "old.txt").focus()
    page.keyboard.press("Delete")
    page.locator(".notice").wait_for()
    shot("deleted")
    page.locator(".notice .bare").click()
    camera.more("Deleted" if camera.english else "삭제")
    page.locator(".panel .links-list li").wait_for()
    shot("trash")
    page.locator(".panel .links-list button").last.click()
    page.locator("dialog").wait_for()
    shot("forever")
    page.locator("dialog button").last.click()
    page.locator(".panel .links-list li").wait_for(state="detached")


def keyboard(it: Place, camera: Camera) -> None:
    page, shot = camera.page, camera.shot
    it.go(page, "2026")
    page.locator(".rows .row:focus").wait_for()
    for key in ("ArrowDown", "ArrowDown", "Space", "ArrowDown"):
        page.keyboard.press(key)
    page.locator(".bar.exact").wait_for()
    shot("focus")
    page.keyboard.press("?")
    page.locator(".panel").wait_for()
    shot("help")


SCENES: list[tuple[Callable[[Place, Camera], None], tuple[str, ...]]] = [
    (selecting, ("listing", "exact", "renamed", "details", "share", "share-made")),
    (names, ("names", "no-match")),
    (many, ("counting", "many")),
    (downloading, ("running", "interrupted", "stopped", "sent")),
    (deciding, ("refusals",)),
    (uploading, ("uploads",)),
    (sharing, ("links",)),
    (reading, ("image", "text")),
    (nothing, ("empty", "read-error", "offline")),
    (deleting, ("deleted", "trash", "forever")),
    (keyboard, ("focus", "help")),
]


# ---------------------------------------------------------------- what others see


def links_of(it: Place, owner: Page) -> dict[str, str]:
    """Make links and a request, and return their addresses by what they are."""
    made: dict[str, str] = owner.evaluate(
        """async () => {
            const csrf = document.querySelector('meta[name="pannier"]').dataset.csrf;
            const ask = async (method, path, body) => (await fetch(path, {method, body: body && JSON.stringify(body),
                headers: {'X-Pannier-CSRF': csrf, 'Content-Type': 'application/json'}})).json();
            const link = (more) =>
                ask('POST', '/desk/links', {folder: 'trip', paths: ['2026'], filename: 'trip.zip', ...more});
            const old = await link({expires_in: 1});
            const revoked = await link({paths: ['data/log.csv'], filename: 'log.zip'});
            await ask('DELETE', `/desk/links/${revoked.code}`);
            const guarded = await link({password: 'geheim', deliveries: 1, filename: 'for-mina.zip'});
            const open = await link({note: 'Trip photos, love, Mina', deliveries: 3, except: ['2026/latest']});
            const request = await ask('POST', '/desk/requests', {folder: 'trip', path: 'empty',
                title: 'Photos for Mina', note: 'From the summit, please.',
                largest: 10 * 2 ** 30, total: 40 * 2 ** 30, count: 500});
            return {expired: old.url, password: guarded.url, landing: open.url, request: request.url};
        }"""
    )
    return {name: url.replace(f"http://127.0.0.1:{it.port}", it.base) for name, url in made.items()}


def visiting(it: Place, camera: Camera, addresses: dict[str, str]) -> None:
    page, shot = camera.page, camera.shot
    page.goto(f"{it.base}/enter?key=VQ7M-2KXR-9DTA")
    shot("sign-in")
    for name, screen in (("landing", "landing"), ("password", "landing-password"), ("expired", "landing-expired")):
        page.goto(addresses[name])
        shot(screen)
    page.goto(addresses["request"])
    page.locator(".drop-zone").wait_for()
    page.locator(".drop-zone input").first.set_input_files(it.home / "new" / "README.md")
    page.locator(".sending li.ok").wait_for()
    shot("request")
    (it.root / "empty/README.md").unlink()


def once(browser: Browser, it: Place, folder: Path, words: list[str], addresses: dict[str, str]) -> None:
    """What is seen in one form only."""

    def take(screen: str, page: Page) -> None:
        page.wait_for_timeout(350)
        snap(page, folder / f"{screen}.webp")

    def wanted(screen: str) -> bool:
        return not words or any(word in screen for word in words)

    looks: list[tuple[str, tuple[int, int], dict[str, Any]]] = [
        ("zoom-400", (320, 256), {}),
        ("forced-colours", DESKTOP, {"forced_colors": "active", "color_scheme": "dark"}),
        ("more-contrast", DESKTOP, {"contrast": "more"}),
        ("scripts-off", DESKTOP, {"java_script_enabled": False}),
        ("scripts-off-phone", PHONE, {"java_script_enabled": False}),
    ]
    for screen, size, options in looks:
        if not wanted(screen):
            continue
        page = it.stranger(size, **options)
        page.context.add_cookies(it.cookies)
        page.goto(f"{it.base}/f/trip/2026")
        if "java_script_enabled" in options:
            page.locator("input[type=checkbox]").first.check()
            take(screen, page)
            page.locator("form .primary").last.click()
            page.locator(".facts").wait_for()
            take(screen.replace("off", "off-plan"), page)
        else:
            page.locator(".app .under").wait_for()
            pick(page, "photos", "README.md")
            take(screen, page)
        it.leave(page)
    if wanted("print"):
        page = it.stranger()
        page.emulate_media(media="print")
        page.goto(addresses["landing"])
        take("print-landing", page)
        it.leave(page)
        page = it.person()
        page.locator(".top .wide").click()
        page.locator(".links-list li").first.wait_for()
        page.emulate_media(media="print")
        take("print-links", page)
        it.leave(page)


def main(folder: Path, words: list[str]) -> int:
    """Take the pictures, and return how many scenes did not come to their end: the others do all the same."""
    failed = 0
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = launch(playwright)
        (Path(home) / "password").write_text("correct horse\n")
        settings = {"PANNIER_STORAGE_PROXY__MAX_UPLOAD_SIZE": "20MiB"}
        arguments = ("--password-file", str(Path(home) / "password"))
        with place(Path(home), browser, *arguments, settings=settings) as it:
            large = not words or any(word in name for word in words for name in ("counting", "many"))
            furnish(it, MANY if large else 10)
            it.start()
            it.slow(SLOW)
            new = it.home / "new"
            new.mkdir()
            (new / "README.md").write_bytes(b"new\n" * 700)
            (new / "video.mov").write_bytes(os.urandom(3_000_000))
            with (new / "disk.iso").open("wb") as disk:
                disk.truncate(25_000_000)
            addresses = links_of(it, it.person())
            for language, theme, size in VARIANTS:
                options: dict[str, Any] = {"color_scheme": theme, "locale": "ko-KR" if language == "ko" else "en-US"}
                options |= {"reduced_motion": "reduce", "timezone_id": "Asia/Seoul"}
                variant = f"{language}-{theme}-{'phone' if size == PHONE else 'desktop'}"
                page = it.person(size, "2026", **options)
                page.on("dialog", lambda dialog: dialog.accept())
                for scene, screens in SCENES:
                    camera = Camera(page, folder, variant, words)
                    if not camera.wants(*screens):
                        continue
                    try:
                        scene(it, camera)
                    except (Error, AssertionError):
                        failed += 1
                        traceback.print_exc()
                        it.leave(page)
                        page = it.person(size, "2026", **options)
                it.leave(page)
                visitor = it.stranger(size, **options)
                camera = Camera(visitor, folder, variant, words)
                if camera.wants("sign-in", "landing", "landing-password", "landing-expired", "request"):
                    visiting(it, camera, addresses)
                it.leave(visitor)
            once(browser, it, folder, words, addresses)
        (Path(home) / "public" / "data").mkdir(parents=True)
        with place(Path(home) / "public", browser, "--public", str(Path(home) / "public" / "data")) as it:
            it.write("photos/a.jpg", b"a" * 40_000)
            it.write("programme.pdf", b"b" * 300_000)
            it.start()
            for language, theme, size in VARIANTS:
                locale = "ko-KR" if language == "ko" else "en-US"
                visitor = it.stranger(size, color_scheme=theme, locale=locale, reduced_motion="reduce")
                camera = Camera(visitor, folder, f"{language}-{theme}-{'phone' if size == PHONE else 'desktop'}", words)
                if camera.wants("public", "folders"):
                    visitor.goto(f"{it.base}/")
                    camera.shot("folders")
                    it.go(visitor)
                    pick(visitor, "photos")
                    camera.shot("public")
                it.leave(visitor)
        browser.close()
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"), sys.argv[2:]))
