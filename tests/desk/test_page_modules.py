"""The page's pure modules, by node's own test runner: tests/node/page."""

from __future__ import annotations

import subprocess
from pathlib import Path

NODE = Path(__file__).parents[1] / "node"


def test_the_pure_modules_of_the_page() -> None:
    done = subprocess.run(["node", "--test", "page/"], cwd=NODE, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "\n# pass " in done.stdout
