"""``pannier link``, against a stand-in for the server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pannier.cli.link import REFUSALS, refused_lines
from pannier.errors import OffenceCode
from tests.cli.commands import Server, pannier, serving


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("trip/2026", "trip/data", "docs", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "trip/2026/a b.txt").touch()
    (tmp_path / "trip/2026/link").symlink_to("a b.txt")
    (tmp_path / "trip/docs").mkdir()
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip", home / "docs") as running:
        yield running


def asked(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what the stand-in was asked for; its token is an echo."""
    assert done.returncode == 0, done.stderr
    url, _, token = done.stdout.strip().partition("/download-archive?token=")
    assert url.startswith("http://127.0.0.1:")
    document = json.loads(bytes.fromhex(token))
    assert isinstance(document, dict)
    return document


def test_a_link_is_one_line_on_stdout_and_its_size_a_note(server: Server) -> None:
    """The number of entries and the exact length."""
    done = server.link("trip/2026")
    folder = server.runtime()["folders"][0]
    assert asked(done) == {"volume": "trip", "virtual_folder_id": folder["folder_id"], "files": ["2026"]}
    assert done.stdout.count("\n") == 1
    assert done.stderr == "1,213 entries · archive 3,116,457,222 bytes (2.90 GiB)\n"


def test_options_travel(server: Server) -> None:
    """As the route names them; exceptions in the same forms as paths."""
    options = [
        "--filename",
        "x.zip",
        "--exclude",
        "*.tmp",
        "--exclude",
        "*~",
        "--except",
        "trip/2026/b",
        "--links",
        "omit",
    ]
    document = asked(server.link("trip", *options, "--except", server.home / "trip/2026/link"))
    assert document["files"] == ["."]
    assert document["filename"] == "x.zip"
    assert document["exclude"] == ["*.tmp", "*~"]
    assert document["except"] == ["2026/b", "2026/link"]
    assert document["links"] == "omit"


@pytest.mark.parametrize(
    ("cwd", "path", "inside"),
    [
        ("outside", "trip/2026/a b.txt", "2026/a b.txt"),
        ("outside", "trip/not/there", "not/there"),
        ("outside", "trip/2026/../data/", "data"),
        ("outside", "trip", "."),
        ("outside", "../trip/data", "data"),
        (".", "trip/data", "data"),
        ("trip", "data", "data"),
        ("trip", ".", "."),
        ("trip/2026", "a b.txt", "2026/a b.txt"),
        ("trip/2026", "link", "2026/link"),
        ("trip/2026", "..", "."),
        ("trip", "docs", "docs"),
    ],
)
def test_paths_are_local_or_named_by_folder(server: Server, cwd: str, path: str, inside: str) -> None:
    """A path that exists in a served folder wins over a folder of that name; a link is named, not followed."""
    document = asked(server.link(path, cwd=server.home / cwd))
    assert (document["volume"], document["files"]) == ("trip", [inside])


def test_absolute_paths_and_links_to_the_folder_count(server: Server) -> None:
    """By the real path of what they are in."""
    (server.home / "outside" / "way").symlink_to(server.home / "trip")
    absolute = server.home / "trip" / "data"
    document = asked(server.link(absolute, server.home / "outside/way/2026", server.home / "outside/way"))
    assert document["files"] == ["data", "2026", "."]


def test_undecodable_names_travel(server: Server) -> None:
    """As lone surrogates, which the server turns back into the bytes."""
    name = os.fsdecode(b"\xff.txt")
    (server.home / "trip" / name).touch()
    assert asked(server.link(f"trip/{name}"))["files"] == ["\udcff.txt"]


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (("elsewhere/x",), "'elsewhere/x' is in no served folder; served here: docs, trip"),
        (("/etc/passwd",), "'/etc/passwd' is in no served folder"),
        (("trip/../outside",), "'trip/../outside' leads outside the folder 'trip'"),
        (("trip//etc",), "'trip//etc' leads outside the folder 'trip'"),
        (("trip/2026", "docs"), "the paths are in several folders (docs, trip); make one link for each"),
        (("trip", "--except", "docs/x"), "the paths are in several folders"),
        (("",), "'' is in no served folder"),
    ],
)
def test_paths_that_cannot_be_meant_are_wrong_usage(server: Server, paths: tuple[str, ...], told: str) -> None:
    """Exit 2, one line, nothing asked."""
    (server.home / "outside" / "cwd").mkdir()
    done = server.link(*paths, cwd=server.home / "outside" / "cwd")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_a_refusal_is_exit_3_with_the_way_out(server: Server) -> None:
    """One refusal a line in the page's words, and options that can be pasted."""
    done = server.link("trip/refused")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "refused: 2 of 216 entries cannot be included; nothing was sent",
        "  photos/raw x: link leads outside",
        "  run/a.sock: not a file or folder",
        "leave them out with: --except 'trip/photos/raw x' --except trip/run/a.sock",
    ]


