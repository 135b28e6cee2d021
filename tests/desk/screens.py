"""Pictures of the page's screens, for people to look at: ``python -m tests.desk.screens [DIRECTORY]``.

English in light and dark on a desktop and a phone, Korean in light on a desktop and in dark on a phone. JPEG, so that
they are small.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.desk.browsing import DESKTOP, PHONE, Place, launch, pick, place, row

LONG = "여행 경비 내역과 사진 정리 목록 " * 5 + "최종본.xlsx"
VARIANTS: list[tuple[str, str, tuple[int, int]]] = [
    ("en", "light", DESKTOP),
    ("en", "dark", DESKTOP),
    ("en", "light", PHONE),
    ("en", "dark", PHONE),
    ("ko", "light", DESKTOP),
    ("ko", "dark", PHONE),
]


def furnish(it: Place) -> None:
    """Put there what the screens show."""
    for number in range(209):
        it.write(f"2026/photos/IMG_{4000 + number}.jpg", os.urandom(20_000))
    it.write("2026/notes/todo.txt", b"go\n" * 400)
    it.write("2026/README.md", b"# Trip\n\nWhere we went, and what it cost.\n" * 60)
    it.write("2026/route-with-a-very-long-name-that-nobody-reads-to-its-end-any-more-final.gpx", b"x" * 1_373_634)
    it.write(f"2026/{LONG}", b"x" * 48_213)
    it.write("2026/a\\b.txt", b"x")
    it.write("2026/evil\u202egnp.exe", b"x" * 999)
    it.write("2026/🏔️ 정상에서.mov", b"x" * 9_800_000)
    it.write("data/log.csv", b"a,b\n" * 1000)
    (it.root / "2026/empty").mkdir()
    (it.root / "2026/latest").symlink_to("photos")
    (it.root / "data/raw").symlink_to("../../mnt")
    os.mkfifo(it.root / "data/agent.pipe")


class Camera:
    """Takes pictures of one variant."""

    def __init__(self, page: Page, folder: Path, variant: str) -> None:
        self.page, self.folder, self.variant = page, folder, variant

    def shot(self, screen: str) -> None:
        self.page.wait_for_timeout(350)
        self.page.screenshot(path=self.folder / f"{screen}-{self.variant}.jpg", type="jpeg", quality=72)


def browse(it: Place, camera: Camera, phone: bool, upload: list[Path]) -> None:
    """Walk through the screens."""
    page, shot = camera.page, camera.shot
    act = "tap" if phone else "click"

    def press(where: str) -> None:
        getattr(page.locator(where).first, act)()

    it.go(page, "2026")
    shot("listing")
    pick(page, "photos", "a\\\\b.txt")
    shot("exact")
    if phone:
        press(".bar .acts > .menu:has(.bare) > button")
        page.locator("[role=menu] button.phone-only").first.tap()
    else:
        press(".bar .details")
    page.locator(".panel").wait_for()
    shot("details")
    if not phone:
        press(".bar .share")
        page.locator("dialog").wait_for()
        shot("share")
        press("dialog button[type=submit]")
        page.locator("dialog .copied-line").first.wait_for()
        shot("share-made")
        press("dialog .dialog-head button")
        press(".top .wide")
        page.locator(".links-list li").first.wait_for()
        shot("links")
    it.go(page, "2026")
    with page.expect_download():
        press(".bar .primary")
    page.locator('.download[data-state="sent"]').first.wait_for()
    shot("sent")
    press(".activity-panel .panel-head .bare")
    row(page, "README.md").locator("a.entry").click()
    page.locator(".panel pre").wait_for()
    shot("preview")
    it.go(page, "2026")
    page.get_by_test_id("files").set_input_files(upload)
    page.locator('.upload[data-state="asks"]').wait_for()
    page.locator('.upload[data-state="sent"]').wait_for()
    shot("uploads")
    it.go(page, "data")
    press(".bar .clear-x" if phone else ".bar .clear")
    for name in ("raw", "agent.pipe", "log.csv"):
        row(page, name).locator(".box").click()
    page.locator(".bar.refused").wait_for()
    press(".bar .primary")
    page.locator(".panel .paths").first.wait_for()
    shot("refusals")
    it.go(page, "2026/empty")
    page.locator(".place-of-list").wait_for()
    shot("empty")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = launch(playwright)
        with place(Path(home), browser) as it:
            furnish(it)
            it.start()
            new = Path(home) / "new"
            new.mkdir()
            (new / "README.md").write_bytes(b"new\n" * 700)
            (new / "video.mov").write_bytes(os.urandom(3_000_000))
            for language, theme, size in VARIANTS:
                options: dict[str, Any] = {"color_scheme": theme, "locale": "ko-KR" if language == "ko" else "en-US"}
                page = it.person(size, "2026", reduced_motion="reduce", timezone_id="Asia/Seoul", **options)
                page.on("dialog", lambda dialog: dialog.accept())
                variant = f"{language}-{theme}-{'phone' if size == PHONE else 'desktop'}"
                browse(it, Camera(page, folder, variant), size == PHONE, [new / "README.md", new / "video.mov"])
                (it.root / "2026/video.mov").unlink()
                it.leave(page)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))
