"""Pages without a script: listing, plan, download, links; names that try to be more than names; previews."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import zipfile
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest

from pannier.desk.html import shown
from pannier.desk.words import PROBLEMS, WORDS, language_of
from pannier.services.previews import shown_as
from tests.desk.desks import DeskServer, desk, hidden, kind

PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


async def test_the_way_to_an_archive_without_a_script(it: DeskServer) -> None:
    it.write("2026/photos/a.jpg", b"a" * 1_000)
    it.write("2026/notes.txt", b"n")
    owner = await it.owner()
    home = await owner.ask("GET", "/", headers={"Accept": "text/html"}, token=False)
    assert (home.status, home.headers["Location"]) == (303, "/f/trip/")
    page = await owner.page("/f/trip/2026")
    assert re.findall(r'<input type="checkbox" name="p" value="([^"]+)"', page) == ["2026/notes.txt", "2026/photos"]
    none = await owner.form("/f/trip/2026", {"do": "count"})
    assert "Nothing is selected." in none.body.decode()
    plan = (await owner.form("/f/trip/2026", {"do": "count", "p": ["2026/notes.txt", "2026/photos"]})).body.decode()
    exact = re.search(r"archive is exactly ([\d,]+)", plan)
    assert exact
    assert set(hidden(plan, "p")) == {"2026/notes.txt", "2026/photos"}
    begun = await owner.form("/f/trip/2026", {"do": "download", "p": hidden(plan, "p"), "format": "zip"})
    assert begun.status == 303
    archive = await owner.get(begun.headers["Location"])
    assert len(archive.body) == int(exact[1].replace(",", ""))
    assert zipfile.ZipFile(BytesIO(archive.body)).namelist() == ["2026/notes.txt", "2026/photos/a.jpg"]
    single = (await owner.form("/f/trip/2026", {"do": "count", "p": "2026/notes.txt"})).body.decode()
    assert 'href="/raw/trip/2026/notes.txt"' in single
    raw = await owner.get("/raw/trip/2026/notes.txt")
    assert (await owner.get(raw.headers["Location"])).body == b"n"
    made = await owner.form("/f/trip/", {"do": "link", "p": "2026", "days": "1", "deliveries": "2", "note": "hi"})
    assert made.headers["Location"] == "/links"
    links = await owner.page("/links")
    (code,) = set(re.findall(r"/s/([\w-]{22})", links))
    assert (await owner.form("/links", {"do": "revoke", "code": code})).status == 303
    assert "revoked" in await owner.page("/links")


async def test_what_cannot_be_included_is_decided_by_the_person(it: DeskServer) -> None:
    it.write("dir/a", b"a")
    (it.root / "dir" / "out").symlink_to("/etc/passwd")
    owner = await it.owner()
    page = (await owner.form("/f/trip/", {"do": "count", "p": "dir"})).body.decode()
    assert "1 of 2 entries cannot be included" in page
    assert "link leads outside" in page
    assert "Download ·" not in page
    again = (await owner.form("/f/trip/", {"do": "count", "p": "dir", "x": hidden(page, "x")})).body.decode()
    assert "archive is exactly" in again
    begun = await owner.form("/f/trip/", {"do": "download", "p": "dir", "x": hidden(again, "x"), "format": "tar"})
    assert (await owner.get(begun.headers["Location"])).status == 200


NAMES = [
    b"<img src=x onerror=alert(1)>",
    b'"onmouseover="x',
    "évènement 한글 🎒".encode(),
    b"caf\xe9.txt",
    b"a\tb",
    b"100% &amp; ?#;",
    "\u202egpj.exe".encode(),
    b"-rf",
    b"x" * 255,
]


async def test_any_name_is_shown_selected_and_got(it: DeskServer) -> None:
    for number, name in enumerate(NAMES):
        it.write(os.fsdecode(name), b"%d" % number)
    owner = await it.owner()
    page = await owner.page("/f/trip/")
    assert "<img" not in page
    assert "⟨U+202E⟩" in page
    assert "a␉b" in page
    values = [unescape(value) for value in re.findall(r'<input type="checkbox" name="p" value="([^"]+)"', page)]
    assert len(values) == len(NAMES)
    links = [unescape(link) for link in re.findall(r'href="(/raw/[^"]+)"', page)]
    contents = set()
    for link in links:
        raw = await owner.get(link)
        assert raw.status == 303, link
        contents.add((await owner.get(raw.headers["Location"])).body)
    assert contents == {b"%d" % number for number in range(len(NAMES))}
    plan = (await owner.form("/f/trip/", {"do": "count", "p": values})).body.decode()
    assert f"<dd>{len(NAMES)}</dd>" in plan


async def test_previews_run_nothing(it: DeskServer) -> None:
    it.write("a.png", PNG)
    it.write("page.html", b"<script>alert(1)</script>")
    it.write("pic.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>")
    it.write("long.txt", "가".encode() * 200_000)
    it.write("bin", bytes(range(256)))
    owner = await it.owner()
    for name, media_type, size in (
        ("a.png", "image/png", len(PNG)),
        ("page.html", "text/plain; charset=utf-8", 25),
        ("pic.svg", "text/plain; charset=utf-8", 54),
        ("long.txt", "text/plain; charset=utf-8", 262_143),
    ):
        answer = await owner.get(f"/preview/trip/{name}")
        assert (answer.status, answer.headers["Content-Type"], len(answer.body)) == (200, media_type, size)
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert int(answer.headers["X-Pannier-Size"]) == (it.root / name).stat().st_size
    assert kind(await owner.get("/preview/trip/bin")) == (415, "no-preview")
    assert kind(await owner.get("/preview/trip/none")) == (404, "storage/file-not-found")
    assert kind(await owner.get("/preview/trip/../../etc/passwd"))[0] in (400, 404)
    assert kind(await it.stranger().get("/preview/trip/a.png")) == (401, "signed-out")


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\0\0\0\x1cftypisom", None),
        (b"<svg/>", "text/plain; charset=utf-8"),
        (b"", "text/plain; charset=utf-8"),
        (b"\xff\xfe", None),
        (b"caf\xe9", None),
    ],
)
def test_what_is_shown_is_told_by_its_bytes(head: bytes, media_type: str | None) -> None:
    found = shown_as(head, whole=True)
    assert (found.media_type if found else None) == media_type


async def test_large_directories_come_in_pages(it: DeskServer) -> None:
    for number in range(450):
        it.write(f"f{number:03}", b"")
    owner = await it.owner()
    names = []
    for page in (1, 2, 3):
        names += re.findall(r'href="/raw/trip/(f\d+)"', await owner.page(f"/f/trip/?page={page}"))
    assert names == [f"f{number:03}" for number in range(450)]
    last = re.findall(r'href="/raw/trip/(f\d+)"', await owner.page("/f/trip/?order=desc"))
    assert last[0] == "f449"


@pytest.mark.skipif(shutil.which("w3m") is None, reason="w3m is not installed")
async def test_a_text_browser_reads_the_receivers_page(it: DeskServer) -> None:
    it.write("photos/a.jpg", b"a" * 2_000)
    owner = await it.owner()
    url = (await owner.post("/desk/links", folder="trip", paths=["photos"], note="for you")).json["url"]
    command = ["w3m", "-dump", "-o", "accept_language=ko", url]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    assert "photos/a.jpg" in done.stdout
    assert "for you" in done.stdout
    assert "다운로드" in done.stdout


async def test_several_folders_have_a_page(tmp_path: Path) -> None:
    async with desk(tmp_path, public=True) as it:
        assert (await it.stranger().get("/", Accept="text/html")).headers["Location"] == "/f/trip/"
        assert (await it.stranger().get("/")).json["type"] == "client-facing"
        assert kind(await it.stranger().get("/f/other/")) == (404, "storage/vfolder/not-found")
        answer = await it.stranger().get("/f/trip/none", Accept="text/html")
        assert (answer.status, "was moved or deleted" in answer.body.decode()) == (404, True)


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "language"),
    [
        (None, None, "", "en"),
        (None, None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (None, None, "fr,en;q=0.4,ko;q=0.3", "en"),
        (None, "ko", "en", "ko"),
        ("en", "ko", "ko", "en"),
        ("xx", None, "ko;q=x,ko;q=0", "en"),
    ],
)
def test_the_language_is_what_is_asked_for(asked: str | None, kept: str | None, accepted: str, language: str) -> None:
    assert language_of(asked, kept, accepted) == language


@pytest.mark.parametrize("words", [*WORDS.items(), *PROBLEMS.items()], ids=lambda it: str(it[0]))
def test_both_languages_have_the_same_holes(words: tuple[str, tuple[str, str]]) -> None:
    english, korean = words[1]
    assert set(re.findall(r"\{(\w+)\}", english)) == set(re.findall(r"\{(\w+)\}", korean))
    assert not re.search(r"[!]|\bplease\b|\bsorry\b", english, re.IGNORECASE)
    assert not re.search(r"\}(을|를|이|가|으로|로|은|는)\s", korean)


def test_what_could_hide_is_written_out() -> None:
    assert shown("a\u202eb\x00\x7f\udce9") == "a⟨U+202E⟩b␀␡⟨E9⟩"
