"""``pannier check-config``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import REPOSITORY, pannier

GOOD = f"""
[storage-proxy]
secret = "{"t" * 43}"
session-expire = "1d"
[api.manager]
secret = "{"m" * 43}"
[volume.s]
backend = "s3"
path = "/bucket"
options = {{ access-key = "hush" }}
"""


def test_a_good_file_is_shown_without_its_secrets(tmp_path: Path) -> None:
    """Every setting in TOML's spelling, defaults marked; warnings on stderr; exit 0."""
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(GOOD + "[limits]\nmax-depth = 7\n")
    done = pannier("check-config", "--config", config, home=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "storage-proxy.secret = (secret, 43 bytes)" in lines
    assert 'storage-proxy.session-expire = "1d"' in lines
    assert "limits.max-depth = 7" in lines
    assert 'archive.late-checksum-above = "8g"  (default)' in lines
    assert 'api.client.service-addr = "127.0.0.1:6021"  (default)' in lines
    assert "volume.s.options = (not shown: access_key)" in lines
    assert done.stderr == "settings are valid, 0 warnings\n"
    for secret in ("ttt", "mmm", "hush"):
        assert secret not in done.stdout


def test_the_sample_file_is_good(tmp_path: Path) -> None:
    """What is not used yet and what is to be looked at stands on stderr."""
    sample = REPOSITORY / "examples" / "sample-config.toml"
    done = pannier("check-config", home=tmp_path, PANNIER_CONFIG=str(sample))
    assert done.returncode == 0
    assert "replace-me" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "storage-proxy.secret: is required"),
        (b"x = [", "is no TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"\0", "is no TOML"),
        (GOOD.encode() + b"[nonsense]\n", "nonsense: there is no such setting"),
        (GOOD.encode() + b"[limits]\nmax-entries = []\n", "limits.max-entries: [] should be"),
        (GOOD.encode() + b"[limits]\nmax-entries = 1e400\n", "limits.max-entries: inf should be"),
        (GOOD.encode() + b"[log]\nlevel = 1979-05-27\n", "log.level: "),
        (GOOD.encode() + b"[[archive]]\n", "archive: "),
        (GOOD.encode() + b"[volume]\n'' = {}\n", 'volume."": '),
        (GOOD.encode() + b"[volume]\nx = 1\n", "volume.x: 1 should be a table"),
    ],
)
def test_a_bad_file_is_told_in_lines_and_exit_1(tmp_path: Path, content: bytes, told: str) -> None:
    """Nothing is shown as if it were in force."""
    config = tmp_path / "c.toml"
    config.write_bytes(content)
    done = pannier("check-config", "--config", config, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert all(line.startswith("pannier: ") for line in done.stderr.splitlines())
    assert told in done.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the way out."""
    done = pannier("check-config", "--config", "none.toml", home=tmp_path)
    assert done.returncode == 1
    expected = "pannier: none.toml: cannot be read (No such file or directory); name a readable TOML file\n"
    assert done.stderr == expected
