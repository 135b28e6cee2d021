"""``pannier get``: what a person at a terminal sees of a download."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import environment, pannier
from tests.cli.here import Run, at_home
from tests.e2e import trees
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("get") / "trip"
    trees.plant(folder, 41, small=20, large=(2 * MIB, 12 * MIB))
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


@pytest.fixture(scope="module")
def whole(server: Pannier) -> bytes:
    return server.fetch(server.url())[2]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return at_home(tmp_path, monkeypatch, capfd)


def test_it_is_saved_under_the_servers_name_and_checked(
    server: Pannier, whole: bytes, tmp_path: Path, run: Run
) -> None:
    done = run("get", server.url(filename="trip.zip"))
    assert done.code == 0, done.err
    assert done.out == "saved trip.zip; checked 22 of 22 entries, every CRC-32 agrees\n"
    assert done.err.startswith("trip.zip · 14.")
    assert " MiB · can be resumed\n" in done.err.replace("\N{NO-BREAK SPACE}", " ")
    assert (tmp_path / "trip.zip").read_bytes() == whole
    done = run("get", server.url(filename="trip.zip"))
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("'trip.zip' is there already; name another place, or replace it: --restart\n")


def test_a_cut_is_told_and_gone_on_with(server: Pannier, whole: bytes, tmp_path: Path, run: Run) -> None:
    with CuttingProxy(server.client_port, [Cut(5 * MIB)]) as proxy:
        done = run("get", proxy.through(server.url()), "-o", "out.zip")
    assert done.code == 0, done.err
    assert "the connection was closed at " in done.err
    assert "next try in 1 s (1 of 10)" in done.err
    assert "resumed once" in done.err
    assert (tmp_path / "out.zip").read_bytes() == whole


def test_a_part_of_an_earlier_run_is_gone_on_with(server: Pannier, whole: bytes, tmp_path: Path) -> None:
    url, out = server.url(), tmp_path / "out.zip"
    command = [sys.executable, "-m", "pannier", "get", "-", "-o", str(out), "-j", "4"]
    with CuttingProxy(server.client_port, pace=MIB // 4) as proxy:
        with subprocess.Popen(
            command, env=environment(tmp_path), stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(f"{proxy.through(url)}\n".encode())
            process.stdin.close()
            ledger = tmp_path / "out.zip.part.json"
            deadline = time.monotonic() + 60
            while not (ledger.exists() and json.loads(ledger.read_text())["done"]):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert b"token" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.send_signal(signal.SIGINT)
            said = process.stderr.read().decode()
        assert process.returncode == 130
    assert "run the same line again to go on" in said
    assert "Traceback" not in said
    done = pannier("get", server.url(), "-o", out, home=tmp_path, apart=True)  # another link to the same archive
    assert done.returncode == 0, done.stderr
    assert "going on from " in done.stderr
    assert out.read_bytes() == whole


def test_ways_to_give_a_url_that_others_do_not_see(
    server: Pannier, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(server.url() + "\n")
    assert run("get", "--url-file", "url", "-o", "a.zip").code == 0
    monkeypatch.setenv("PANNIER_URL", server.url())
    assert run("get", "-o", "b.zip").code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_json_is_one_document_errors_too(server: Pannier, whole: bytes, run: Run) -> None:
    done = run("get", server.url(), "-o", "out.zip", "--json")
    assert (done.code, done.err) == (0, "")
    told = done.document
    assert {key: told[key] for key in ("ok", "path", "length", "received", "resumed", "entries")} == {
        "ok": True,
        "path": "out.zip",
        "length": len(whole),
        "received": len(whole),
        "resumed": 0,
        "entries": 22,
    }
    done = run("get", "http://127.0.0.1:9/x", "-o", "-", "--json")
    assert (done.code, done.document["problem"]["type"]) == (2, "usage")
    done = run("get", server.client_url + "/download-archive?token=nonsense", "--json")
    assert (done.code, done.err) == (1, "")
    assert (done.document["ok"], done.document["problem"]["status"]) == (False, 400)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "no URL: name one, - for stdin, --url-file, or set PANNIER_URL"),
        (["nonsense"], 1, "that is no URL of a web server; it begins with http:// or https://"),
        (["http://127.0.0.1:9/x"], 1, "cannot be reached (Connection refused)"),
        (["http://127.0.0.1:9/x", "-o", "x", "--extract", "y"], 2, "--extract and --output: name one of them"),
        (["--url-file", "nothing"], 2, "'nothing' cannot be read (No such file or directory)"),
        (["http://127.0.0.1:9/x", "--ca-file", "nothing"], 2, "--ca-file: 'nothing' cannot be used"),
        (["http://127.0.0.1:9/x", "-j", "0"], 2, "should be greater than or equal to 1"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pannier.sdk.retries.Backoff.wait", lambda *_: None)
    done = run("get", *arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_refusal_by_the_plan_has_its_own_code(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "refused"
    folder.mkdir()
    (folder / "file").write_text("x")
    fresh = '[archive]\nplan-fresh-min = "0s"\nplan-fresh-max = "0s"\n'
    with Pannier(folder, tmp_path / "state", toml=fresh) as server:
        url = server.url()
        os.mkfifo(folder / "fifo")
        done = run("get", url)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("refused: 1 of 2 entries cannot be included; nothing was sent\n  fifo: not a file")


def test_a_changed_source_ends_clearly_and_keeps_the_part(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "changing"
    trees.plant(folder, 3, small=3, large=(8 * MIB,))
    large = trees.large_files(folder)[0]
    with Pannier(folder, tmp_path / "state") as server:
        url = server.url()
        with CuttingProxy(server.client_port, [Cut(3 * MIB)]) as proxy:
            cut = proxy.through(url)
            process = subprocess.Popen(
                [sys.executable, "-m", "pannier", "get", cut, "-o", "out.zip"],
                env=environment(tmp_path),
                cwd=tmp_path,
                stderr=subprocess.PIPE,
                text=True,
            )
            while not proxy.made:
                time.sleep(0.01)
            with large.open("r+b") as file:
                file.write(b"changed")
            _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "the parts must not mix\nthe old part is kept as out.zip.part; start over with: " in said
        assert "pannier get --restart" in said
        assert "token=ey" not in said.partition("stopped")[2]
        part = (tmp_path / "out.zip.part").read_bytes()
        done = run("get", url, "-o", "out.zip")
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines()[-2].startswith("stopped: ")
        assert (tmp_path / "out.zip.part").read_bytes() == part
        assert run("get", "--restart", url, "-o", "out.zip").code == 0
    assert trees.contents((tmp_path / "out.zip").read_bytes()) == trees.files(folder)


def test_it_goes_to_stdout_or_a_pipe_checked_as_it_passes(server: Pannier, whole: bytes, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pannier", "get", server.url(), "-o", "-"],
        env=environment(tmp_path),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(whole).digest()
    assert b"checked 22 of 22 entries" in done.stderr
    assert len(zipfile.ZipFile(io.BytesIO(done.stdout)).namelist()) == 22


def test_a_tar_is_unpacked_while_it_comes(server: Pannier, tmp_path: Path, run: Run) -> None:
    done = run("get", server.url(format="tar.gz"), "--extract", "trip")
    assert done.code == 0, done.err
    assert done.out.startswith("unpacked 22 entries to trip, 14.")
    assert trees.files(tmp_path / "trip") == trees.files(server.folder)
    done = run("get", server.url(), "--extract", "trip")
    assert (done.code, done.out) == (1, "")
    assert "name a new one" in done.err


def test_several_servers_are_asked(server: Pannier, whole: bytes, tmp_path: Path, run: Run) -> None:
    with Pannier(server.folder, server.state) as other:
        done = run("get", server.url(), "-o", "out.zip", "-j", "4", "--server-url", other.client_url)
    assert done.code == 0, done.err
    assert (tmp_path / "out.zip").read_bytes() == whole
