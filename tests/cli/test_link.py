"""``pannier link``: a real server, and links that are opened."""

from __future__ import annotations

import io
import json
import os
import shlex
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pannier.cli import runtime
from pannier.cli.link import counted_line
from pannier.cli.refusals import REFUSALS, refused_lines
from pannier.errors import OffenceCode
from tests.cli.commands import Server, ask, certificate, claims, pannier, serving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose folders ``trip`` and ``docs`` are served, and ``outside``, which is not."""
    home = tmp_path_factory.mktemp("home")
    for name in ("trip/2026", "trip/data/empty", "trip/docs", "trip/bad/photos", "docs", "outside/cwd"):
        (home / name).mkdir(parents=True)
    (home / "trip/2026/a b.txt").write_text("a b")
    (home / "trip/2026/b.tmp").write_text("temporary")
    (home / "trip/2026/link").symlink_to("a b.txt")
    (home / "trip/data/c.txt").write_text("c")
    (home / "trip" / os.fsdecode(b"\xff.txt")).write_text("undecodable")
    (home / "outside/way").symlink_to(home / "trip")
    (home / "trip/bad/photos/raw x").symlink_to("../../../mnt")
    (home / "trip/bad/gone").symlink_to("nothing")
    os.mkfifo(home / "trip/bad/a.fifo")
    (home / "trip/bad/good.txt").touch()
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip", home / "docs") as running:
        yield running


def asked(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a link that was made is for: the claims of its token, without those that every token has."""
    assert done.returncode == 0, done.stderr
    url = done.stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    assert "/download-archive?token=" in url
    return {key: value for key, value in claims(url).items() if key not in ("operation", "exp", "jti")}


def held(done: subprocess.CompletedProcess[str]) -> dict[str, bytes]:
    """Return what a link that was made gives: each entry and its content."""
    assert done.returncode == 0, done.stderr
    answer = ask(done.stdout.strip())
    assert answer.status == 200, answer.body
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_link_is_one_line_on_stdout_and_its_size_a_note(server: Server) -> None:
    """The number of entries and the exact length of what it gives."""
    done = server.link("trip/2026")
    folder = server.runtime()["folders"][0]
    expected = {"volume": "trip", "virtual_folder_id": folder["folder_id"], "files": ["2026"], "filename": None}
    assert asked(done) == expected
    assert done.stdout.count("\n") == 1
    answer = ask(done.stdout.strip())
    assert done.stderr == f"{len(held(done))} entries · archive {len(answer.body)} bytes\n"
    assert answer.headers["content-disposition"].startswith('attachment;filename="archive.zip";')


def test_what_is_selected_is_what_the_link_gives(server: Server) -> None:
    """Files and directories of one folder, links followed."""
    assert held(server.link("trip/2026", "trip/data/c.txt")) == {
        "2026/a b.txt": b"a b",
        "2026/b.tmp": b"temporary",
        "2026/link": b"a b",
        "data/c.txt": b"c",
    }


def test_options_change_what_the_link_gives(server: Server) -> None:
    """As the route names them; exceptions in the same forms as paths."""
    leave_out: list[str | Path] = ["--exclude", "*.tmp", "--exclude", "*~", "--except", "trip/bad", "--except"]
    leave_out.append(server.home / "trip/data")
    done = server.link("trip", "--filename", "x.zip", "--links", "omit", *leave_out)
    names = {"2026/a b.txt", "docs/", "%FF.txt"}
    assert set(held(done)) == names
    assert done.stderr.startswith(f"{len(names)} entries · ")
    document = asked(done)
    assert (document["filename"], document["pannier"]) == (
        "x.zip",
        {"v": 1, "paths": ["."], "links": "omit", "exclude": ["*.tmp", "*~"], "except": ["bad", "data"]},
    )
    assert 'filename="x.zip"' in ask(done.stdout.strip(), "HEAD").headers["content-disposition"]


