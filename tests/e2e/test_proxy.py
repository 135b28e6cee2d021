"""``pannier proxy`` as a manager and its users meet it: a configuration, three listeners, upstream's layout, TLS."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import json
import random
import secrets
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import LIMIT, ask, begun, certificate
from tests.e2e.proxying import (
    FOLDER,
    FOLDER_PATH,
    LEGACY,
    LEGACY_PATH,
    MANAGER_SECRET,
    MINT,
    TOKEN_SECRET,
    Proxy,
    proxying,
    toml,
)

FAR_AWAY = 4_000_000_000
"""When tokens end that the tests sign: names of tests must not depend on the time."""
LARGE = 48 * 1024 * 1024
"""Bytes: many times what sockets of this machine hold."""


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume in upstream's layout, with a folder of a user and one from before there were quota scopes."""
    root = tmp_path_factory.mktemp("volume")
    (root / "version.txt").write_text("3")
    chance = random.Random(8424)
    folder = root / FOLDER_PATH
    (folder / "docs" / "empty").mkdir(parents=True)
    (folder / "docs" / "a.txt").write_text("a")
    (folder / "docs" / "보고서.md").write_text("report")
    (folder / "photos").mkdir()
    for number in range(4):
        (folder / "photos" / f"{number}.jpg").write_bytes(chance.randbytes(700_000))
    with (folder / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    (root / LEGACY_PATH).mkdir(parents=True)
    (root / LEGACY_PATH / "old.txt").write_text("old")
    return root


@pytest.fixture(scope="module")
def proxy(volume: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxying(tmp_path_factory.mktemp("home"), toml(volume)) as running:
        yield running


def signed(claims: dict[str, Any], key: str = TOKEN_SECRET) -> str:
    """Sign claims as the wire says, with nothing of Pannier: HS256, a compact JWS."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}).encode(), json.dumps(claims).encode()]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def decoded(part: str) -> bytes:
    """Read a part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def upstream_claims(*files: str, **more: Any) -> dict[str, Any]:
    """Return the claims that upstream's own model has, and no other."""
    return {
        "operation": "download",
        "volume": "local",
        "virtual_folder_id": FOLDER,
        "files": list(files),
        "filename": None,
        "exp": FAR_AWAY,
        **more,
    }


def held(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def photos(volume: Path) -> dict[str, bytes]:
    return {f"photos/{path.name}": path.read_bytes() for path in (volume / FOLDER_PATH / "photos").iterdir()}


# ---------------------------------------------------------------- listeners


def test_each_listener_says_that_it_is_up(proxy: Proxy) -> None:
    """In the wire's words; the manager-facing one without the secret."""
    root = ask(proxy.said("client") + "/")
    assert (root.status, root.document["status"], root.document["type"]) == (200, "ok", "client-facing")
    assert ask(proxy.said("client") + "/?x=1").status == 400
    for listener in ("manager", "internal"):
        for path in ("/", "/status"):
            document = ask(proxy.said(listener) + path).document
            assert (document["status"], document["type"]) == (
                "ok",
                f"{listener}-facing".replace("internal-facing", "internal"),
            )
            assert document["storage-proxy"] == root.document["storage-proxy"]
        for path in ("/health", "/livez", "/readyz"):
            answer = ask(proxy.said(listener) + path)
            assert (answer.status, answer.document["status"], answer.document["component"]) == (
                200,
                "ok",
                "storage-proxy",
            )
            assert answer.document["connectivity"]["overall_healthy"] is True


@pytest.mark.parametrize(
    "secret", ["", "wrong", MANAGER_SECRET[:-1], MANAGER_SECRET + "x", MANAGER_SECRET.upper(), TOKEN_SECRET]
)
def test_the_manager_secret_opens_and_nothing_else_does(proxy: Proxy, secret: str) -> None:
    """The check comes before everything: of an unknown path, and of a bad body, one learns nothing without it."""
    for path, method, inside in ((MINT, "POST", 400), ("/no/such/path", "GET", 404), (MINT, "DELETE", 405)):
        refused = proxy.manage(path, method=method, secret=secret)
        assert refused.status == 403
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert refused.document["type"].endswith("/storage/forbidden")
        assert proxy.manage(path, method=method).status == inside


def test_no_listener_serves_the_routes_of_another(proxy: Proxy) -> None:
    """A browser cannot mint, and the internal listener has health alone."""
    for listener in ("client", "internal"):
        headers = {"X-BackendAI-Storage-Auth-Token": MANAGER_SECRET}
        assert ask(proxy.said(listener) + MINT, "POST", body={}, headers=headers).status == 404
    token = proxy.mint("docs")["token"]
    assert proxy.manage(f"/download-archive?token={token}", method="GET").status == 404
    assert ask(f"{proxy.said('internal')}/download-archive?token={token}").status == 404


# ---------------------------------------------------------------- archives


def test_an_archive_is_minted_looked_at_and_downloaded(proxy: Proxy, volume: Path) -> None:
    """What the manager was told is what HEAD says and GET gives."""
    minted = proxy.mint("photos", "docs", filename="trip.zip")
    assert (minted["plan"], minted["entries"]) == ("done", 7)
    url = proxy.archive(minted["token"])
    head, got = ask(url, "HEAD"), ask(url)
    assert (head.status, head.body, got.status) == (200, b"", 200)
    for answer in (head, got):
        assert int(answer.headers["content-length"]) == minted["length"] == len(got.body)
        assert answer.headers["etag"] == minted["etag"]
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"] == "attachment;filename=\"trip.zip\"; filename*=UTF-8''trip.zip"
        assert answer.headers["accept-ranges"] == "bytes"
    assert held(got.body) == photos(volume) | {"docs/a.txt": b"a", "docs/보고서.md": b"report"}
    bearer = ask(f"{proxy.said('client')}/download-archive", headers={"Authorization": f"Bearer {minted['token']}"})
    assert bearer.body == got.body


@pytest.mark.parametrize("range_", ["0-99", "1000000-1999999", "1500000-", "-300"])
def test_ranges_are_the_same_bytes(proxy: Proxy, range_: str) -> None:
    """Bare ones and those that name the archive."""
    url = proxy.archive(proxy.mint("photos")["token"])
    whole = ask(url)
    first, _, last = range_.partition("-")
    expected = whole.body[-int(last) :] if not first else whole.body[int(first) : int(last) + 1 if last else None]
    start = len(whole.body) - len(expected) if not first else int(first)
    for more in ({}, {"If-Range": whole.headers["etag"]}):
        got = ask(url, headers={"Range": f"bytes={range_}", **more})
        assert got.status == 206
        assert got.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(whole.body)}"
        assert got.body == expected


@pytest.mark.parametrize(
    ("route", "name", "folder"),
    [
        (MINT, "virtual_folder_id", FOLDER),
        (
            MINT,
            "virtual_folder_id",
            FOLDER.replace("ce8c6955c00e4f3ca5cfbf5f3a36d89d", "CE8C6955-C00E-4F3C-A5CF-BF5F3A36D89D"),
        ),
        (MINT, "virtual_folder_id", FOLDER.replace("user:", "project:")),  # the word is not in the path
        ("/folder/file/download-archive", "virtual_folder_id", FOLDER),
        ("/folder/file/download-archive", "vfid", FOLDER),
        ("/folder/file/download-archive", "vfolder_id", FOLDER),
    ],
)
def test_a_folder_is_found_by_any_spelling_at_both_routes(proxy: Proxy, route: str, name: str, folder: str) -> None:
    """Unknown members of a request are ignored."""
    minted = proxy.manage(route, {"volume": "local", name: folder, "files": ["docs/a.txt"], "unknown": 1})
    assert minted.status == 200, minted.body
    assert held(ask(proxy.archive(minted.document["token"])).body) == {"docs/a.txt": b"a"}


def test_a_folder_from_before_quota_scopes_is_found_by_its_legacy_id(proxy: Proxy) -> None:
    """It lies at another depth."""
    assert held(ask(proxy.archive(proxy.mint(".", folder=LEGACY)["token"])).body) == {"old.txt": b"old"}


def test_a_large_selection_stays_here_and_its_token_short(proxy: Proxy, volume: Path) -> None:
    """A URL must not grow with it."""
    names = [f"photos/{number % 4}.jpg" for number in range(2000)]
    minted = proxy.mint(*names)
    assert len(minted["token"]) < 1000
    assert held(ask(proxy.archive(minted["token"])).body) == photos(volume)


@pytest.mark.parametrize(
    ("change", "status", "tail", "code"),
    [
        ({"files": []}, 400, "generic-bad-request", "api_parsing_invalid-parameters"),
        ({"volume": "nowhere"}, 400, "/storage/volume/invalid", "storage_access_invalid-parameters"),
        ({"virtual_folder_id": "f" * 32}, 404, "/storage/vfolder/not-found", "vfolder_read_not-found"),
        ({"virtual_folder_id": "../.."}, 400, "generic-bad-request", "api_parsing_invalid-parameters"),
        ({"files": ["no/such"]}, 404, "selection-refused", "vfolder_read_not-found"),
        ({"files": ["docs", "../../x"]}, 400, "selection-refused", "storage-proxy_request_invalid-parameters"),
        ({"filename": "a/b"}, 400, "generic-bad-request", "api_parsing_invalid-parameters"),
    ],
)
def test_what_cannot_be_minted_is_a_problem_with_the_wires_code(
    proxy: Proxy, change: dict[str, Any], status: int, tail: str, code: str
) -> None:
    """JSON, always: otherwise upstream's manager cannot tell what it is."""
    answer = proxy.manage(MINT, {"volume": "local", "virtual_folder_id": FOLDER, "files": ["docs"], **change})
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.status, answer.document["error_code"]) == (status, code)
    assert answer.document["type"].endswith(tail)


# ---------------------------------------------------------------- tokens


def test_a_token_of_upstreams_own_model_works_as_ours_does(proxy: Proxy, volume: Path) -> None:
    """Plain claims, no ``jti``: downloaded, cut, gone on with."""
    url = proxy.archive(signed(upstream_claims("photos")))
    whole = ask(url)
    assert whole.status == 200
    assert held(whole.body) == photos(volume)
    rest = ask(url, headers={"Range": "bytes=1234567-"})
    assert (rest.status, rest.body) == (206, whole.body[1234567:])
    more = ask(
        proxy.archive(signed(upstream_claims("docs/a.txt", filename="x.zip", iss="manager", iat=1, another=[1])))
    )
    assert more.headers["content-disposition"].startswith('attachment;filename="x.zip"')


def test_a_token_of_ours_is_one_of_upstreams(proxy: Proxy) -> None:
    """The wire's header and claims, whole seconds, the shared key: another proxy of the site may be asked with it."""
    token = str(proxy.mint("docs/a.txt", "photos")["token"])
    header, payload, signature = token.split(".")
    assert json.loads(decoded(header)) == {"alg": "HS256", "typ": "JWT"}
    expected = hmac.new(TOKEN_SECRET.encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    assert decoded(signature) == expected
    claims = json.loads(decoded(payload))
    wire = {key: claims[key] for key in ("operation", "volume", "virtual_folder_id", "files", "filename")}
    assert wire == {
        "operation": "download",
        "volume": "local",
        "virtual_folder_id": FOLDER,
        "files": ["docs/a.txt", "photos"],
        "filename": None,
    }
    assert isinstance(claims["exp"], int)
    assert 3500 < claims["exp"] - time.time() <= 3600


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 400, "api_parsing_invalid-parameters"),
        ("not-a-token", 400, "auth_auth_bad-request"),
        (signed(upstream_claims("docs"), "another-key-" * 4), 401, "auth_auth_unauthorized"),
        (signed(upstream_claims("docs"), MANAGER_SECRET), 401, "auth_auth_unauthorized"),
        (signed(upstream_claims("docs", exp=1_600_000_000)), 401, "auth_auth_data-expired"),
        (signed(upstream_claims("docs", operation="upload")), 400, "auth_auth_invalid-parameters"),
        (signed(upstream_claims()), 400, "auth_auth_invalid-parameters"),
        (
            signed({"op": "download", "volume": "local", "vfid": FOLDER, "relpath": "docs", "exp": FAR_AWAY}),
            400,
            "auth_auth_invalid-parameters",
        ),
        (signed(upstream_claims("docs", volume="nowhere")), 400, "storage_access_invalid-parameters"),
        (signed(upstream_claims("docs", virtual_folder_id="f" * 32)), 404, "vfolder_read_not-found"),
        (signed(upstream_claims("../../x")), 400, "storage-proxy_request_invalid-parameters"),
        (signed(upstream_claims("no/such")), 404, "vfolder_read_not-found"),
    ],
    ids=[
        "none",
        "no JWT",
        "another key",
        "the manager's secret",
        "expired",
        "for an upload",
        "no files",
        "of one file",
        "volume",
        "folder",
        "outside",
        "missing",
    ],
)
def test_a_token_that_opens_nothing_is_told_as_on_the_wire(
    proxy: Proxy, token: str | None, status: int, code: str
) -> None:
    """JSON, and not a byte of an archive."""
    answer = ask(proxy.archive(token) if token is not None else f"{proxy.said('client')}/download-archive")
    assert (answer.status, answer.document["error_code"]) == (status, code)
    assert answer.headers["content-type"].startswith("application/problem+json")


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def tls(volume: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Path]]:
    """A proxy that speaks TLS to clients and to its manager, and the certificate to trust."""
    home = tmp_path_factory.mktemp("tls")
    cert, key = certificate(home)
    lines = f'ssl-enabled = true\nssl-cert = "{cert}"\nssl-privkey = "{key}"'
    with proxying(home, toml(volume, client=lines, manager=lines)) as running:
        yield running, cert


