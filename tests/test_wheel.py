"""What is built: the wheel and the source distribution hold the page with its libraries, and who has no npm is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
DESK = Path("src/pannier/desk")
VENDOR = {"preact.js", "hooks.js", "htm.js", "tus.js", "LICENSES.txt"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what ``hatchling build`` makes of this tree, without a network."""
    directory = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(directory)],
        cwd=REPOSITORY,
        env={**os.environ, "npm_config_offline": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def sources() -> set[str]:
    """The files of the package, as far as git knows them."""
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "src/pannier"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.removeprefix("src/") for name in told.stdout.split("\0") if name}


def test_the_wheel_holds_the_package_and_the_libraries_of_its_page(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("pannier/")}
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "pannier = pannier.cli:command" in archive.read(entry_points).decode()
    lock_files = {"pannier/desk/package.json", "pannier/desk/package-lock.json"}
    vendor = {f"pannier/desk/static/vendor/{name}" for name in VENDOR | {"package-lock.json"}}
    assert names == (sources() - lock_files) | vendor


def test_the_page_is_served_from_the_wheel_itself(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    code = (
        "import pannier, pannier.desk.assets as assets; assert '.whl' in pannier.__file__, pannier.__file__;"
        "it = assets.Assets(''); assert 'page/main.js' in it and 'vendor/preact.js' in it"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        cwd=built,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_wheel_can_be_built_from_the_source_distribution_without_npm(built: Path, tmp_path: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    held = {path.name for path in (tree / DESK / "static" / "vendor").iterdir()}
    assert held >= VENDOR
    done = run_hook(tree)
    assert done.returncode == 0, done.stderr


def test_who_has_no_npm_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / DESK).mkdir(parents=True)
    shutil.copy(REPOSITORY / "hatch_build.py", tmp_path)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(REPOSITORY / DESK / name, tmp_path / DESK)
    done = run_hook(tmp_path)
    assert done.returncode == 1
    assert "apt-get install npm" in done.stderr
    assert "or install a wheel" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / DESK / "static" / "vendor").exists()


def run_hook(tree: Path) -> subprocess.CompletedProcess[str]:
    """Fetch the libraries of a tree, where no program of others is found."""
    return subprocess.run(
        [sys.executable, "hatch_build.py"],
        cwd=tree,
        env={**os.environ, "PATH": str(tree / "nothing")},
        capture_output=True,
        text=True,
        check=False,
    )
