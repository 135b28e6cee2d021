"""``pip install pannier`` is the client: nothing in it needs what only a server needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import environment
from tests.e2e import trees
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

_BLOCKED = """
import sys

class Blocked:
    names = set("structlog prometheus_client pydantic_settings jwt jinja2 zstandard segno cryptography".split())

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
sys.modules.pop("zstandard", None)
"""


def run(program: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BLOCKED + program, *arguments],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_module_of_the_library_can_be_imported(tmp_path: Path) -> None:
    program = """
import importlib, pkgutil, pannier.sdk
for module in pkgutil.iter_modules(pannier.sdk.__path__, "pannier.sdk."):
    importlib.import_module(module.name)
print(sorted(Blocked.names & set(sys.modules)))
"""
    done = run(program, home=tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("base") / "trip"
    trees.plant(folder, 51, small=10, large=(2 * MIB,))
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


_GET = "from pannier.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def test_get_works_and_says_what_it_lacks(server: Pannier, tmp_path: Path) -> None:
    done = run(_GET, "get", server.url(), "-o", "trip.zip", home=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(_GET, "get", server.url(format="tar.zst"), "-o", "trip.tar.zst", home=tmp_path)
    assert done.stdout == "saved trip.tar.zst; not checked inside, which needs the package zstandard\n", done.stderr
    done = run(_GET, "get", server.url(format="tar.zst"), "--extract", "trip", home=tmp_path)
    assert done.returncode == 1
    assert not (tmp_path / "trip.part").exists()
    assert done.stderr.endswith("a tar.zst needs the package zstandard: pip install zstandard\n")