def curl(cert: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run curl, trusting one certificate."""
    command = ["curl", "-q", "-sS", "--fail", "--noproxy", "*", "--cacert", str(cert), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)


def minted_over_tls(proxy: Proxy, cert: Path) -> str:
    body = {"volume": "local", "virtual_folder_id": FOLDER, "files": ["photos"]}
    header = f"X-BackendAI-Storage-Auth-Token: {MANAGER_SECRET}"
    told = curl(
        cert, "-H", header, "-H", "Content-Type: application/json", "-d", json.dumps(body), proxy.said("manager") + MINT
    )
    assert told.returncode == 0, told.stderr
    return str(json.loads(told.stdout)["token"])


def test_clients_and_manager_are_served_over_tls_alone(tls: tuple[Proxy, Path], tmp_path: Path) -> None:
    """Who does not trust the certificate gets nothing, nor does plain HTTP; the internal listener stays plain."""
    proxy, cert = tls
    other, _ = certificate(tmp_path, "other")
    for listener in ("client", "manager"):
        url = proxy.said(listener)
        assert url.startswith("https://127.0.0.1:")
        assert json.loads(curl(cert, url + "/").stdout)["type"] == f"{listener}-facing"
        assert curl(other, url + "/").returncode == 60  # curl's number for: the certificate cannot be verified
        assert curl(cert, url.replace("https", "http") + "/").returncode != 0
        assert curl(cert, "--tls-max", "1.1", url + "/").returncode == 35  # … for: no agreement on how to speak TLS
    assert ask(proxy.said("internal") + "/livez").status == 200


def test_a_download_over_tls_is_resumed_and_equal(tls: tuple[Proxy, Path], volume: Path, tmp_path: Path) -> None:
    """curl leaves in the middle, and another goes on with ``-C -``; HEAD and range agree."""
    proxy, cert = tls
    url = proxy.archive(minted_over_tls(proxy, cert))
    whole = curl(cert, url).stdout
    assert held(whole) == photos(volume)
    head = curl(cert, "-I", url).stdout.decode().lower()
    assert f"\r\ncontent-length: {len(whole)}\r\n" in head
    assert curl(cert, "-r", "1000-1999", url).stdout == whole[1000:2000]

    out = tmp_path / "trip.zip"
    command = ["curl", "-q", "-sS", "--noproxy", "*", "--cacert", str(cert), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        out.write_bytes(process.stdout.read(1_234_567))
        process.stdout.close()
    assert process.returncode != 0
    done = curl(cert, "-C", "-", "-o", str(out), url)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == whole


def test_what_speaks_no_tls_leaves_no_trace_but_a_closed_connection(tls: tuple[Proxy, Path]) -> None:
    """And the next client is served."""
    proxy, cert = tls
    port = int(proxy.said("client").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not client.recv(4096).startswith(b"HTTP")
    assert curl(cert, proxy.said("client") + "/").returncode == 0
    assert all(json.loads(line)["level"] == "info" for line in proxy.err.splitlines())


# ---------------------------------------------------------------- configuration


def test_keys_with_underscores_mean_the_same(volume: Path, tmp_path: Path) -> None:
    """All of the file's."""
    config = toml(volume)
    for key in ("storage-proxy", "session-expire", "service-addr", "internal-addr", "clock-granularity"):
        assert key in config
        config = config.replace(key, key.replace("-", "_"))
    with proxying(tmp_path, config) as proxy:
        assert held(ask(proxy.archive(proxy.mint("docs/a.txt")["token"])).body) == {"docs/a.txt": b"a"}


def test_public_url_and_path_prefix_are_said_and_served(volume: Path, tmp_path: Path) -> None:
    """What people are told is the public URL and the prefix; every client route lies below the prefix."""
    # one of the 16 million addresses of this machine, and a port that is free there
    host = f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
    with socket.create_server((host, 0)) as free:
        address = f"{host}:{free.getsockname()[1]}"
    lines = 'public-url = "https://files.example.com/store/"\npath-prefix = "/a/b/"'
    with proxying(tmp_path, toml(volume, client=lines, client_addr=address)) as proxy:
        assert f"  client    https://files.example.com/store/a/b    (listens at {address})\n" in proxy.out
        token = proxy.mint("docs/a.txt")["token"]
        base = f"http://{address}"
        assert ask(f"{base}/a/b/").document["type"] == "client-facing"
        assert held(ask(f"{base}/a/b/download-archive?token={token}").body) == {"docs/a.txt": b"a"}
        for path in ("/", "/a/", f"/download-archive?token={token}", f"/a/download-archive?token={token}"):
            assert ask(base + path).status == 404
        assert ask(proxy.said("manager") + "/").status == 200


def test_the_log_sees_clients_through_trusted_proxies_alone(volume: Path, tmp_path: Path) -> None:
    """Anybody can write the header."""
    with proxying(tmp_path, toml(volume, client='trusted-proxies = ["127.0.0.2"]')) as proxy:
        for source in ("127.0.0.1", "127.0.0.2"):
            address = proxy.said("client").removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=LIMIT, source_address=(source, 0))
            connection.request("GET", "/", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
            assert connection.getresponse().read()
            connection.close()
        proxy.wait_for(lambda: proxy.err.count("\n") == 2)
        assert [json.loads(line)["client"] for line in proxy.err.splitlines()] == ["127.0.0.1", "203.0.113.9"]


def test_state_lies_below_xdg_state_home_and_outlives_a_restart(volume: Path, tmp_path: Path) -> None:
    """Nobody else can read it; with it, a download that was begun before goes on by a bare range, without it not."""
    token, whole = signed(upstream_claims("photos")), b""
    for state, status in (("xdg", 200), ("xdg", 206), ("other", 409)):
        with proxying(tmp_path, toml(volume), XDG_STATE_HOME=str(tmp_path / state)) as proxy:
            assert proxy.said("state") == str(tmp_path / state / "pannier")
            answer = ask(proxy.archive(token), headers={"Range": "bytes=1000000-"} if whole else {})
            assert answer.status == status
            assert status == 409 or answer.body == whole[1_000_000:] or not whole
            whole = whole or answer.body
            assert proxy.stop() == 0
    folder = tmp_path / "xdg/pannier"
    assert {path.name: path.stat().st_mode & 0o777 for path in (folder, folder / "state.db")} == {
        "pannier": 0o700,
        "state.db": 0o600,
    }
    assert not (tmp_path / ".local").exists()


# ---------------------------------------------------------------- the end


def test_a_stop_lets_downloads_finish_and_tells_everybody(volume: Path, tmp_path: Path) -> None:
    """Not ready, alive, no new work; the download gets its last byte; exit 0; stderr is JSON to the end."""
    with proxying(tmp_path, toml(volume)) as proxy:
        minted = proxy.mint("large.bin")
        with begun(proxy.archive(minted["token"])) as download:
            proxy.process.send_signal(signal.SIGTERM)
            proxy.wait_said("stopping: 1 request has up to 30 s to finish; press again to cut it\n")
            for listener in ("manager", "internal"):
                for path, status, word in (
                    ("/readyz", 503, "error"),
                    ("/livez", 200, "ok"),
                    ("/health", 200, "degraded"),
                ):
                    answer = ask(proxy.said(listener) + path)
                    assert (answer.status, answer.document["status"]) == (status, word)
            for refused in (ask(proxy.archive(minted["token"])), proxy.manage(MINT, {})):
                assert refused.status == 503
                assert int(refused.headers["retry-after"]) > 0
            assert 1 + len(download.read()) == minted["length"]
        assert proxy.process.wait(LIMIT) == 0
        events = [json.loads(line) for line in proxy.err.splitlines()]
        delivered = [each for each in events if each.get("bytes") == minted["length"]]
        assert [(each["path"], each["status"]) for each in delivered] == [("/download-archive", 200)]
        assert "cut off" not in proxy.err
