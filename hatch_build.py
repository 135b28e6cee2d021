"""What a build does beside copying: it puts the page's libraries into the package, from npm, as the lock file says.

``python hatch_build.py`` does that alone; ``make`` and ``pip install .`` do it by themselves. Nothing is fetched where
the libraries of this very lock file are there already, as in a source distribution.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, outside a build
    BuildHookInterface = object  # type: ignore[assignment, misc]

DESK = Path(__file__).parent / "src" / "pannier" / "desk"
VENDOR = DESK / "static" / "vendor"

# From the packages of npm to names that browsers find without a map of imports.
FILES = {
    "preact/dist/preact.mjs": "preact.js",
    "preact/hooks/dist/hooks.mjs": "hooks.js",
    "htm/dist/htm.module.js": "htm.js",
    "tus-js-client/dist/tus.min.js": "tus.js",
}
LICENSES = ("preact/LICENSE", "htm/LICENSE", "tus-js-client/LICENSE")


class VendorHook(BuildHookInterface):  # type: ignore[misc, type-arg]
    """Has the libraries in place before files are gathered."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling for wheels, source distributions and installations in place."""
        vendor()


def vendor() -> None:
    """Put the libraries into ``static/vendor``, if they are not there as the lock file says.

    Raises:
        SystemExit: npm is missing, or cannot fetch them.
    """
    lock = DESK / "package-lock.json"
    stamp = VENDOR / "package-lock.json"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "Pannier is built from a checkout with npm, which fetches the libraries of its page: install it "
            "(apt-get install npm), then try again; or install a wheel, which has them."
        )
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(DESK / name, temporary)
        done = subprocess.run(  # noqa: S603 - npm by its full path, with words of our own
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=temporary,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"npm could not fetch the libraries of the page:\n{done.stderr.strip()}")
        _copy(Path(temporary) / "node_modules")
    shutil.copy(lock, stamp)  # last: it means "complete"


def _copy(modules: Path) -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for source, name in FILES.items():
        text = (modules / source).read_text(encoding="utf-8")
        # browsers know no bare names; maps of sources are not shipped
        text = text.replace('from"preact"', 'from"./preact.js"')
        lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
        (VENDOR / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    licenses = [f"{source}\n\n{(modules / source).read_text(encoding='utf-8')}" for source in LICENSES]
    (VENDOR / "LICENSES.txt").write_text("\n\n".join(licenses), encoding="utf-8")


if __name__ == "__main__":
    vendor()
    sys.exit(0)
