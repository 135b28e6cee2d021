"""The examples of ``docs/downloading.md``, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.commands import LIMIT, REPOSITORY, environment, serving


def test_the_examples_of_the_page_work(tmp_path: Path) -> None:
    (tmp_path / "trip/photos").mkdir(parents=True)
    for number in range(8):
        (tmp_path / f"trip/photos/{number}.jpg").write_bytes(os.urandom(1_000_000))
    page = (REPOSITORY / "docs" / "downloading.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    script = f'pannier() {{ "{sys.executable}" -m pannier "$@"; }}\n' + "".join(blocks)
    with serving(tmp_path, tmp_path / "trip"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environment(tmp_path),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("No errors detected") == 3
