"""`make run`: serve a sample folder, download a selection, lose the connection half-way, go on, check every byte."""

from __future__ import annotations

import hashlib
import http.client
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

PANNIER = [sys.executable, "-m", "pannier"]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pannier-first-light-") as scratch:
        trip, state = Path(scratch, "trip"), Path(scratch, "state")
        make_sample(trip)
        say(f"a sample folder: {sum(1 for path in trip.rglob('*') if path.is_file())} files below trip/")

        with Path(scratch, "server.log").open("w") as log:
            server = subprocess.Popen(
                [*PANNIER, "serve", str(trip), "--port", "0", "--manager-port", "0", "--state", str(state)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            assert server.stdout is not None
            for line in iter(server.stdout.readline, ""):
                print(f"    {line.rstrip()}")
                if line.startswith("  reach"):
                    break
            return download(server, state, Path(scratch))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
            say("server stopped")


def download(server: subprocess.Popen[str], state: Path, scratch: Path) -> int:
    minted = subprocess.run(
        [*PANNIER, "link", "--token", "trip/photos", "trip/notes", "--filename", "trip.zip", "--state", str(state)],
        capture_output=True,
        text=True,
        check=False,
    )
    if minted.returncode or server.poll() is not None:
        print(minted.stderr, Path(scratch, "server.log").read_text(), file=sys.stderr)
        return 1
    url = minted.stdout.strip()
    say(f"a link to photos/ and notes/: {minted.stderr.strip()}")
    say(f"    {url[:72]}…")

    head = ask(url, "HEAD")
    length, etag = int(head.headers["Content-Length"]), head.headers["ETag"]
    say(f"HEAD knows it all before a byte is read: {length:,} bytes, ETag {etag}")

    archive = scratch / "trip.zip"
    began = time.monotonic()
    with archive.open("wb") as file:
        response = ask(url, "GET")
        file.write(response.read(length // 2))
        response.close()  # the connection is gone, in the middle of a photo
    have = archive.stat().st_size
    say(f"downloaded {have:,} bytes, then the connection broke")

    with archive.open("ab") as file:
        response = ask(url, "GET", {"Range": f"bytes={have}-", "If-Range": etag})
        say(f"went on from there: {response.status}, {response.headers['Content-Range']}")
        file.write(response.read())
    say(f"complete: {archive.stat().st_size:,} bytes in {time.monotonic() - began:.2f} s")

    whole = ask(url, "GET").read()
    if hashlib.sha256(whole).digest() != hashlib.sha256(archive.read_bytes()).digest():
        say("FAILED: the resumed archive differs from an uninterrupted one")
        return 1
    with zipfile.ZipFile(archive) as opened:
        if (broken := opened.testzip()) is not None:
            say(f"FAILED: {broken} is damaged")
            return 1
        checked = len(opened.namelist())
    say(f"same SHA-256 as an uninterrupted download; {checked} of {checked} entries checked, every CRC-32 agrees")
    return 0


def ask(url: str, method: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request(method, f"{parts.path}?{parts.query}", headers=headers or {})
    response = connection.getresponse()
    if response.status not in (200, 206):
        raise SystemExit(f"{method}: {response.status} {response.read().decode()}")
    return response


def make_sample(trip: Path) -> None:
    """A few hundred files, names in several scripts, an empty folder, a link."""
    chance = random.Random(2026)
    for day in range(1, 6):
        folder = trip / "photos" / f"day {day}"
        folder.mkdir(parents=True)
        for number in range(1, 41):
            (folder / f"사진 {number:03}.jpg").write_bytes(chance.randbytes(chance.randrange(20_000, 400_000)))
    (trip / "photos" / "empty").mkdir()
    (trip / "notes").mkdir()
    for name in ("todo.txt", "café.txt", "日記.md", "🚲 route.gpx"):
        (trip / "notes" / name).write_text(f"{name}\n" * 50, encoding="utf-8")
    (trip / "notes" / "latest").symlink_to("../photos/day 5/사진 001.jpg")
    (trip / "not-selected.bin").write_bytes(b"stays at home")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
