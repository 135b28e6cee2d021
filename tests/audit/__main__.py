"""`make audit`: known holes in the packages that requirements.lock pins, told by pip-audit.

    python -m tests.audit [--lock FILE] [-- OPTIONS OF pip-audit]

An audit that could not ask must not look like one that found nothing. pip-audit skips what a service does not know, and
takes an answer without advisories, which a mirror of an index may give, for one that there are none. So each package
has to be answered for, and first of all a version whose holes everybody knows has to be told of.

Exit code 1 if there are holes, 2 if it is not known.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
FULL_OF_HOLES = "jinja2==2.4"
"""Its holes (CVE-2014-0012, CVE-2019-10906, …) are in every list of advisories."""
_QUIET = ("--format", "json", "--progress-spinner", "off", "--disable-pip")


class NotAudited(Exception):
    """Nobody knows whether there are holes."""


def ask(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """Return what pip-audit was told of each package that this machine would install.

    Raises:
        NotAudited: It has told nothing.
    """
    command = [sys.executable, "-m", "pip_audit", *_QUIET, "--requirement", str(requirements), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        told: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NotAudited(f"pip-audit came to no answer: {reason}") from None
    return told


def audit(lock: Path, options: Sequence[str]) -> list[str]:
    """Return a line for each known hole.

    Raises:
        NotAudited: The service tells of no holes, or does not know some of the packages.
    """
    with tempfile.TemporaryDirectory() as directory:
        known = Path(directory) / "known.txt"
        known.write_text(FULL_OF_HOLES)
        told = ask(known, "--no-deps", *options)
    if not any(each.get("vulns") for each in told):
        skipped = "".join(f" ({each['skip_reason']})" for each in told if "skip_reason" in each)
        raise NotAudited(f"the service that was asked tells of no hole even in {FULL_OF_HOLES}{skipped}")
    told = ask(lock, "--require-hashes", *options)
    if not told:
        raise NotAudited(f"{lock} names no package")
    unknown = [each["name"] for each in told if "skip_reason" in each]
    if unknown:
        raise NotAudited(f"{len(unknown)} of {len(told)} packages are not known to the service: {', '.join(unknown)}")
    print(f"{len(told)} packages were asked about")
    return [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in told
        for hole in each["vulns"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make audit", description="Look for known holes in what is built on.")
    parser.add_argument("--lock", type=Path, default=REPOSITORY / "requirements.lock", metavar="FILE")
    parser.add_argument("options", nargs="*", help="of pip-audit, behind --: another service, for example")
    given = parser.parse_args()
    try:
        holes = audit(given.lock, given.options)
    except NotAudited as error:
        print(f"NOT AUDITED: {error}", file=sys.stderr)
        return 2
    print("\n".join(holes) or "none has a known hole")
    return int(bool(holes))


if __name__ == "__main__":
    sys.exit(main())
