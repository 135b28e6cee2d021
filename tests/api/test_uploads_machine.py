"""Uploads as a machine: begun in both ways, sent in pieces, cut, misplaced, checked, given up, by servers that come and
go.

The model knows of each upload how far it is and what it is to hold, and of the folder which files are in it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.api.disk import Disk, disk
from tests.api.live import Answer
from tests.examples import examples

PATHS = st.sampled_from(["f", "g.bin", "d/h"])
SIZES = st.sampled_from([1, 10, 1_000])
SENDING = {"Tus_Resumable": "1.0.0", "Content_Type": "application/offset+octet-stream"}


@dataclass(eq=False)
class Upload:
    """What is known of an upload."""

    target: str
    """The path and query under which it is reached."""
    path: str
    content: bytes
    conflict: str
    offset: int = 0
    state: str = "open"
    """``open``, ``stuck`` (whole, but its name is taken), ``finished`` or ``ended``."""

    @property
    def created(self) -> bool:
        """Whether it was begun at ``/uploads``, by its client."""
        return self.target.startswith("/uploads")

    @property
    def missing(self) -> bool:
        return self.state in ("finished", "ended")


class Uploading(RuleBasedStateMachine):
    """A folder, and those who upload into it."""

    uploads = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.home = Path(tempfile.mkdtemp())
        self.all: list[Upload] = []
        self.files: dict[str, bytes] = {}
        self.number = 0
        self.run(self.start())

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    async def start(self) -> None:
        self.stack = AsyncExitStack()
        self.it: Disk = await self.stack.enter_async_context(disk(self.home))
        self.root = self.it.root

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.home)

    def ask(self, method: str, upload: Upload, data: bytes | None = None, **headers: str) -> Answer:
        url = self.it.it.listening.client_url + upload.target
        answer: Answer = self.run(self.it.it.ask(method, url, data=data, **SENDING, **headers))
        return answer

    def new_content(self, size: int) -> bytes:
        self.number += 1
        return hashlib.shake_128(str(self.number).encode()).digest(size)

    # -- what happens

    @rule(target=uploads, path=PATHS, size=SIZES, conflict=st.sampled_from(["replace", "rename", "refuse"]))
    def begin(self, path: str, size: int, conflict: str) -> Upload:
        """By the manager, for one file."""
        answer = self.run(self.it.ask("upload", relpath=path, size=size, conflict=conflict))
        upload = Upload("", path, self.new_content(size), conflict)
        if conflict == "refuse" and path in self.files:
            assert answer.status == 409
            upload.state = "ended"
            upload.target = "/upload?token=none"
        else:
            assert answer.status == 200, answer.json
            upload.target = f"/upload?token={answer.json['token']}"
            self.all.append(upload)
        return upload

    @rule(target=uploads, path=PATHS, size=SIZES, first=st.booleans())
    def create(self, path: str, size: int, first: bool) -> Upload:
        """By the client, perhaps with the first bytes."""
        minted = self.run(self.it.ask("upload", relpath=".", size=2_000, multiple=True))
        content = self.new_content(size)
        headers = {
            "Upload_Length": str(size),
            "Upload_Metadata": f"filename {base64.b64encode(path.encode()).decode()}",
        }
        upload = Upload(f"/uploads?token={minted.json['token']}", path, content, "replace")
        data = content[: size // 2] if first else b""
        answer = self.ask("POST", upload, data, **headers)
        assert answer.status == 201, answer.body
        parts = urlsplit(answer.headers["Location"])
        upload.target, upload.offset = f"{parts.path}?{parts.query}", len(data)
        assert answer.headers["Upload-Offset"] == str(len(data))
        self.all.append(upload)
        return upload

    @rule(upload=uploads, share=st.sampled_from([0.3, 1.0]), checked=st.sampled_from(["no", "right", "wrong"]))
    def append(self, upload: Upload, share: float, checked: str) -> None:
        """Send what comes next; with a checksum only where checksums are spoken."""
        rest = upload.content[upload.offset :]
        data = rest[: max(1, int(len(rest) * share))]
        headers = {"Upload_Offset": str(upload.offset)}
        wrong = False
        if upload.created and checked != "no":
            wrong = checked == "wrong"
            digest = hashlib.sha1(data + b"x" * wrong, usedforsecurity=False).digest()
            headers["Upload_Checksum"] = f"sha1 {base64.b64encode(digest).decode()}"
        answer = self.ask("PATCH", upload, data, **headers)
        if upload.missing:
            assert answer.status in ((400,) if upload.target.endswith("=none") else (404,)), answer.body
        elif wrong and data:
            assert answer.status == 460, answer.body
        else:
            self.takes(upload, upload.offset + len(data), answer)

    def takes(self, upload: Upload, offset: int, answer: Answer) -> None:
        upload.offset = offset
        if offset == len(upload.content) and self.appears(upload) is None:
            assert (answer.status, answer.json["type"]) == (409, "urn:pannier:problem:target-exists"), answer.body
            return
        assert answer.status == 204, answer.body
        assert answer.headers["Upload-Offset"] == str(offset)

    def appears(self, upload: Upload) -> str | None:
        """Put a whole upload where it belongs, and return where; None if it may not be there."""
        path = upload.path
        if path in self.files and upload.conflict == "refuse":
            upload.state = "stuck"
            return None
        if path in self.files and upload.conflict == "rename":
            stem, dot, suffix = path.partition(".")
            taken = (f"{stem} ({number}){dot}{suffix}" for number in range(1, 1_000))
            path = next(each for each in taken if each not in self.files)
        upload.state = "finished"
        self.files[path] = upload.content
        return path

    @rule(upload=uploads, by=st.sampled_from([-1, 1, 5_000]))
    def append_elsewhere(self, upload: Upload, by: int) -> None:
        offset = upload.offset + by
        answer = self.ask("PATCH", upload, b"x", Upload_Offset=str(offset))
        refused = 400 if offset < 0 or upload.target.endswith("=none") else 404 if upload.missing else 409
        assert answer.status == refused, answer.body

    @rule(upload=uploads)
    def append_too_much(self, upload: Upload) -> None:
        data = upload.content[upload.offset :] + b"more"
        answer = self.ask("PATCH", upload, data, Upload_Offset=str(upload.offset))
        if not upload.missing:
            assert answer.status == 413, answer.body

    @rule(upload=uploads, share=st.sampled_from([0.0, 0.5, 0.9]))
    def cut(self, upload: Upload, share: float) -> None:
        """Announce all that is left, send some of it, and leave; what came is kept, and no more."""
        if upload.state != "open":
            return
        rest = upload.content[upload.offset :]
        sent = int(len(rest) * share)
        host = urlsplit(self.it.it.listening.client_url)

        async def leave() -> None:
            _, writer = await asyncio.open_connection(host.hostname, host.port)
            lines = [f"PATCH {upload.target} HTTP/1.1", f"Host: {host.netloc}", f"Content-Length: {len(rest)}"]
            named = {name.replace("_", "-"): value for name, value in SENDING.items()}
            lines += [f"{name}: {value}" for name, value in {**named, "Upload-Offset": str(upload.offset)}.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + rest[:sent])
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        self.run(leave())
        answer = self.settled(upload)
        assert answer.status == 200, answer.body
        offset = int(answer.headers["Upload-Offset"])
        assert upload.offset <= offset <= upload.offset + sent
        upload.offset = offset

    def settled(self, upload: Upload) -> Answer:
        """Ask where it is, once nobody writes to it and what was sent has come."""

        async def ask() -> Answer:
            url, before = self.it.it.listening.client_url + upload.target, None
            async with asyncio.timeout(20):
                while True:
                    answer = await self.it.it.ask("HEAD", url, **SENDING)
                    now = (answer.status, answer.headers.get("Upload-Offset"))
                    if answer.status == 200 and now == before:
                        return answer
                    before = now
                    await asyncio.sleep(0.02)

        answer: Answer = self.run(ask())
        return answer

    @rule(upload=uploads)
    def head(self, upload: Upload) -> None:
        if upload.state == "stuck" and upload.path not in self.files:
            self.appears(upload)  # its name is free by now, and so it is put there
            assert self.ask("HEAD", upload).status == 200
            return
        answer = self.ask("HEAD", upload)
        if upload.state == "finished" and upload.created:
            assert (answer.status, answer.headers["Upload-Offset"]) == (200, str(len(upload.content)))
        elif upload.missing:
            assert answer.status == (400 if upload.target.endswith("=none") else 404)
        elif upload.state == "stuck":
            assert answer.status == 409
        else:
            assert (answer.status, answer.headers["Upload-Offset"]) == (200, str(upload.offset))

    @rule(upload=uploads)
    def give_up(self, upload: Upload) -> None:
        was = upload.target
        upload.target = was.replace("/upload?", "/uploads?")
        answer = self.ask("DELETE", upload)
        upload.target = was
        if upload.missing:
            assert answer.status in (400, 404)
        else:
            assert answer.status == 204, answer.body
            upload.state = "ended"

    @rule(path=PATHS)
    def others_delete(self, path: str) -> None:
        """Who mounts the folder removes a file."""
        if path in self.files:
            (self.root / path).unlink()
            del self.files[path]

    @rule()
    def restart(self) -> None:
        async def again() -> None:
            await self.stack.aclose()
            await self.start()

        self.run(again())

    # -- what is always true

    @invariant()
    def the_folder_holds_what_was_finished(self) -> None:
        there = {str(path.relative_to(self.root)): path for path in self.root.rglob("*") if path.is_file()}
        staged = [path for path in there if path.startswith(".upload/")]
        assert {name: path.read_bytes() for name, path in there.items() if name not in staged} == self.files
        assert len(staged) == sum(not upload.missing for upload in self.all), "one file for each that is not ended"


TestUploading = Uploading.TestCase
# without shrinking: each step asks a real server
TestUploading.settings = settings(
    max_examples=examples(10), stateful_step_count=25, deadline=None, phases=[Phase.reuse, Phase.generate]
)