def test_a_link_may_be_for_another_format(server: Server) -> None:
    """Said in its token; a combination that does not exist is one line."""
    for options, claim in [
        (("--format", "tar.gz"), {"v": 1, "format": "tar.gz"}),
        (("--compression", "deflate"), {"v": 1, "compression": "deflate"}),
    ]:
        done = server.link("trip/2026", *options)
        assert asked(done)["pannier"] == claim
        assert done.stderr == "3 entries · packed while it is sent: no length in advance, no resuming\n"
    packed = held(server.link("trip/2026", "--compression", "deflate"))
    assert packed["2026/a b.txt"] == b"a b"
    resumable = server.link("trip/2026", "--format", "tar")
    assert asked(resumable)["pannier"] == {"v": 1, "format": "tar"}
    assert f"archive {len(ask(resumable.stdout.strip()).body):,} bytes" in resumable.stderr.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    wrong = server.link("trip/2026", "--format", "tar", "--compression", "deflate")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)
    assert "there are: zip, zip+deflate, tar, tar.gz, tar.zst" in wrong.stderr


def test_a_link_may_end_be_slow_and_be_for_one_download(server: Server) -> None:
    """Said in its token, and kept: the second download is refused."""
    done = server.link("trip/2026", "--expires-in", "2h", "--rate", "500k", "--once")
    document = asked(done)
    assert document["files"][0].startswith(".upload/selection-")
    assert document["pannier"] == {"v": 1, "paths": ["2026"], "rate": 500 * 1024, "one_time": True}
    url = done.stdout.strip()
    assert abs(claims(url)["exp"] - time.time() - 7200) < 120
    assert [ask(url).status for _ in range(2)] == [200, 410]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--expires-in", "soon"), "--expires: a duration reads 90, 30s, 5m, 1.5h, 7d, 2w, 1mo or 1yr"),
        (("--expires-in", "0"), "--expires: a link lives from 1s to 366d"),
        (("--expires-in", "2yr"), "--expires: a link lives from 1s to 366d"),
        (("--rate", "fast"), "--rate: a size reads"),
        (("--rate", "0"), "--rate: a link needs at least 1 byte per second; leave it out for no limit"),
    ],
)
def test_terms_that_no_link_can_have_are_one_line(server: Server, options: tuple[str, str], told: str) -> None:
    """With the code of a wrong command."""
    done = server.link("trip/2026", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


def test_a_packed_link_for_one_download_is_declined(server: Server) -> None:
    """As nobody could tell when it was taken."""
    done = server.link("trip/2026", "--once", "--format", "tar.gz")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "one_time goes with one format of known length" in done.stderr


@pytest.mark.parametrize(
    ("cwd", "path", "inside"),
    [
        ("outside", "trip/2026/a b.txt", "2026/a b.txt"),
        ("outside", "trip/2026/../data/", "data"),
        ("outside", "trip/2026/..", None),
        ("outside", "../trip/data", "data"),
        (".", "trip/data", "data"),
        ("trip", "data", "data"),
        ("trip/2026", "a b.txt", "2026/a b.txt"),
        ("trip/2026", "link", "2026/link"),
        ("trip/2026", "..", None),
        ("trip", "docs", "docs"),
    ],
)
def test_paths_are_local_or_named_by_folder(server: Server, cwd: str, path: str, inside: str | None) -> None:
    """A path that exists in a served folder wins over a folder of that name; a link is named, not followed."""
    whole = ["--except", "trip/bad"] if inside is None else []  # the folder as a whole cannot be had
    document = asked(server.link(path, *whole, cwd=server.home / cwd))
    assert document["volume"] == "trip"
    assert (document["pannier"]["paths"] if whole else document["files"]) == [inside or "."]


def test_absolute_paths_and_links_to_the_folder_count(server: Server) -> None:
    """By the real path of what they are in."""
    document = asked(server.link(server.home / "trip" / "data", server.home / "outside/way/2026"))
    assert document["files"] == ["data", "2026"]
    document = asked(server.link(server.home / "outside/way", "--except", server.home / "outside/way/bad"))
    assert (document["pannier"]["paths"], document["pannier"]["except"]) == (["."], ["bad"])


def test_undecodable_names_travel(server: Server) -> None:
    """As lone surrogates, which the server turns back into the bytes."""
    done = server.link("trip/" + os.fsdecode(b"\xff.txt"))
    assert asked(done)["files"] == ["\udcff.txt"]
    assert held(done) == {"%FF.txt": b"undecodable"}


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (("elsewhere/x",), "'elsewhere/x' is in no served folder; served here: docs, trip"),
        (("/etc/passwd",), "'/etc/passwd' is in no served folder"),
        (("trip/../outside",), "'trip/../outside' leads outside the folder 'trip'"),
        (("trip//etc",), "'trip//etc' leads outside the folder 'trip'"),
        (("trip/2026", "docs"), "the paths are in several folders (docs, trip); name those of one folder at a time"),
        (("trip", "--except", "docs/x"), "the paths are in several folders"),
        (("",), "'' is in no served folder"),
    ],
)
def test_paths_that_cannot_be_meant_are_wrong_usage(server: Server, paths: tuple[str, ...], told: str) -> None:
    """Exit 2, one line, nothing asked."""
    done = server.link(*paths, cwd=server.home / "outside" / "cwd")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_a_refusal_is_exit_3_with_a_way_out_that_works(server: Server) -> None:
    """One refusal a line in the page's words, and options that can be pasted."""
    done = server.link("trip/bad")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "refused: 3 of 5 entries cannot be included; nothing was sent",
        "  bad/a.fifo: not a file or folder",
        "  bad/gone: link leads nowhere",
        "  bad/photos/raw x: link leads outside",
        "leave them out with: --except trip/bad/a.fifo --except trip/bad/gone --except 'trip/bad/photos/raw x'",
    ]
    options = shlex.split(done.stderr.splitlines()[-1].partition(": ")[2])
    assert set(held(server.link("trip/bad", *options))) == {"bad/good.txt", "bad/photos/"}


