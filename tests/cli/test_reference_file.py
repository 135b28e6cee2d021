"""The file of Backend.AI's own storage proxy (WIRE section 1): taken as it stands, and nothing of it in silence."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pannier.cli import main
from tests.cli.commands import Running, ask, certificate, pannier

OF_THE_REFERENCE = "of the reference storage proxy, without effect here"
NOTES = [
    f"etcd: {OF_THE_REFERENCE} (namespace, addr, user, password)",
    f"redis: {OF_THE_REFERENCE} (addr)",
    f"debug: {OF_THE_REFERENCE} (enabled, asyncio, enhanced-aiomonitor-task-info, log-events); "
    'log.level = "debug" says more',
    f"logging: {OF_THE_REFERENCE} (level, drivers, pkg-ns, console, file); the log is set by log.level and log.format",
    f"pyroscope: {OF_THE_REFERENCE} (enabled, app-name)",
    f"otel: {OF_THE_REFERENCE} (enabled)",
    f"service-discovery: {OF_THE_REFERENCE} (type)",
    f"storages: {OF_THE_REFERENCE} (name, access-key, bucket)",
    f"registries: {OF_THE_REFERENCE} (name)",
    f"artifact-storages: {OF_THE_REFERENCE} (minio)",
    f"artifact-registries: {OF_THE_REFERENCE} (name, type, token)",
    f"reservoir-client: {OF_THE_REFERENCE} (timeout)",
    f"storage-proxy.aiomonitor-termui-port: {OF_THE_REFERENCE}",
    f"storage-proxy.aiomonitor-webui-port: {OF_THE_REFERENCE}",
    f"storage-proxy.use-experimental-redis-event-dispatcher: {OF_THE_REFERENCE}",
    f"storage-proxy.use-watcher: {OF_THE_REFERENCE}",
    f"storage-proxy.watcher-insock-path-prefix: {OF_THE_REFERENCE}",
    f"storage-proxy.watcher-outsock-path-prefix: {OF_THE_REFERENCE}",
    f"api.manager.announce-addr: {OF_THE_REFERENCE}",
    f"api.manager.announce-internal-addr: {OF_THE_REFERENCE}",
    f"storage-proxy.node-id: {OF_THE_REFERENCE}; nobody asks for it",
    f"storage-proxy.num-proc: {OF_THE_REFERENCE}; one process serves, with threads on all processors",
    f"storage-proxy.event-loop: {OF_THE_REFERENCE}; it is always asyncio's; bytes are moved by threads beside it",
    f"storage-proxy.ipc-base-path: {OF_THE_REFERENCE}; there is one process",
    f"storage-proxy.pid-file: {OF_THE_REFERENCE}; whoever starts the process knows it",
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    cert, key = certificate(tmp_path)
    text = Path(__file__).with_name("storage-proxy.toml").read_text()
    for name, value in {
        "user": str(os.geteuid()),
        "group": str(os.getegid()),
        "cert": str(cert),
        "key": str(key),
        "path": str(tmp_path),
    }.items():
        text = text.replace(f"@{name}@", value)
    path = tmp_path / "storage-proxy.toml"
    path.touch(0o600)
    path.write_text(text)
    return path


def test_the_whole_file_is_valid_and_each_key_without_effect_is_noted_once(tmp_path: Path, config: Path) -> None:
    """Units, addresses, spellings and names are what they are there."""
    done = pannier("check-config", "--config", config, home=tmp_path)
    assert done.returncode == 0, done.stderr
    *notes, summary = done.stderr.splitlines()
    assert notes == [f"warning: {note}" for note in NOTES]
    assert summary == f"settings are valid, {len(NOTES)} warnings"
    shown = done.stdout.splitlines()
    for line in (
        "storage-proxy.scandir-limit = 500",
        'storage-proxy.max-upload-size = "1536g"',
        'storage-proxy.session-expire = "14d"',
        "storage-proxy.allow-auto-quota-scope-creation = false",
        'api.client.service-addr = "127.0.0.1:0"',
        "api.client.ssl-enabled = true",
        "api.manager.ssl-enabled = false",
        'volume.local.backend = "vfs"',
        'volume.Local_2-b.fsprefix = "sub/folder"',
    ):
        assert line in shown
    assert "hush" not in done.stdout + done.stderr


def test_a_proxy_starts_with_it_and_says_the_same(tmp_path: Path, config: Path) -> None:
    """Three listeners, the client-facing one with TLS; both volumes."""
    proxy = Running(tmp_path, "proxy", "--config", config)
    try:
        proxy.wait_said(NOTES[-1] + "\n")
        lines = proxy.out.splitlines()
        assert [line.split("  warning   ")[1] for line in lines if "  warning   " in line] == NOTES
        urls = {line.split()[0]: line.split()[1] for line in lines[1:4]}
        assert urls["client"].startswith("https://")
        headers = {"X-BackendAI-Storage-Auth-Token": "hush-some-secret-shared-with-manager"}
        volumes = ask(urls["manager"] + "/volumes", headers=headers).document["volumes"]
        assert [(each["name"], each["backend"], each["fsprefix"]) for each in volumes] == [
            ("local", "vfs", "."),
            ("Local_2-b", "vfs", "sub/folder"),
        ]
        assert ask(urls["internal"] + "/readyz").status == 200
        assert proxy.stop() == 0
        assert "hush" not in proxy.out + proxy.err
    finally:
        proxy.end()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # what cannot be honoured, with the way out
        *(
            (
                'backend = "vfs"',
                f'backend = "{backend}"',
                rf"volume\.local\.backend: '{backend}' is a backend of the reference storage proxy that Pannier has "
                r'not; mount it, and serve its mount point as "posix"',
            )
            for backend in ("xfs", "cephfs", "purestorage", "netapp", "weka", "gpfs", "vast", "dellemc-onefs")
        ),
        ('backend = "vfs"', 'backend = "vsf"', r"volume\.local\.backend: 'vsf' is not a backend; choose one of "),
        (
            r"(?m)^user = \d+$",
            "user = 4000000",
            r"storage-proxy\.user: is 4000000, but this process runs as \d+ and changes to no other; start it as that "
            r"user \(User=, Group= in systemd; setpriv\), or leave it out$",
        ),
        ("group = .*", 'group = "4000000"', r"storage-proxy\.group: is '4000000', but this process runs as \d+ "),
        (r"(?m)^user = \d+$", 'user = "no-such-user"', r"storage-proxy\.user: 'no-such-user': there is no such user; "),
        ('session-expire = "2w"', "", r"storage-proxy\.session-expire: is required and has no default; "),
        ('"2w"', '"2 fortnights"', r"storage-proxy\.session-expire: '2 fortnights' cannot be used: "),
        ('"1.5t"', '"1.5TB"', r"storage-proxy\.max-upload-size: '1\.5TB' cannot be used: .*powers of 1000 or of 1024"),
        (
            "scandir-limit",
            "allow-auto-quota-scope-creation = true\nscandir-limit",
            r"storage-proxy\.auto-quota-scope-creation: is another name of allow-auto-quota-scope-creation, which is ",
        ),
        # what is misspelled, in any table that is ours
        ("scandir-limit", "scandir-limits", r"storage-proxy\.scandir-limits: .*did you mean scandir-limit\?"),
        ("aiomonitor-termui-port", "aiomonitor-termui-prt", r"storage-proxy\.aiomonitor-termui-prt: there is no such"),
        ("ssl-enabled = true", "ssl-enable = true", r"api\.client\.ssl-enable: .*did you mean ssl-enabled\?"),
        ("announce-addr", "anounce-addr", r"api\.manager\.anounce-addr: there is no such setting"),
        ("internal-addr = ", "internal-address = ", r"api\.manager\.internal-address: .*did you mean internal-addr\?"),
        ("fsprefix", "fs-prefix", r"volume\.local\.fs-prefix: .*did you mean fsprefix\?"),
        (r"\[debug\]", "[debugging]", r"debugging: there is no such setting"),
        (r"\[etcd\]", "[volumes]", r"volumes: there is no such setting; did you mean volume\?"),
    ],
)
def test_what_cannot_be_honoured_or_is_misspelled_is_one_line(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    """Exit 1, and nothing is started; ``check-config`` says the same beforehand."""
    text = config.read_text()
    changed = re.sub(old, lambda _: new, text, count=1)
    assert changed != text
    config.write_text(changed)
    done = pannier("proxy", "--config", config, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(f"pannier: {told}", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert "hush" not in done.stderr
    assert (main(["check-config", "--config", str(config)]), *capsys.readouterr()) == (1, "", done.stderr)


def test_keys_of_ignored_tables_stay_on_their_line(tmp_path: Path, config: Path) -> None:
    """Whatever they are."""
    config.write_text(config.read_text() + '[valkey]\n"a\\nb\\u001b" = 1\n')
    done = pannier("check-config", "--config", config, home=tmp_path)
    assert f'warning: valkey: {OF_THE_REFERENCE} ("a\\nb\\u001b")' in done.stderr.splitlines()
