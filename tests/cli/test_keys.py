"""``pannier keys``: what it makes is what the settings take."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pannier.cli import main
from pannier.config import load
from pannier.parts import tokens_of
from tests.cli.commands import pannier

SETTINGS = f"""
[storage-proxy]
secret = "{"t" * 43}"
session-expire = "1d"
[api.manager]
secret = "{"m" * 43}"
[keys]
active = "k1"
"""


@pytest.mark.parametrize("alg", ["EdDSA", "HS256"])
def test_a_new_key_is_printed_as_the_settings_take_it(tmp_path: Path, alg: str) -> None:
    done = pannier("keys", "new", "k1", "--alg", alg, "--directory", tmp_path, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'keys.active = "k1"' in done.stderr
    config = tmp_path / "c.toml"
    config.touch(0o600)
    config.write_text(SETTINGS + done.stdout)
    settings = load(config)
    tokens_of(settings)
    assert [each for each in settings.warnings() if "keys" in each and "accept-shared" not in each] == []
    checked = pannier("check-config", "--config", config, home=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert f'keys.ring.k1.alg = "{alg}"' in checked.stdout
    for secret in re.findall(r'secret = "(.*)"', done.stdout):
        assert secret not in checked.stdout + checked.stderr
    if alg == "EdDSA":
        assert (tmp_path / "k1.pem").stat().st_mode & 0o777 == 0o600


def test_the_line_for_where_tokens_are_only_taken_is_good_too(tmp_path: Path) -> None:
    done = pannier("keys", "new", "k1", "--directory", tmp_path, home=tmp_path)
    (known,) = re.findall("^# .*: (public-key = .*)$", done.stdout, re.MULTILINE)
    config = tmp_path / "c.toml"
    config.touch(0o600)
    without_active = SETTINGS.replace('active = "k1"', "accept-shared = false")
    config.write_text(f'{without_active}[keys.ring.k1]\nalg = "EdDSA"\n{known}\n')
    tokens_of(load(config))
    assert any("takes tokens, signs none" in each for each in load(config).warnings())


def test_names_are_random_and_no_two_keys_are_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = set()
    for _ in range(20):
        assert main(["keys", "new", "--alg", "HS256"]) == 0
        ((kid, table),) = tomllib.loads(capsys.readouterr().out)["keys"]["ring"].items()
        secrets |= {kid, table["secret"]}
    assert len(secrets) == 40


@pytest.mark.parametrize("existing", ["k1.pem", "k1.pub.pem"])
@pytest.mark.parametrize("as_link", [False, True], ids=["file", "dangling link"])
def test_a_key_that_is_there_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], existing: str, as_link: bool
) -> None:
    place = tmp_path / existing
    if as_link:
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("a key in use")
    assert main(["keys", "new", "k1", "--directory", str(tmp_path)]) != 0
    said = capsys.readouterr()
    assert existing in said.err
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert as_link or place.read_text() == "a key in use"


@pytest.mark.parametrize("kid", ["", "../k", "a b", "ä", "x" * 65, "k.1", "k\n"])
def test_a_name_that_no_key_can_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], kid: str) -> None:
    assert main(["keys", "new", kid, "--directory", str(tmp_path)]) == 2
    assert "is no name for a key" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
