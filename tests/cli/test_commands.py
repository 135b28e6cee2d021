"""``ls``, ``plan``, ``mkdir``, ``mv``, ``rm``, ``links``, ``revoke``: against a real server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Server, ask, serving
from tests.cli.here import Run, at_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("trip/2026/사진", "trip/empty", "trip/bad", "docs", "cwd"):
        (home / name).mkdir(parents=True)
    (home / "trip/README.md").write_text("x" * 2212)
    (home / "trip/2026/사진/하나.jpg").write_text("one")
    (home / "trip/2026/latest").symlink_to("사진")
    (home / "trip" / "a\\b.txt").write_text("b")
    (home / "trip" / "\x1b[31mred\u202etxt").write_text("")
    (home / "trip/bad/gone").symlink_to("nothing")
    os.mkfifo(home / "trip/bad/fifo")
    os.utime(home / "trip/README.md", (1_700_000_000, 1_700_000_000))
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip", home / "docs") as running:
        yield running


@pytest.fixture
def run(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("TZ", "UTC")
    return at_home(home, monkeypatch, capfd, home / "cwd")


def test_ls_shows_folders_and_what_is_in_them(run: Run) -> None:
    assert run("ls").out == "d         -  -                 trip/\nd         -  -                 docs/\n"
    lines = run("ls", "trip").out.splitlines()
    assert "-  2.16 KiB  2023-11-14 22:13  README.md" in lines
    names = [line[31:] for line in lines if "\\" not in line]
    assert names == sorted(names)
    assert any(re.fullmatch(r"d         -  20\d\d-\d\d-\d\d \d\d:\d\d  2026/", line) for line in lines)
    assert run("ls", "trip/README.md").out == "-  2.16 KiB  2023-11-14 22:13  README.md\n"
    assert run("ls", "trip/2026").out.splitlines()[0].endswith("latest -> 사진")


def test_names_cannot_play_with_the_terminal(run: Run) -> None:
    out = run("ls", "trip").out
    assert "\\x1b[31mred\\u202etxt" in out
    assert not {"\x1b", "\u202e"} & set(out)


def test_ls_of_what_is_not_there_is_one_line(run: Run) -> None:
    done = run("ls", "trip/nothing")
    assert (done.code, done.out, done.err) == (1, "", "pannier: 'trip/nothing': No such file or directory\n")
    assert run("ls", "trip/README.md/x").code == 1


def test_ls_as_json(run: Run) -> None:
    assert [each["name"] for each in run("ls", "--json").document["folders"]] == ["trip", "docs"]
    document = run("ls", "trip/2026", "--json").document
    assert (document["ok"], document["path"]) == (True, "trip/2026")
    link, directory = document["items"]
    assert (link["name"], link["type"], link["target"]) == ("latest", "symlink", "사진")
    assert (directory["name"], directory["type"]) == ("사진", "directory")


def test_plan_tells_the_archive_to_the_byte(run: Run) -> None:
    done = run("plan", "trip/2026", "trip/a\\b.txt")
    first, second = done.out.splitlines()
    length = int(re.search(r"archive ([\d,]+) bytes", first)[1].replace(",", ""))  # type: ignore[index]
    link = run("link", "--token", "trip/2026", "trip/a\\b.txt").out.strip()
    assert int(ask(link, "HEAD").headers["content-length"]) == length
    assert first.startswith("3 entries · contents 7 bytes · archive ")
    assert first.endswith(" · can be resumed")
    assert second == "renamed 1 (in the archive only): 'a\\\\b.txt' -> 'a_b.txt', has a backslash"
    packed = run("plan", "trip/2026", "--format", "tar.gz").out
    assert packed == "2 entries · contents 6 bytes · archive size known at the end · starts over if cut\n"


def test_plan_refuses_with_exit_3_and_a_line_that_leaves_it_out(run: Run) -> None:
    done = run("plan", "trip/bad")
    assert (done.code, done.out) == (3, "")
    assert done.err.splitlines() == [
        "refused: 2 of 3 entries cannot be included; nothing was sent",
        "  bad/fifo: not a file or folder",
        "  bad/gone: link leads nowhere",
        "leave them out with: --except trip/bad/fifo --except trip/bad/gone",
    ]
    assert run("plan", "trip/bad", "--except", "trip/bad/fifo", "--except", "trip/bad/gone").code == 0
    problem = run("plan", "trip/bad", "--json").document["problem"]
    assert (problem["type"], problem["total"]) == ("selection-refused", 2)
    assert [each["code"] for each in problem["offenders"]] == ["special-file", "link-dangling"]


def test_plan_as_json_is_what_the_server_says(run: Run) -> None:
    document = run("plan", "trip/2026", "--json").document
    assert (document["ok"], document["entries"], document["offenders"]["total"]) == (True, 2, 0)


def test_silence_leaves_results_and_errors(run: Run) -> None:
    done = run("link", "trip/2026", "--silent")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("http://")
    assert run("ls", "trip/nothing", "--silent").err.startswith("pannier: ")


def test_mkdir_is_honest_about_what_is_there(run: Run, home: Path) -> None:
    assert run("mkdir", "docs/new").out == "made docs/new\n"
    again = run("mkdir", "docs/new")
    assert (again.code, again.err) == (1, "pannier: 'docs/new': File exists\n")
    assert "No such file or directory" in run("mkdir", "docs/a/b").err
    assert run("mkdir", "-p", "docs/a/b", "docs/new").code == 0
    assert (home / "docs/a/b").is_dir()
    done = run("mkdir", "docs/third", "docs/new", "--json")
    assert (done.code, done.document["problem"]["made"]) == (1, ["docs/third"])


def test_mv_replaces_nothing_unless_that_is_said(run: Run, home: Path) -> None:
    for name in "abc":
        (home / "docs" / f"{name}.txt").write_text(name)
    (home / "docs/into").mkdir()
    assert run("mv", "docs/a.txt", "docs/d.txt").out == "moved docs/a.txt -> docs/d.txt\n"
    refused = run("mv", "docs/b.txt", "docs/c.txt")
    assert refused.err == "pannier: 'docs/c.txt' exists; nothing was moved; --replace replaces a file\n"
    assert (home / "docs/c.txt").read_text() == "c"
    assert run("mv", "--replace", "docs/b.txt", "docs/c.txt").code == 0
    assert (home / "docs/c.txt").read_text() == "b"
    done = run("mv", "docs/c.txt", "docs/d.txt", "docs/into", "--json")
    assert [each["to"] for each in done.document["moved"]] == ["docs/into/c.txt", "docs/into/d.txt"]
    (home / "docs/c.txt").write_text("another")
    assert "'docs/into/c.txt' exists" in run("mv", "docs/c.txt", "docs/into").err
    assert run("mv", "docs/nothing", "docs/into").err == "pannier: 'docs/nothing': nothing is there\n"
    assert run("mv", "docs/c.txt", "docs/into", "docs/d.txt").err.startswith("pannier: 'docs/d.txt' is not there")
    assert run("mv", "docs/c.txt", "trip/c.txt").code == 2  # two folders
    assert run("mv", "docs/c.txt").code == 2


def test_rm_says_what_it_deletes(run: Run, home: Path) -> None:
    (home / "docs/old/deep").mkdir(parents=True)
    (home / "docs/old/deep/a").write_text("12345")
    (home / "docs/old/b").write_text("1")
    (home / "docs/one").write_text("123")
    refused = run("rm", "docs/old")
    assert (refused.code, "--recursive" in refused.err) == (2, True)
    assert run("rm", "docs/one", "docs/none").err.startswith("pannier: 'docs/none': nothing is there; nothing was")
    assert (home / "docs/one").exists()
    assert run("rm", "docs/one").out == "deleted docs/one (3 bytes)\n"
    assert run("rm", "-r", "docs/old").out == "deleted docs/old (2 entries, 6 bytes)\n"
    assert not (home / "docs/old").exists()
    (home / "docs/one").write_text("123")
    assert run("rm", "docs/one", "--json").document == {"ok": True, "deleted": ["one"], "entries": 1, "bytes": 3}


def test_a_link_leads_to_a_page_for_people(run: Run, home: Path) -> None:
    (home / "password").write_text("열려라\n")
    (home / "password").chmod(0o600)
    terms = ["-n", "2", "--expires", "7d", "--note", "사진", "--password-file", str(home / "password")]
    done = run("link", "trip/2026", *terms)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/s/[\w-]{22}\n", done.out)
    code = done.out.strip().rpartition("/")[2]
    said = done.err.replace("\N{NO-BREAK SPACE}", " ")
    assert re.match(
        r"2 entries · \d+ bytes · 2 deliveries · with a password · until [\d-]+ [\d:]+ [+-]\d\d:\d\d · ", said
    )
    assert said.endswith(f" · revoke: pannier revoke {code}\n")
    told = ask(done.out.strip(), headers={"Accept": "application/json"}).document
    assert (told["password"], told["note"]) == (True, "사진")
    made = run("link", "docs", "--once", "--json").document
    assert (made["deliveries"], made["password"], made["state"]) == (1, False, "open")


def test_links_are_listed_and_revoked(run: Run) -> None:
    made = run("link", "docs", "--once", "--expires", "7d", "--json").document
    code = made["code"]
    (line,) = [line for line in run("links", "docs").out.splitlines() if line.startswith(code[:12])]
    assert re.search(r" · open · .* · 1 delivery · until 20\d\d-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d$", line)
    assert code in [each["code"] for each in run("links", "--json").document["links"]]
    assert run("revoke", code[:12]).out == f"revoked {code[:12]} · {made['filename']}\n"
    assert ask(made["file_url"]).status == 410
    assert code[:12] not in run("links", "docs").out
    assert f"{code[:12]} · {made['filename']} · revoked · " in run("links", "docs", "--all").out


def test_download_urls_are_listed_and_revoked_too(run: Run) -> None:
    made = run("link", "--token", "docs", "--once", "--json").document
    url, session = made["url"], made["session"]
    assert f"{session[:12]} · archive.zip · new · one delivery · until " in run("links", "--tokens", "docs").out
    assert run("revoke", session[:12]).out == f"revoked {session[:12]} · archive.zip\n"
    assert ask(url).status == 410
    assert f"{session[:12]} · archive.zip · revoked" in run("links", "--tokens", "--all").out


def test_all_links_of_a_folder_are_revoked(run: Run) -> None:
    url, page = run("link", "--token", "docs").out.strip(), run("link", "docs", "--json").document
    assert re.fullmatch(r"revoked \d+ links? of docs\n", run("revoke", "--folder", "docs").out)
    assert (ask(url).status, ask(page["file_url"]).status) == (410, 410)
    assert run("links", "--tokens", "docs").err == "no links that open anything; --all shows the others\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("revoke",), "name links by their ids, or all of a folder with --folder"),
        (("link", "docs", "--rate", "1m"), "--rate: goes with --token"),
        (("link", "docs", "--token", "--note", "x"), "--note: goes with a page, not with --token"),
        (("link", "docs", "--password"), "there is no terminal to ask on; use --password-file FILE"),
        (("revoke", "abc"), "write at least 4 characters of an id"),
        (("ls", "elsewhere/x"), "is in no served folder; served here: docs, trip"),
        (("ls", "trip/../docs"), "leads outside the folder 'trip'"),
        (("put", "x"), "name what is to be sent, and where to"),
        (("put", "--skip", "--replace", "x", "docs"), "name one of them"),
        (("put", "-", "docs"), "stdin needs a name: pannier put - FOLDER/inside/NAME"),
    ],
)
def test_wrong_usage_is_one_line_in_both_forms(run: Run, arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert told in done.err
    asked = run(*arguments, "--json")
    assert (asked.code, asked.err, asked.document["problem"]["type"]) == (2, "", "usage")
    assert told in asked.document["problem"]["title"]


def test_wrong_usage_that_the_parser_sees_is_json_too(run: Run) -> None:
    done = run("ls", "--frobnicate", "--json")
    assert (done.code, done.err) == (2, "")
    assert "no such option: --frobnicate" in done.document["problem"]["title"]


def test_a_link_that_is_not_there_is_no_success(run: Run) -> None:
    assert run("revoke", "0123456789").code == 1
