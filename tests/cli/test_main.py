"""The command itself: version, help, wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pannier import __version__
from tests.cli.commands import LIMIT, environment, pannier


def test_the_version_is_one_line_on_stdout(tmp_path: Path) -> None:
    """And nothing else."""
    done = pannier("--version", home=tmp_path, apart=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pannier {__version__}\n", "")


@pytest.mark.parametrize("command", [(), ("serve",), ("proxy",), ("link",), ("check-config",)])
def test_each_help_ends_with_an_example(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Which names the command."""
    done = pannier(*command, "--help", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    example = done.stdout.partition("Example:\n")[2]
    assert example.strip().startswith(" ".join(["pannier", *command]))


def test_without_a_command_the_help_is_shown_on_stderr(tmp_path: Path) -> None:
    """That is wrong usage."""
    done = pannier(home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: pannier" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("frobnicate",), "no such command 'frobnicate'"),
        (("serve",), "missing argument 'PATH"),
        (("serve", "--prot", "1", "."), "no such option: --prot"),
        (("serve", "/no/such/directory"), "'/no/such/directory' does not exist"),
        (("serve", "/etc/passwd"), "'/etc/passwd' is a file"),
        (("serve", "--port", "70000", "."), "value for '--port': it should be"),
        (("serve", "--port", "x", "."), "value for '--port': it should be"),
        (("link",), "missing argument 'PATH"),
        (("link", "--links", "maybe", "x"), "'maybe' is not one of"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    """It names what is wrong and where help is."""
    done = pannier(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pannier: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert "--help" in done.stderr


REQUIRED = {
    "PANNIER_STORAGE_PROXY__SECRET": "s" * 43,
    "PANNIER_STORAGE_PROXY__SESSION_EXPIRE": "1d",
    "PANNIER_API__MANAGER__SECRET": "m" * 43,
}


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    """As in ``pannier check-config | head -1``."""
    command = [sys.executable, "-m", "pannier", "check-config"]
    env = environment(tmp_path, **REQUIRED)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert said == ""


@pytest.mark.parametrize(
    ("redirection", "code", "out", "err"),
    [
        (">/dev/full", 1, "", "pannier: stdout: cannot be written (No space left on device); give it another place\n"),
        ("2>/dev/full", 1, "storage-proxy.secret = (secret, 43 bytes)", ""),
        (">&-", 0, "", "settings are valid, 0 warnings\n"),
        ("2>&-", 0, "storage-proxy.secret = (secret, 43 bytes)", ""),
    ],
)
def test_a_place_that_takes_no_line_is_no_traceback(
    tmp_path: Path, redirection: str, code: int, out: str, err: str
) -> None:
    """A full disk is told where that is possible; what the caller closed wants nothing."""
    command = ["sh", "-c", f'exec "{sys.executable}" -m pannier check-config {redirection}']
    done = subprocess.run(
        command, env=environment(tmp_path, **REQUIRED), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stdout.partition("\n")[0], done.stderr) == (code, out, err)
