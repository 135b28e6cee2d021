"""Uploads a file with tuspy or Backend.AI's client, as a program of its own: what they leave open is not our tests'.

Arguments: client, URL, file, bytes of a chunk, and the name that a new upload gets; without a name the upload at the
URL is gone on with. tuspy is asked to go on whenever it gives up, as its users would.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiotusclient.client import TusClient as BackendAi
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

NOT_THERE = 4
"""The exit code where the upload is finished, or never was."""
_PAUSE = 0.2


def go_on(url: str, file: str, chunk: int) -> int:
    while True:
        try:
            TusClient(url).uploader(file, url=url, chunk_size=chunk, retries=20, retry_delay=1).upload()
        except TusCommunicationError as error:
            if error.status_code == 404:
                return NOT_THERE
            time.sleep(_PAUSE)
        except TusUploadFailed:
            time.sleep(_PAUSE)
        else:
            return 0


def begin(url: str, file: str, chunk: int, name: str) -> int:
    uploader = TusClient(url).uploader(file, chunk_size=chunk, metadata={"filename": name}, upload_checksum=True)
    while uploader.url is None:
        try:
            uploader.set_url(uploader.create_url())
        except TusCommunicationError:
            time.sleep(_PAUSE)
    while True:
        try:
            uploader.offset = uploader.get_offset()
            uploader.upload()
        except (TusCommunicationError, TusUploadFailed):
            time.sleep(_PAUSE)
        else:
            return 0


def main(client: str, url: str, file: str, chunk: str, name: str = "") -> int:
    if client == "aiotusclient":
        uploader = BackendAi().async_uploader(file_path=file, url=url, upload_checksum=False, chunk_size=int(chunk))
        asyncio.run(uploader.upload())
        return 0
    return begin(url, file, int(chunk), name) if name else go_on(url, file, int(chunk))


sys.exit(main(*sys.argv[1:]))
