"""How the page does with 100,000 entries in one folder, in Chromium: ``python -m tests.desk.measure [ENTRIES]``.

Prints times in milliseconds; frames are those of scrolling by 400 px and by 30,000 px.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.desk.browsing import launch, place

_SCROLL = """async () => {
    const grid = document.querySelector('.grid'), times = [];
    let last = performance.now();
    for (let i = 0; i < 200; i++) {
        grid.scrollTop += i < 100 ? 400 : 30000;
        if (grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1) grid.scrollTop = 0;
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - last);
        last = performance.now();
    }
    times.sort((a, b) => a - b);
    return {median: times[100], p95: times[190], longest: times[199]};
}"""
_FILTER = """async (queries) => {
    const field = document.querySelector('#filter'), said = document.querySelector('.under'), times = [];
    for (const query of queries) {
        const before = said.textContent, begun = performance.now();
        field.value = query;
        field.dispatchEvent(new Event('input', {bubbles: true}));
        while (said.textContent === before) await new Promise(requestAnimationFrame);
        times.push(performance.now() - begun);
    }
    return times;
}"""


def main(entries: int) -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = launch(playwright)
        with place(Path(home), browser) as it:
            big = it.root / "big"
            big.mkdir()
            for number in range(entries):
                (big / f"file-{number * 7919 % entries:06d}-사진.jpg").touch()
            it.start()
            page = it.person()
            page.context.set_default_timeout(300_000)
            page.set_default_timeout(300_000)
            begun = time.monotonic()
            page.goto(f"{it.base}/f/trip/big")
            page.locator(".rows .row").first.wait_for(timeout=300_000)
            first = time.monotonic() - begun
            page.locator(".under", has_text=f"{entries:,} entries;").wait_for(timeout=300_000)
            loaded = time.monotonic() - begun
            told = {
                "entries": entries,
                "load of the machine": os.getloadavg()[0],
                "first rows": round(first * 1000),
                "all rows": round(loaded * 1000),
                "scrolling": page.evaluate(_SCROLL),
                "filter, a key to paint": page.evaluate(_FILTER, ["0", "04", "042", "ㅅㅈ", ""]),
                "rows in the document": page.locator(".rows .row").count(),
            }
            page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
            told["heap of the page, MiB"] = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
            print(json.dumps(told, indent=2, ensure_ascii=False))
        browser.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