def test_a_running_count_is_said(server: Server) -> None:
    """The link is good all the same."""
    done = server.link("trip/running")
    assert done.returncode == 0
    assert done.stdout.endswith("/download-archive?token=a.b-c_d\n")
    assert done.stderr == "counting still runs\n"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("declined", "pannier: the server declined with 503: the server is stopping\n"),
        ("strange", "is no Pannier"),
    ],
)
def test_other_answers_are_exit_1_and_one_line(server: Server, path: str, told: str) -> None:
    """With what the server said."""
    done = server.link(f"trip/{path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("trip/running", 0, {"ok": True, "plan": "running"}),
        ("trip/refused", 3, {"ok": False}),
        ("trip/declined", 1, {"ok": False}),
        ("nowhere", 2, {"ok": False}),
    ],
)
def test_json_is_one_document_on_stdout_errors_too(server: Server, path: str, code: int, told: dict[str, Any]) -> None:
    """For programs; the exit code is the same."""
    done = server.link(path, "--json")
    assert (done.returncode, done.stderr) == (code, "")
    document = json.loads(done.stdout)
    assert told.items() <= document.items()
    assert ("url" in document) == document["ok"]
    assert ("type" in document.get("problem", {})) != document["ok"]


def test_a_terminal_without_utf_8_gets_ascii(server: Server) -> None:
    """Nothing fails for want of a character."""
    done = server.link("trip", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.stderr == "1,213 entries , archive 3,116,457,222 bytes (2.90 GiB)\n"


def test_a_proxy_of_the_environment_is_not_asked(server: Server) -> None:
    """The server is on this machine, and its secret stays there."""
    asked(server.link("trip", http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9"))


def test_without_a_server_the_way_out_is_said(home: Path) -> None:
    """Exit 1."""
    done = pannier("link", "trip", home=home)
    assert done.returncode == 1
    assert "no server is known" in done.stderr
    assert "pannier serve PATH" in done.stderr


def test_a_server_that_was_killed_is_not_taken_for_running(home: Path) -> None:
    """Its file stayed behind; not even another process of its number deceives."""
    with serving(home, home / "trip") as server:
        server.process.kill()
        server.process.wait()
        path = server.runtime_file()
        assert path is not None
        done = server.link("trip")
        assert done.returncode == 1
        assert "no server is known" in done.stderr
        path.write_text(json.dumps(server.runtime() | {"pid": os.getpid()}))
        done = server.link("trip")
        assert f"the server of process {os.getpid()} does not answer" in done.stderr


def test_the_state_folder_can_be_named(home: Path) -> None:
    """As ``pannier serve --state`` was."""
    state = home / "elsewhere"
    with serving(home, home / "trip", "--state", state, state=state) as server:
        assert server.link("trip").returncode == 1
        assert asked(server.link("trip", "--state", state))["files"] == ["."]


def test_the_deepest_folder_that_holds_all_paths_is_taken(home: Path) -> None:
    """When one served directory is inside another."""
    with serving(home, home / "trip", home / "trip/2026") as server:
        assert asked(server.link(home / "trip/2026/link"))["volume"] == "2026"
        document = asked(server.link(home / "trip/2026/link", home / "trip/data"))
        assert (document["volume"], document["files"]) == ("trip", ["2026/link", "data"])


def test_every_offence_has_words() -> None:
    """A new code needs a row."""
    assert set(REFUSALS) == set(OffenceCode)


def test_many_refusals_are_cut_and_counted() -> None:
    """A screenful, with the number of the others; pages and ``data`` are read too."""
    items = [{"path": f"p{i}", "code": "missing", "detail": "gone"} for i in range(30)]
    for problem in ({"offenders": {"items": items, "total": 1500}}, {"data": {"offenders": items, "total": 1500}}):
        lines = refused_lines(problem, "trip")
        assert lines[0] == "refused: 1,500 entries cannot be included; nothing was sent"
        assert lines[1] == "  p0: no longer there"
        assert lines[21] == "  and 1,480 more"
        assert lines[22].endswith(" --except trip/p19 …")


def test_a_path_that_cannot_be_excepted_is_not_offered() -> None:
    """Another path has to be named instead; codes of a later server show its own words."""
    offenders = [{"path": "../x", "code": "outside", "detail": ""}, {"path": "y", "code": "new", "detail": "is new"}]
    assert refused_lines({"offenders": offenders}, "trip") == [
        "refused: 2 entries cannot be included; nothing was sent",
        "  ../x: leads outside the folder",
        "  y: is new",
        "leave them out with: --except trip/y",
    ]
