"""``pannier check-config``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pannier.cli import main
from tests.cli.commands import LIMIT, REPOSITORY, certificate, chain, environment, pannier

GOOD = f"""
[storage-proxy]
secret = "{"t" * 43}"
session-expire = "1d"
[api.manager]
secret = "{"m" * 43}"
[volume.s]
backend = "posix"
path = "/"
options = {{ id = "hush" }}
"""


Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run ``pannier check-config`` in this process, and return its exit code, stdout and stderr."""
    for name in [each for each in os.environ if each.upper().startswith(("PANNIER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(config: Path | None = None, **more: str) -> tuple[int, str, str]:
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        code = main(["check-config", *([] if config is None else ["--config", str(config)])])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.touch(0o600)
    path.write_text(GOOD)
    return path


def test_a_good_file_is_shown_without_its_secrets(tmp_path: Path, config: Path) -> None:
    """Every setting in TOML's spelling, defaults marked; warnings on stderr; exit 0."""
    config.write_text(GOOD + "[limits]\nmax-depth = 7\n")
    done = pannier("check-config", "--config", config, home=tmp_path, apart=True)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "storage-proxy.secret = (secret, 43 bytes)" in lines
    assert 'storage-proxy.session-expire = "1d"' in lines
    assert "limits.max-depth = 7" in lines
    assert 'archive.late-checksum-above = "8g"  (default)' in lines
    assert 'api.client.service-addr = "127.0.0.1:6021"  (default)' in lines
    assert "volume.s.options = (not shown: id)" in lines
    assert done.stderr == "settings are valid, 0 warnings\n"
    for secret in ("ttt", "mmm", "hush"):
        assert secret not in done.stdout


def test_the_sample_file_is_good(check: Check) -> None:
    """What is not used yet and what is to be looked at stands on stderr."""
    code, out, err = check(PANNIER_CONFIG=str(REPOSITORY / "examples" / "sample-config.toml"))
    assert code == 0
    assert "replace-me" not in out + err
    assert err.count("is the one of the sample file, which everybody knows") == 2
    assert "warning: volume.local.path: '/srv/folders' is not a directory now\n" in err


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
        (GOOD.encode().replace(b'"posix"', b'"s4"'), "volume.s.backend: 's4' is not a backend; choose one of "),
        (GOOD.encode().replace(b"{ id", b"{ no-such"), "volume.s.no_such: "),
        (GOOD.encode() + b"[state]\npath = '~nobody-of-that-name/x'\n", "state.path: '~nobody-of-that-name/x': there"),
        (GOOD.encode().replace(b'mm"', b'mm\\n"'), "api.manager.secret: begins or ends with white space"),
        (GOOD.encode().replace(b'mm"', b'm\\u0007m"'), "api.manager.secret: begins or ends with white space"),
        (GOOD.encode() + b"[volume]\n'' = {}\n", 'volume."": '),
        (GOOD.encode() + b"[volume]\nx = 1\n", "volume.x: 1 should be a table"),
    ],
)
def test_a_bad_file_is_told_in_lines_and_exit_1(check: Check, config: Path, content: bytes, told: str) -> None:
    """Nothing is shown as if it were in force."""
    config.write_bytes(content)
    code, out, err = check(config)
    assert (code, out) == (1, "")
    assert all(line.startswith("pannier: ") for line in err.splitlines())
    assert told in err


def test_a_missing_file_is_named(check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the way out."""
    monkeypatch.chdir(tmp_path)
    code, _, err = check(Path("none.toml"))
    assert code == 1
    assert err == "pannier: none.toml: cannot be read (No such file or directory); name a readable TOML file\n"


@pytest.mark.parametrize(
    ("name", "key"), [("STORAGE_PROXY__SECRET", "storage-proxy"), ("API__MANAGER__SECRET", "api.manager")]
)
def test_a_secret_that_is_no_text_is_told_without_a_part_of_it(check: Check, config: Path, name: str, key: str) -> None:
    """The environment may hold any bytes."""
    code, out, err = check(config, **{f"PANNIER_{name}": os.fsdecode(b"\xff" * 40)})
    assert (code, out) == (1, "")
    assert err.startswith(f"pannier: {key}.secret: is not UTF-8; make one with: ")
    assert "udcff" not in err


@pytest.mark.parametrize(
    ("key", "length", "code", "told"),
    [
        ("t", 31, 1, "pannier: storage-proxy.secret: has 31 bytes, tokens need at least 32; make one with: "),
        ("t", 32, 0, "settings are valid, 0 warnings"),
        ("m", 15, 1, "pannier: api.manager.secret: has 15 bytes, at least 16 needed; make one with: "),
        ("m", 16, 0, "warning: api.manager.secret: has 16 bytes, 32 are better; make one with: "),
        ("m", 31, 0, "warning: api.manager.secret: has 31 bytes, 32 are better; make one with: "),
        ("m", 32, 0, "settings are valid, 0 warnings"),
    ],
)
def test_short_secrets_are_refused_or_warned_about(
    check: Check, config: Path, key: str, length: int, code: int, told: str
) -> None:
    """Keys of tokens under 32 bytes and manager secrets under 16 are refused, those under 32 are warned about."""
    config.write_text(GOOD.replace(key * 43, key * length))
    found, _, err = check(config)
    assert found == code
    assert err.startswith(told)


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates and keys, ``good`` and ``other``, and of ``garbage``."""
    folder = tmp_path_factory.mktemp("pems")
    certificate(folder, "good")
    certificate(folder, "other")
    (folder / "garbage").write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    (folder / "empty").touch()
    return folder


@pytest.mark.parametrize("listener", ["client", "manager"])
@pytest.mark.parametrize(
    ("cert", "key", "told"),
    [
        ("none", "good.key", "ssl-cert: '{}/none' cannot be read (No such file or directory); name a readable PEM"),
        ("good.pem", "none", "ssl-privkey: '{}/none' cannot be read (No such file or directory); name a readable PEM"),
        ("good.pem", "", "ssl-privkey: is missing while ssl-enabled is true; name the PEM file, or switch TLS off"),
        ("garbage", "good.key", "ssl-cert: '{}/garbage' holds no PEM certificate; name one that does"),
        ("empty", "good.key", "ssl-cert: '{}/empty' holds no PEM certificate; name one that does"),
        ("good.key", "good.key", "ssl-cert: '{}/good.key' holds no PEM certificate; name one that does"),
        ("good.pem", "garbage", "ssl-privkey: '{}/garbage' holds no PEM private key"),
        ("good.pem", "good.pem", "ssl-privkey: '{}/good.pem' holds no PEM private key"),
        ("good.pem", "other.key", "ssl-privkey: '{}/other.key' is not the key of '{}/good.pem'; name the key that"),
    ],
)
def test_tls_files_that_cannot_be_used_are_told_by_the_right_key(
    check: Check, config: Path, pems: Path, listener: str, cert: str, key: str, told: str
) -> None:
    """In one line, exit 1."""
    table = f'ssl-cert = "{pems / cert}"\n'
    table += f'ssl-privkey = "{pems / key}"\n' if key else ""
    config.write_text(_with_tls(listener, table))
    code, out, err = check(config)
    assert (code, out) == (1, "")
    assert err.startswith(f"pannier: api.{listener}.{told.replace('{}', str(pems))}")
    assert err.count("\n") == 1


def _with_tls(listener: str, table: str) -> str:
    return (GOOD + "[api.client]\n").replace(f"[api.{listener}]\n", f"[api.{listener}]\nssl-enabled = true\n{table}")


def test_a_good_certificate_is_taken(check: Check, config: Path, pems: Path) -> None:
    """Also where certificate and key stand in one file."""
    both = pems / "both"
    both.write_text((pems / "good.key").read_text() + (pems / "good.pem").read_text())
    for cert, key in (("good.pem", "good.key"), ("both", "both")):
        config.write_text(_with_tls("client", f'ssl-cert = "{pems / cert}"\nssl-privkey = "{pems / key}"\n'))
        assert check(config)[0] == 0


def test_a_chain_is_taken_in_its_order_alone(tmp_path: Path, check: Check, config: Path) -> None:
    """Clients are shown it as it stands in the file, the server's own certificate first."""
    made = chain(tmp_path)
    config.write_text(_with_tls("client", f'ssl-cert = "{made.shown}"\nssl-privkey = "{made.key}"\n'))
    assert check(config)[0] == 0
    first, second = made.shown.read_text().split("-----END CERTIFICATE-----\n")[:2]
    made.shown.write_text("".join(f"{each}-----END CERTIFICATE-----\n" for each in (second, first)))
    code, out, err = check(config)
    assert (code, out) == (1, "")
    told = (
        f"'{made.key}' is not the key of '{made.shown}'; name the key that belongs to it; in a chain, the server's own"
    )
    assert err.startswith(f"pannier: api.client.ssl-privkey: {told} certificate comes first")


def test_a_key_with_a_password_asks_nobody(tmp_path: Path, config: Path, pems: Path) -> None:
    """A service has nobody to type it in."""
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", str(pems / "good.key"), "-aes256", "-passout", "pass:abcd", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT)
    config.write_text(_with_tls("client", f'ssl-cert = "{pems / "good.pem"}"\nssl-privkey = "{locked}"\n'))
    done = pannier("check-config", "--config", config, home=tmp_path)
    assert done.returncode == 1
    reason = f"'{locked}' holds no PEM private key, or one with a password; name one without"
    assert done.stderr == f"pannier: api.client.ssl-privkey: {reason}\n"


def test_a_user_without_a_home_has_to_say_where_state_is_kept(tmp_path: Path, config: Path) -> None:
    """As in a container that runs under a number nobody knows."""
    lost = "import os, pwd, sys\nos.environ.pop('HOME')\nos.getuid = lambda: 2**31 - 7\n"
    program = f"{lost}from pannier.cli import main\nsys.exit(main(['check-config', '--config', {str(config)!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    told = "state.path: is not set, and this user has no home directory; set it, or XDG_STATE_HOME in the environment"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"pannier: {told}\n")