def test_what_is_not_there_is_refused(server: Server) -> None:
    """The server looks, not the command: it may see more."""
    done = server.link("trip/not/there", cwd=server.home / "outside")
    assert done.returncode == 3
    assert "  not/there: no longer there\n" in done.stderr


def test_what_the_server_declines_is_one_line(server: Server) -> None:
    """With what the server said, and exit 1."""
    for name in ("a/b", ""):
        done = server.link("trip/2026", "--filename", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("pannier: filename: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("trip/2026",), 0, {"ok": True, "plan": "done", "entries": 3}),
        (("trip/bad",), 3, {"ok": False}),
        (("trip/2026", "--filename", "a/b"), 1, {"ok": False}),
        (("nowhere",), 2, {"ok": False}),
    ],
)
def test_json_is_one_document_on_stdout_errors_too(
    server: Server, arguments: tuple[str, ...], code: int, told: dict[str, Any]
) -> None:
    """For programs; the exit code is the same."""
    done = server.link(*arguments, "--json", cwd=server.home / "outside")
    assert (done.returncode, done.stderr) == (code, "")
    document = json.loads(done.stdout)
    assert told.items() <= document.items()
    assert ("url" in document) == document["ok"]
    assert ("type" in document.get("problem", {})) != document["ok"]
    if document["ok"]:
        answer = ask(document["url"], "HEAD")
        assert (int(answer.headers["content-length"]), answer.headers["etag"]) == (document["length"], document["etag"])


