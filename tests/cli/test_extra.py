"""What only a server needs is not needed by the commands of a client, and where it is missing that is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pannier.cli.failures import SERVER_EXTRA
from tests.cli.commands import LIMIT, environment, serving

WITHOUT = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(SERVER_EXTRA)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from pannier.cli import main
sys.exit(main(sys.argv[1:]))
"""


def client(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where only the client is installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("command", ["serve .", "proxy", "check-config", "checksums stats --json"])
def test_commands_of_a_server_name_the_extra(tmp_path: Path, command: str) -> None:
    done = client(tmp_path, *command.split())
    assert done.returncode == 2
    said = done.stdout if "--json" in command else done.stderr
    assert said.count("\n") == 1
    assert "this command needs what a server needs" in said
    assert "pip install 'pannier[server]'" in said


def test_commands_of_a_client_need_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    (tmp_path / "a.txt").write_text("a")
    with serving(tmp_path, tmp_path / "trip"):
        for command in ["put a.txt trip/", "ls trip", "plan trip", "link trip", "links", "mkdir trip/b"]:
            done = client(tmp_path, *command.split())
            assert (command, done.returncode, done.stderr if done.returncode else "") == (command, 0, "")
