"""A part of `make fuzz` that is the same each time: what was found before, then so many inputs from one seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import CORPUS, REPOSITORY, command
from tests.fuzz.targets import TARGETS

RUNS = {"toml": 150, "jwt": 1_500, "path": 5_000, "conditions": 3_000, "range": 2_000, "globs": 6_000, "names": 6_000}
"""Inputs of targets that are slower than others."""
USUAL = 10_000
USUALLY = ("range", "tus")
"""Targets that every run of the tests tries: CI gives some seconds to each of them by `make fuzz`."""

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 14) or sys.platform != "linux", reason="atheris has no wheels there (pyproject.toml)"
)


def run(name: str, tmp_path: Path, runs: int) -> subprocess.CompletedProcess[str]:
    # By a shell that forks: the highest memory of whoever starts a program counts as the program's own (getrusage(2)),
    # and libFuzzer holds that against its limit, where this process has had gigabytes for another test.
    forked = ["sh", "-c", '"$@"; exit $?', "sh"]
    asked = [*forked, *command(name, tmp_path / name, f"-runs={runs}", "-seed=1")]
    return subprocess.run(asked, capture_output=True, text=True, errors="replace", cwd=REPOSITORY, check=False)


def test_every_target_has_a_corpus() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_in_the_corpus_breaks_nothing(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    assert files
    for file in files:
        TARGETS[name](file.read_bytes())


@pytest.mark.parametrize(
    "name", [name if name in USUALLY else pytest.param(name, marks=pytest.mark.slow) for name in TARGETS]
)
def test_no_input_breaks_a_parser(name: str, tmp_path: Path) -> None:
    done = run(name, tmp_path, RUNS.get(name, USUAL))
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]


def test_a_failure_is_found(tmp_path: Path) -> None:
    """Three bytes in a row by chance are one in sixteen million: this one is found by what inputs reach."""
    done = run("planted", tmp_path, 60_000)
    assert done.returncode != 0
    assert "AssertionError: planted" in done.stdout + done.stderr
    assert [each.read_bytes()[:3] for each in tmp_path.glob("planted-crash-*")] == [b"FUZ"]
