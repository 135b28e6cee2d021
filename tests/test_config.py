"""Settings: where they come from, what is refused and in which words, what is warned about."""

from __future__ import annotations

import grp
import os
import pwd
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pannier.config import Address, Settings, load
from pannier.config.complaints import toml_key
from pannier.config.foreign import why_not_used
from pannier.config.reference import settings_reference
from pannier.errors import ConfigInvalid
from pannier.quantities import DAY, GIB, MIB

TOKEN, MANAGER = "t" * 43, "m" * 43
REQUIRED = f"""
[storage-proxy]
secret = "{TOKEN}"
session-expire = "1d"
[api.manager]
secret = "{MANAGER}"
"""
SAMPLE = Path(__file__).parent.parent / "examples" / "sample-config.toml"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("PANNIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", "/state-home")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pannier.toml"
    path.touch(0o600)
    path.write_text(REQUIRED)
    return path


def refusal(path: Path | None, **flags: Any) -> ConfigInvalid:
    """Load what must be refused."""
    with pytest.raises(ConfigInvalid) as caught:
        load(path, **flags)
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert TOKEN not in text
    assert MANAGER not in text
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # pydantic's error shows the input
    return caught.value


def test_defaults_are_those_of_the_wire(config: Path) -> None:
    """Addresses, limits and lifetimes, when only the required keys are given."""
    settings = load(config)
    assert str(settings.api.client.service_addr) == "127.0.0.1:6021"
    assert str(settings.api.manager.service_addr) == "127.0.0.1:6022"
    assert str(settings.api.manager.internal_addr) == "127.0.0.1:16023"
    assert settings.storage_proxy.session_expire == DAY
    assert settings.storage_proxy.scandir_limit == 1000
    assert settings.storage_proxy.max_upload_size == 100 * GIB
    assert settings.limits.max_entries == 2_000_000
    assert settings.limits.max_selection_body == 64 * MIB
    assert settings.archive.late_checksum_above == 8 * GIB
    assert settings.drain_seconds == 30
    assert settings.state.path == Path("/state-home/pannier")
    assert settings.warnings() == []


