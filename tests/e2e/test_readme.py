"""The README's quickstart, run as it stands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the folder that the README speaks of."""
    photos = tmp_path / "trip" / "photos"
    photos.mkdir(parents=True)
    for number in range(12):
        (photos / f"사진 {number}.jpg").write_bytes(os.urandom(1_000_000))
    (tmp_path / "trip" / "notes").mkdir()
    (tmp_path / "trip" / "notes" / "todo.txt").write_text("go\n")
    return tmp_path


def test_the_quickstart_ends_with_a_whole_archive(home: Path) -> None:
    serve, download = _BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # the default ports may be in use where the tests run
        "PANNIER_API__CLIENT__SERVICE_ADDR": "127.0.0.1:0",
        "PANNIER_API__MANAGER__SERVICE_ADDR": "127.0.0.1:0",
    }
    with subprocess.Popen(
        ["bash", "-euc", f"exec {serve}"], env=environment, cwd=home, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if line.startswith("  reach"):
                break
        try:
            script = download.replace("unzip -tq", "stat -c 'after the cut %s' trip.zip; unzip -tq", 1)
            script = script.replace("curl -sS -C -", "stat -c 'cut at %s' trip.zip; curl -sS -C -", 1)
            ran = subprocess.run(
                ["bash", "-euc", script], env=environment, cwd=home, capture_output=True, text=True, timeout=100
            )
        finally:
            server.send_signal(signal.SIGTERM)
    assert ran.returncode == 0, ran.stderr
    assert "No errors detected in compressed data of trip.zip." in ran.stdout
    cut, whole = (int(re.search(rf"{what} (\d+)", ran.stdout)[1]) for what in ("cut at", "after the cut"))  # type: ignore[index]
    assert 0 < cut < whole
    assert server.returncode == 0


def test_make_run_goes_through() -> None:
    """The example that `make run` runs."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "first_light.py")], capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stderr
    assert "every CRC-32 agrees" in ran.stdout
