"""A person at a browser: Debian's Chromium, driven by Playwright, before a ``pannier serve`` of its own process."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from tests.cli.commands import Server
from tests.desk.narrow import Narrow

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
DESKTOP, PHONE = (1280, 800), (390, 844)
PATIENCE = 30_000
"""Milliseconds after which something is taken to hang."""
_KEY = re.compile(r"sign in\s+(http\S+)")


def launch(playwright: Playwright) -> Browser:
    """Start the browser."""
    expect.set_options(timeout=PATIENCE)
    return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)


def free_port() -> int:
    """Return a port that nobody listens at now.

    It is none of those that connections get by themselves: while a server is away nobody takes its port.
    """
    while True:
        port = random.randrange(16_000, 32_000)  # Linux gives out 32768 to 60999
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Place:
    """A served folder ``trip`` and people before it; a server can be ended and begun again at the same address."""

    def __init__(
        self, home: Path, browser: Browser, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.home, self.browser, self.arguments, self.settings = home, browser, arguments, settings
        self.root = home / "trip"
        self.root.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.server: Server | None = None
        self.narrow: Narrow | None = None
        self.faults: list[str] = []
        self.forgiving = False  # of what the browser forbids a tool of the test
        self._contexts: list[BrowserContext] = []
        self.cookies: list[Any] = []  # of one sign-in, which all people share

    def write(self, path: str, data: bytes = b"content\n") -> Path:
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)
        return where

    def start(self) -> None:
        """Begin to serve; a second start goes on with the same state and port."""
        self.server = Server(self.home, self.root, "--port", str(self.port), *self.arguments, settings=self.settings)
        self.server.wait_said("sign in")

    def slow(self, rate: int) -> Narrow:
        """From now on people come over a line on which downloads have so many bytes per second."""
        self.narrow = Narrow(self.port, rate)
        self.base = self.narrow.base
        return self.narrow

    def kill(self) -> None:
        """End the server as ``kill -9`` does."""
        assert self.server is not None
        self.server.process.kill()
        self.server.process.wait()

    def stranger(self, size: tuple[int, int] = DESKTOP, **options: Any) -> Page:
        """A browser that is not signed in. What scripts break or the browser forbids is noted in ``faults``."""
        options = {"viewport": {"width": size[0], "height": size[1]}, "locale": "en-US"} | options
        if size == PHONE:
            options |= {"has_touch": True, "is_mobile": True}
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self._note(said.text) if said.type == "error" else None)
        return page

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text or "Trusted" in text or "TypeError" in text:
            self.faults.append(text)

    def person(self, size: tuple[int, int] = DESKTOP, path: str = "", **options: Any) -> Page:
        """A browser that is signed in and stands in a directory of the folder."""
        page = self.stranger(size, **options)
        self.enter(page)
        self.go(page, path)
        return page

    def enter(self, page: Page) -> None:
        """Sign a browser in."""
        assert self.server is not None
        if not self.cookies:
            found = _KEY.search(self.server.out)
            assert found is not None, self.server.out
            page.goto(re.sub(r"^http://[^/]+", self.base, found[1]))
            page.locator("main button.primary").first.click()
            page.wait_for_url(lambda url: "/enter" not in url)
            self.cookies = page.context.cookies()
        else:
            page.context.add_cookies(self.cookies)

    def go(self, page: Page, path: str = "") -> None:
        """Open a directory, and wait until the page is there."""
        page.goto(f"{self.base}/f/trip/{path}")
        page.locator(".app .under").wait_for()

    def leave(self, page: Page) -> None:
        """One browser is closed."""
        self._contexts.remove(page.context)
        page.context.close()

    def end(self) -> None:
        for context in self._contexts:
            context.close()
        if self.narrow is not None:
            self.narrow.close()
        if self.server is not None:
            self.server.end()
        assert self.forgiving or self.faults == [], "\n".join(self.faults)


@contextmanager
def place(home: Path, browser: Browser, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Place]:
    """Have a place; nothing that a script broke is forgiven at its end."""
    it = Place(home, browser, *arguments, settings=settings)
    try:
        yield it
    finally:
        it.end()


def row(page: Page, name: str) -> Any:
    """The row of an entry."""
    return page.locator(f'.rows .row[data-name="{name}"]')


def pick(page: Page, *names: str) -> None:
    """Tick entries by their boxes, and wait for the exact numbers of all of them."""
    for name in names:
        row(page, name).locator(".box").click()
    for name in names:  # rows and bar are drawn at once: from here on it tells nothing of fewer
        expect(row(page, name)).to_have_class(re.compile(r"\bpicked\b"))
    page.locator(".bar.exact, .bar.refused").wait_for()


def press_if_there(button: Locator) -> None:
    """Press what may have vanished by itself, as the page went on without."""
    button.evaluate_all("(all) => all.forEach((each) => each.click())")