def test_a_terminal_without_utf_8_gets_ascii(server: Server) -> None:
    """Nothing fails for want of a character."""
    done = server.link("trip/data/c.txt", apart=True, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.stderr.startswith("1 entry , archive ")


def test_a_proxy_of_the_environment_is_not_asked(server: Server) -> None:
    """The server is on this machine, and its secret stays there."""
    asked(server.link("trip/2026", http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9"))


def test_no_secret_is_in_what_is_said(server: Server) -> None:
    """The token alone, and that on stdout."""
    done = server.link("trip/2026")
    kept = json.loads((server.state / "secrets.json").read_text())
    for secret in kept.values():
        assert secret not in done.stdout + done.stderr + server.out + server.err
    assert "eyJ" not in done.stderr + server.out + server.err


def test_without_a_server_the_way_out_is_said(tmp_path: Path) -> None:
    """Exit 1."""
    done = pannier("link", "trip", home=tmp_path)
    assert done.returncode == 1
    assert "no server is known" in done.stderr
    assert "pannier serve PATH" in done.stderr


def test_a_server_that_was_killed_is_not_taken_for_running(home: Path, tmp_path: Path) -> None:
    """Its file stayed behind; not even another process of its number deceives."""
    with serving(tmp_path, home / "docs") as server:
        server.process.kill()
        server.process.wait()
        path = server.runtime_file()
        assert path is not None
        done = server.link("docs")
        assert done.returncode == 1
        assert "no server is known" in done.stderr
        path.write_text(json.dumps(server.runtime() | {"pid": os.getpid()}))
        done = server.link("docs")
        assert f"the server of process {os.getpid()} does not answer" in done.stderr


def test_the_state_folder_can_be_named(home: Path, tmp_path: Path) -> None:
    """As ``pannier serve --state`` was, or as the setting is in the environment."""
    state = tmp_path / "elsewhere"
    with serving(tmp_path, home / "docs", "--state", state, state=state) as server:
        assert server.link("docs").returncode == 1
        assert asked(server.link("docs", "--state", state))["files"] == ["."]
        assert asked(server.link("docs", PANNIER_STATE__PATH="~/elsewhere"))["files"] == ["."]


def test_the_deepest_folder_that_holds_all_paths_is_taken(home: Path, tmp_path: Path) -> None:
    """When one served directory is inside another."""
    with serving(tmp_path, home / "trip", home / "trip/2026") as server:
        assert asked(server.link(home / "trip/2026/link"))["volume"] == "2026"
        document = asked(server.link(home / "trip/2026/link", home / "trip/data"))
        assert (document["volume"], document["files"]) == ("trip", ["2026/link", "data"])


def test_the_server_that_started_last_is_asked(home: Path, tmp_path: Path) -> None:
    """Where two of one state folder serve the same; when it stops, the other."""
    with serving(tmp_path, home / "docs") as first:
        earlier = first.runtime()["client_url"]
        with serving(tmp_path, home / "docs") as second:
            later = next(each for each in _runtimes(second) if each["client_url"] != earlier)["client_url"]
            assert second.url("docs").startswith(later)
            second.stop()
        assert first.url("docs").startswith(earlier)


def _runtimes(server: Server) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in server.state.glob("serve-*.json")]


def test_a_manager_listener_with_tls_is_asked_all_the_same(home: Path, tmp_path: Path) -> None:
    """Its own certificate is trusted and no other; a key that stands in the same file is not copied."""
    cert, key = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    tls = {"SSL_ENABLED": "true", "SSL_CERT": str(both), "SSL_PRIVKEY": str(both)}
    more = {f"PANNIER_API__MANAGER__{key}": value for key, value in tls.items()}
    with serving(tmp_path, home / "docs", settings=more) as server:
        assert server.runtime()["manager_url"].startswith("https://")
        assert held(server.link("docs")) == {}
        path = server.runtime_file()
        assert path is not None
        assert "PRIVATE" not in path.read_text()
        other, _ = certificate(tmp_path, "other")
        path.write_text(json.dumps(server.runtime() | {"manager_certificate": other.read_text()}))
        done = server.link("docs")
        assert done.returncode == 1
        assert "its certificate is not trusted" in done.stderr


def test_a_link_has_the_path_prefix(home: Path, tmp_path: Path) -> None:
    """And opens with it."""
    with serving(tmp_path, home / "docs", settings={"PANNIER_API__CLIENT__PATH_PREFIX": "files"}) as server:
        done = server.link("docs")
        assert done.stdout.startswith(server.runtime()["client_url"] + "/download-archive?token=")
        assert server.runtime()["client_url"].endswith("/files")
        assert held(done) == {}


def test_a_manager_secret_in_any_script_is_sent_as_its_bytes(home: Path, tmp_path: Path) -> None:
    """A header holds bytes."""
    with serving(tmp_path, home / "docs", settings={"PANNIER_API__MANAGER__SECRET": "비밀 é" * 8}) as server:
        assert held(server.link("docs")) == {}


def test_a_runtime_file_that_others_can_read_is_told_in_json_too(tmp_path: Path) -> None:
    """It is an error like any other."""
    state = tmp_path / ".local/state/pannier"
    state.mkdir(parents=True)
    (state / "serve-1.json").touch(0o644)
    done = pannier("link", "trip", "--json", home=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "others can read this file" in json.loads(done.stdout)["problem"]["title"]


@contextmanager
def listening(status: int, body: bytes) -> Iterator[str]:
    """Run something that is no Pannier, and answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()


def taken_for_a_server(home: Path, url: str) -> None:
    """Have a runtime file lead to a URL, as a stale one does when its port went to somebody else."""
    folder = runtime.RunningFolder("trip", str(home), "trip", "0" * 32)
    running = runtime.Running(os.getpid(), "1", "http://127.0.0.1:1", url, "m" * 43, (folder,))
    state = home / ".local/state/pannier"
    runtime.prepare_state(state)
    runtime.write_running(state, running)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"hello": "world"}', "is that a Pannier?"),
        (200, b"<html>", "is that a Pannier?"),
        (200, b'["token"]', "is that a Pannier?"),
        (404, b"<html>", "the server declined with 404: Not Found"),
        (500, b'{"detail": 1}', "the server declined with 500: 1"),
    ],
)
def test_something_else_at_the_port_is_one_line(tmp_path: Path, status: int, body: bytes, told: str) -> None:
    """Another program may have taken it since."""
    with listening(status, body) as url:
        taken_for_a_server(tmp_path, url)
        done = pannier("link", "trip", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pannier: ")
    assert done.stderr.endswith(f"{told}\n")
    assert done.stderr.count("\n") == 1


def test_something_that_speaks_no_http_is_one_line(tmp_path: Path) -> None:
    """Too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):  # the command looks whether anybody listens, then asks
                with listener.accept()[0] as connection, suppress(ConnectionError):
                    connection.sendall(b"SSH-2.0-x\r\n")
                    while connection.recv(4096):
                        pass

        thread = threading.Thread(target=answer)
        thread.start()
        taken_for_a_server(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}")
        done = pannier("link", "trip", home=tmp_path)
        thread.join()
    assert done.returncode == 1
    assert "what answers there does not speak HTTP); see that it runs" in done.stderr


def test_every_offence_has_words() -> None:
    """A new code needs a row."""
    assert set(REFUSALS) == set(OffenceCode)


def test_a_count_that_still_runs_is_said() -> None:
    """The link is good all the same."""
    assert counted_line(None, None) == "counting still runs"
    packed = counted_line(2, None)
    assert packed == "2 entries · packed while it is sent: no length in advance, no resuming"
    told = counted_line(1213, 3_116_457_222)
    assert told.replace("\N{NO-BREAK SPACE}", " ") == "1,213 entries · archive 3,116,457,222 bytes (2.90 GiB)"


def test_many_refusals_are_cut_and_counted() -> None:
    """A screenful, with the number of the others."""
    items = [{"path": f"p{i}", "code": "missing", "detail": "gone"} for i in range(30)]
    lines = refused_lines({"offenders": items, "total": 1500}, "trip")
    assert lines[0] == "refused: 1,500 entries cannot be included; nothing was sent"
    assert lines[1] == "  p0: no longer there"
    assert lines[21] == "  and 1,480 more"
    assert lines[22].endswith(" --except trip/p19 …")
    lines = refused_lines({"offenders": items, "total": 30, "entries": 2160}, "trip")
    assert lines[0] == "refused: 30 of 2,160 entries cannot be included; nothing was sent"


def test_a_path_that_cannot_be_excepted_is_not_offered() -> None:
    """Another path has to be named instead; codes of a later server show its own words."""
    offenders = [{"path": "../x", "code": "outside", "detail": ""}, {"path": "y", "code": "new", "detail": "is new"}]
    assert refused_lines({"offenders": offenders}, "trip") == [
        "refused: 2 entries cannot be included; nothing was sent",
        "  ../x: leads outside the folder",
        "  y: is new",
        "leave them out with: --except trip/y",
    ]