def test_flags_beat_the_environment_which_beats_the_file_which_beats_fallbacks(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source in turn, key by key."""
    config.write_text(REQUIRED + '[limits]\nmax-depth = 3\nmax-entries = 3\nplan-seconds = "3s"\n')
    monkeypatch.setenv("PANNIER_LIMITS__MAX_DEPTH", "2")
    monkeypatch.setenv("PANNIER_LIMITS__MAX_ENTRIES", "2")
    fallbacks = {"limits": dict.fromkeys(("max_depth", "max_entries", "plan_seconds", "plan_linger"), 4)}
    limits = load(config, limits={"max_depth": 1}, fallbacks=fallbacks).limits
    assert (limits.max_depth, limits.max_entries, limits.plan_seconds, limits.plan_linger) == (1, 2, 3, 4)
    assert limits.max_concurrent_plans == 8


def test_keys_take_hyphens_or_underscores_and_volume_names_keep_theirs(config: Path) -> None:
    """At every level, and the options of a backend as well."""
    text = REQUIRED.replace("storage-proxy", "storage_proxy").replace("session-expire", "session_expire")
    config.write_text(
        text + '[volume.my-data_1]\nbackend = "s3"\npath = "/d"\n[volume.my-data_1.options]\nend-point = 1\n'
    )
    settings = load(config)
    assert list(settings.volume) == ["my-data_1"]
    assert settings.volume["my-data_1"].options == {"end_point": 1}


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers need no file; lists are separated by commas; a new volume is named in lower case."""
    for name, value in {
        "STORAGE_PROXY__SECRET": TOKEN,
        "STORAGE_PROXY__SESSION_EXPIRE": "1h",
        "API__MANAGER__SECRET": MANAGER,
        "API__CLIENT__SERVICE_ADDR": "0.0.0.0:80",
        "API__CLIENT__TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "API__CLIENT__CORS_ORIGINS": "https://a.example,https://B.example:8443",
        "VOLUME__LOCAL__BACKEND": "posix",
        "VOLUME__LOCAL__PATH": "/",
        "DRAIN_SECONDS": "1m",
        "LOG__LEVEL": "WARNING",
    }.items():
        monkeypatch.setenv(f"PANNIER_{name}", value)
    settings = load()
    assert settings.api.client.service_addr == Address("0.0.0.0", 80)
    assert [str(each) for each in settings.api.client.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.api.client.cors_origins == ["https://a.example", "https://b.example:8443"]
    assert list(settings.volume) == ["local"]
    assert (settings.drain_seconds, settings.log.level) == (60, "warning")


def test_a_variable_meets_the_volume_of_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell cannot spell ``My-Data``, so case and hyphens do not matter."""
    config.write_text(REQUIRED + '[volume.My-Data]\nbackend = "posix"\npath = "/nowhere"\n')
    monkeypatch.setenv("PANNIER_VOLUME__MY_DATA__PATH", "/")
    settings = load(config)
    assert {name: volume.path for name, volume in settings.volume.items()} == {"My-Data": Path("/")}


ADDRESSES = [
    ('"127.0.0.1:1"', Address("127.0.0.1", 1)),
    ('"[::1]:6021"', Address("::1", 6021)),
    ('"localhost:0"', Address("localhost", 0)),
    ('{ host = "0.0.0.0", port = 80 }', Address("0.0.0.0", 80)),
    ('{ host = "::", port = 80 }', Address("::", 80)),
]


@pytest.mark.parametrize(("written", "address"), ADDRESSES)
def test_addresses_are_text_or_tables(config: Path, written: str, address: Address) -> None:
    """And their text reads back to the same."""
    config.write_text(REQUIRED + f"[api.client]\nservice-addr = {written}\n")
    assert load(config).api.client.service_addr == address
    assert Address.parse(str(address)) == address


# What is wrong, and what the message must say: the key as the file spells it, the value, the way out.
WRONG = [
    ("[limits]\nmax-entrys = 1", r"^limits\.max-entrys: there is no such setting; did you mean max-entries\?"),
    ("[limitz]\nx = 1", r"^limitz: there is no such setting; did you mean limits\?"),
    ("[limits]\nmax-entries = 'abc'", r"^limits\.max-entries: 'abc' should be a valid integer.*default, 2000000"),
    ("[limits]\nmax-entries = 0", r"^limits\.max-entries: 0 is out of range: at least 1"),
    ("[limits]\nmax-depth = true\n[log]\nlevel = 1", r"^log\.level: 1 is not known: it is one of 'debug'"),
    (
        "[limits]\nplan-seconds = '2 parsecs'",
        r"^limits\.plan-seconds: '2 parsecs' cannot be used: 'parsecs' is no unit",
    ),
    (
        "[archive]\nlate-checksum-above = '3g'",
        r"^archive\.late-checksum-above: '3g' .*at least 4g.*readers cannot read",
    ),
    ("[archive]\nhash-ahead = '1 GB'", r"^archive\.hash-ahead: '1 GB' .*powers of 1000 or of 1024"),
    ("[archive]\nplan-fresh-min = '2m'", r"^archive\.plan-fresh-min: is longer than archive\.plan-fresh-max"),
    ("limits = 3", r"^limits: 3 should be a table"),
    ("[volume.x]\npath = '/'", r"^volume\.x\.backend: is required.*PANNIER_VOLUME__X__BACKEND"),
    ("[volume.'a/b']\nbackend = 'posix'\npath = '/'", r'^volume\."a/b": .*is no name for a volume'),
    ("[volume.x]\nbackend = 'posix'\npath = '/'\nbakend = 'hush'", r"^volume\.x\.bakend: .*did you mean backend"),
    ("[api.client]\nservice-addr = 'here'", r"^api\.client\.service-addr: 'here' .*127\.0\.0\.1:6021"),
    ("[api.client]\nservice-addr = '::1:80'", r"^api\.client\.service-addr: '::1:80' "),
    ("[api.client]\nservice-addr = '127.0.0.1:65536'", r"^api\.client\.service-addr: .*between 0 and 65535"),
    ("[api.client]\nservice-addr = {host = '127.0.0.1'}", r"^api\.client\.service-addr: the value cannot be used"),
    (
        "[api.client]\nservice-addr = '0.0.0.0:6022'",
        r"^api\.manager\.service-addr: '127\.0\.0\.1:6022' is taken by api\.cl",
    ),
    (
        "[api.client]\ntrusted-proxies = ['10.0.0.x']",
        r"^api\.client\.trusted-proxies\[0\]: '10\.0\.0\.x' is not a valid",
    ),
    ("[api.client]\ncors-origins = ['*']", r"^api\.client\.cors-origins\[0\]: '\*' is no origin; .*empty list"),
    ("[api.client]\ncors-origins = ['https://a/b']", r"^api\.client\.cors-origins\[0\]: 'https://a/b' is no origin"),
    ("[api.client]\npublic-url = 'http://u:hush@h'", r"^api\.client\.public-url: is no base URL"),
    ("[api.client]\npublic-url = 'http://[x'", r"^api\.client\.public-url: is no base URL"),
    ("[api.client]\npath-prefix = '/../x'", r"^api\.client\.path-prefix: '/\.\./x' climbs"),
    ("[api.client]\nssl-enabled = true", r"^api\.client\.ssl-cert: is missing while ssl-enabled"),
    (
        "[api.client]\nssl-enabled = true\nssl-cert = '/no/cert'",
        r"^api\.client\.ssl-cert: '/no/cert' cannot be read \(No s",
    ),
    ("[storage_proxy]\nuser = 1", r"^storage-proxy: is given twice"),
]


@pytest.mark.parametrize(("extra", "message"), WRONG)
def test_a_wrong_setting_is_told_by_key_value_and_way_out(config: Path, extra: str, message: str) -> None:
    """One line for each, none of which shows what a misspelled key or a table holds."""
    config.write_text(extra + REQUIRED if extra.startswith("limits") else REQUIRED + extra)
    error = refusal(config)
    assert re.search(message, str(error)), str(error)
    assert "\n" not in str(error)
    assert "hush" not in str(error)


def test_every_wrong_setting_is_told(config: Path) -> None:
    """The first is raised, the others are its notes."""
    config.write_text(REQUIRED + "[limits]\nmax-depth = 0\nplan-seconds = 0\n[log]\nformat = 'xml'\n")
    error = refusal(config)
    told = [str(error), *error.__notes__]
    assert [each.split(":")[0] for each in told] == ["limits.max-depth", "limits.plan-seconds", "log.format"]


def test_required_settings_name_both_ways_to_give_them() -> None:
    """There is no default for a secret nor for a token's lifetime."""
    error = refusal(None)
    told = "\n".join([str(error), *error.__notes__])
    for key, variable in [
        ("storage-proxy.secret", "PANNIER_STORAGE_PROXY__SECRET"),
        ("storage-proxy.session-expire", "PANNIER_STORAGE_PROXY__SESSION_EXPIRE"),
        ("api.manager.secret", "PANNIER_API__MANAGER__SECRET"),
    ]:
        assert re.search(rf"^{key}: is required.*{variable}", told, re.MULTILINE)


@pytest.mark.parametrize(
    ("section", "bad"), [("storage-proxy", "s" * 31), ("api.manager", "s" * 15), ("storage-proxy", ["a-list"])]
)
def test_bad_secrets_are_refused_and_never_shown(config: Path, section: str, bad: object) -> None:
    """Too short or of the wrong type: the message tells the length at most."""
    config.write_text(REQUIRED.replace(f'"{TOKEN if section == "storage-proxy" else MANAGER}"', repr(bad)))
    error = refusal(config)
    assert str(error).startswith(f"{section}.secret: ")
    assert "sss" not in str(error)
    assert "a-list" not in str(error)


def test_a_wrong_variable_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person must know where to look."""
    monkeypatch.setenv("PANNIER_LIMITS__MAX_DEPTH", "deep")
    assert "(from PANNIER_LIMITS__MAX_DEPTH)" in str(refusal(config))
    monkeypatch.delenv("PANNIER_LIMITS__MAX_DEPTH")
    monkeypatch.setenv("PANNIER_LIMIT__MAX_DEPTH", "9")
    assert "limit: there is no such setting (from PANNIER_LIMIT__MAX_DEPTH)" in str(refusal(config))


def test_variables_that_orchestrators_set_do_no_harm(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what looks like a setting is remarked."""
    monkeypatch.setenv("PANNIER_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("PANNIER_PORT_6021_TCP", "tcp://10.0.0.1:6021")
    monkeypatch.setenv("PANNIER_DRAIN_SECOND", "1")
    remarks = load(config).warnings()
    assert remarks == ["PANNIER_DRAIN_SECOND: is no setting and has no effect; did you mean DRAIN_SECONDS?"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = 1d\n", r"is no TOML: .*line 2"),
        (b"a = 1\nb = '\xff'\n", r"is not UTF-8 \(line 2\)"),
        (b"a=" + b"[" * 100_000, r"no TOML|too deep"),
        (b"#" * (2**20 + 1), r"is larger than"),
    ],
)
def test_a_file_that_is_no_toml_is_told_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    """Instead of a traceback."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    assert re.search(message, str(refusal(path)))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or a directory."""
    assert "No such file" in str(refusal(tmp_path / "none.toml"))
    assert "Is a directory" in str(refusal(tmp_path))


def test_secrets_are_in_no_text_of_the_settings(config: Path) -> None:
    """Neither repr nor str, options of backends included."""
    config.write_text(REQUIRED + '[volume.x]\nbackend = "s3"\npath = "/"\noptions = { key = "hush" }\n')
    settings = load(config)
    text = f"{settings!r} {settings} {settings.model_dump()}"
    assert TOKEN not in text
    assert MANAGER not in text
    assert "hush" not in f"{settings!r} {settings}"


def test_settings_cannot_be_changed_afterwards(config: Path) -> None:
    """What was checked stays so."""
    settings = load(config)
    with pytest.raises(ValueError, match="frozen"):
        settings.limits.max_depth = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.drain_seconds = 1  # type: ignore[misc]


def test_what_needs_a_look_is_warned_about(config: Path) -> None:
    """Short manager secrets, open listeners, long-lived tokens, missing directories, readable files."""
    text = REQUIRED.replace(MANAGER, "m" * 31).replace("1d", "1yr")
    text += 'service-addr = "0.0.0.0:6022"\ninternal-addr = "0.0.0.0:16023"\n'
    config.write_text(text + '[volume.x]\nbackend = "vfs"\npath = "/no/such"\n')
    config.chmod(0o644)
    keys = [warning.split(": ")[0] for warning in load(config).warnings()]
    assert keys == [
        "api.manager.secret",
        "api.manager.service-addr",
        "api.manager.internal-addr",
        "storage-proxy.session-expire",
        "volume.x.path",
        str(config),
    ]


def test_a_file_of_the_reference_storage_proxy_works_and_says_what_has_no_effect(config: Path) -> None:
    """Sections and keys that only it has are dropped aloud; keys we take but do not act on are told."""
    extra = 'num-proc = 4\nevent-loop = "asyncio"\nuse-watcher = false\n'
    extra += '[api.client]\nservice-addr = { host = "::1", port = 1 }\n'
    config.write_text(
        REQUIRED.replace("[api.manager]", extra + "[api.manager]")
        + '[etcd]\naddr = { host = "h", port = 1 }\n[debug]\n'
    )
    foreign = "of the reference storage proxy, without effect here"
    assert load(config).warnings() == [
        f"etcd: {foreign} (addr)",
        f'debug: {foreign}; log.level = "debug" says more',
        f"storage-proxy.use-watcher: {foreign}",
        f"storage-proxy.num-proc: {foreign}; one process serves, with threads on all processors",
    ]


def test_whom_this_has_to_run_as_is_taken_by_id_or_name(config: Path) -> None:
    """And refused for anybody else; -1 is whoever it is, as in the reference."""
    name, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    for user, its_group in (
        (os.geteuid(), os.getegid()),
        (f'"{os.geteuid()}"', f'"{os.getegid()}"'),
        (f'"{name}"', f'"{group}"'),
        (-1, -1),
    ):
        config.write_text(REQUIRED.replace("[api.manager]", f"user = {user}\ngroup = {its_group}\n[api.manager]"))
        assert load(config).warnings() == []
    config.write_text(REQUIRED.replace("[api.manager]", f"user = {os.geteuid() + 1}\n[api.manager]"))
    assert re.search(r"^storage-proxy\.user: is \d+, but this process runs as \d+", str(refusal(config)))


def _leaves(model: type[BaseModel], above: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        assert field.description, f"{model.__name__}.{name} has no description"
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= _leaves(inner, (*above, name))
        elif name not in ("volume", "ring"):
            found[toml_key((*above, name))] = field
    return found


def test_the_sample_file_loads_and_knows_every_setting_and_default() -> None:
    """Commented lines included: the sample cannot drift from the code."""
    text = SAMPLE.read_text()
    assert tomllib.loads(text)
    load(SAMPLE)
    with_defaults = re.sub(r"^# (?=[a-z-]+ = )", "", text, flags=re.MULTILINE)
    whole = re.sub(r"^#: (?=[a-z-]+ = )", "", with_defaults, flags=re.MULTILINE)
    written = _flat(tomllib.loads(whole))
    leaves = _leaves(Settings)
    assert set(written) - {key for key in written if key.startswith("volume.")} == set(leaves)


def test_the_sample_file_shows_the_real_defaults(tmp_path: Path) -> None:
    """Uncommenting a default changes nothing."""
    path = tmp_path / "sample.toml"
    path.write_text(re.sub(r"^# (?=[a-z-]+ = )", "", SAMPLE.read_text(), flags=re.MULTILINE))
    assert load(path).model_dump() == load(SAMPLE).model_dump()


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def test_what_is_not_used_is_marked_on_the_field() -> None:
    """The settings reference and check-config read the same mark."""
    marked = {key for key, field in _leaves(Settings).items() if why_not_used(field)}
    assert "storage-proxy.pid-file" in marked
    assert "storage-proxy.secret" not in marked


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    """`make configuration` writes it again."""
    page = (SAMPLE.parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert f"<!-- made by `make configuration` -->\n\n{settings_reference()}\n<!-- end of what is made -->" in page
    rows = re.findall(r"^### (?:`\[(.*)\]`|Above all tables)$|^\| `([a-z-]+)` \|", settings_reference(), re.MULTILINE)
    found, table = set[str](), ""
    for heading, key in rows:
        if key:
            found.add(f"{table}.{key}" if table else key)
        else:
            table = heading
    named = ("volume.NAME.", "keys.ring.NAME.")
    assert {key for key in found if not key.startswith(named)} == set(_leaves(Settings))
    assert {key for key in found if key.startswith(named)} == {
        *(f"volume.NAME.{name}" for name in ("backend", "path", "fsprefix", "options")),
        *(f"keys.ring.NAME.{name}" for name in ("alg", "secret", "private-key", "public-key")),
    }


# ---------------------------------------------------------------- keys


def keys(text: str) -> str:
    return REQUIRED + "[keys]\n" + text


def test_keys_of_the_ring_keep_their_names_and_are_set_from_the_environment_too(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As volumes do."""
    config.write_text(keys(f'active = "my-key_1"\n[keys.ring.my-key_1]\nalg = "HS256"\nsecret = "{"a" * 43}"\n'))
    monkeypatch.setenv("PANNIER_KEYS__RING__MY_KEY_1__SECRET", "b" * 43)
    monkeypatch.setenv("PANNIER_KEYS__RING__NEXT__ALG", "HS256")
    monkeypatch.setenv("PANNIER_KEYS__RING__NEXT__SECRET", "c" * 43)
    monkeypatch.setenv("PANNIER_KEYS__FORMER_SECRETS", f"{'d' * 43}, {'e' * 43}")
    loaded = load(config).keys
    secrets = {name: key.secret.get_secret_value() for name, key in loaded.ring.items() if key.secret}
    assert secrets == {"my-key_1": "b" * 43, "next": "c" * 43}
    assert [each.get_secret_value() for each in loaded.former_secrets] == ["d" * 43, "e" * 43]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('active = "k"', "keys.active", "is no key of keys.ring"),
        ('active = "k"\n[keys.ring.k]\nalg = "EdDSA"\npublic-key = "/k"', "keys.active", "cannot sign"),
        ('[keys.ring."a/b"]\nalg = "HS256"', "keys.ring.a/b", "is no name for a key"),
        ('[keys.ring.k]\nalg = "none"', "keys.ring.k.alg", "is not known"),
        ('[keys.ring.k]\nsecret = "x"', "keys.ring.k.alg", "is required"),
        ('[keys.ring.k]\nalg = "HS256"', "keys.ring.k", "exactly one of: secret"),
        ('[keys.ring.k]\nalg = "EdDSA"', "keys.ring.k", "exactly one of: private-key or public-key"),
        (
            '[keys.ring.k]\nalg = "EdDSA"\nprivate-key = "/a"\npublic-key = "/b"',
            "keys.ring.k",
            "exactly one of: private-key or public-key",
        ),
        ('[keys.ring.k]\nalg = "HS256"\nprivate-key = "/a"', "keys.ring.k.private-key", "is no part of a key of HS256"),
        ('[keys.ring.k]\nalg = "EdDSA"\nsecret = "tttttt"', "keys.ring.k.secret", "is no part of a key of EdDSA"),
        ('[keys.ring.k]\nalg = "HS256"\nsecret = "SHORTSECRET"', "keys.ring.k.secret", "has 11 bytes"),
        ('[keys.ring.k]\nalg = "HS256"\nsecret = 77777', "keys.ring.k.secret", "the value"),
        ('former-secrets = ["SHORTSECRET"]', "keys.former-secrets", "less than 32 bytes"),
        ("former-secrets = [77777]", "keys.former-secrets[0]", "the value"),
        ('audience = ""', "keys.audience", ""),
    ],
)
def test_what_is_wrong_with_keys_is_told_without_what_they_are(config: Path, text: str, key: str, reason: str) -> None:
    """One line, by the name of the setting."""
    config.write_text(keys(text))
    refused = refusal(config)
    assert refused.key.replace('"', "") == key
    assert reason in refused.reason
    assert "SHORTSECRET" not in str(refused)
    assert "77777" not in str(refused)


def test_a_private_key_that_others_can_read_is_warned_about(config: Path, tmp_path: Path) -> None:
    """As of the file of the settings."""
    key = tmp_path / "k.pem"
    key.touch(0o644)
    config.write_text(keys(f'[keys.ring.k]\nalg = "EdDSA"\nprivate-key = "{key}"'))
    assert any(each.startswith("keys.ring.k.private-key: ") and "chmod 600" in each for each in load(config).warnings())


def test_an_asymmetric_key_beside_the_shared_secret_is_warned_about(config: Path) -> None:
    """As long as tokens under that secret are taken, whoever knows it can sign."""
    text = 'active = "k"\n[keys.ring.k]\nalg = "EdDSA"\nprivate-key = "/k"\n'
    config.write_text(keys(text))
    assert any(each.startswith("keys.accept-shared: ") for each in load(config).warnings())
    config.write_text(keys("accept-shared = false\n" + text))
    assert not any(each.startswith("keys.accept-shared: ") for each in load(config).warnings())
