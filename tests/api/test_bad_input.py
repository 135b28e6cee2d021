"""Whatever is sent, it is answered as somebody's mistake: never a 500, never a traceback, never silence."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pannier.api.problems import CONTENT_TYPE
from tests.api.live import MINT, PLAN, SECRET, live
from tests.api.wire import exchange

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    " ",
    "\0",
    "\n",
    "..",
    "\ud800",
    "\udcff",
    "😀" * 300,
    "x" * 20_000,
    "{}{0}%s\\",
    [],
    [""],
    [None],
    [[]],
    ["\ud800"],
    ["\udcff", "\udc80/.."],
    ["/" * 5_000],
    ["a/" * 5_000],
    ["*" * 1_000],
    ["a"] * 1_001,
    {},
    {"a": {"b": []}},
]
FIELDS = [
    "volume",
    "virtual_folder_id",
    "files",
    "filename",
    "links",
    "exclude",
    "except",
    "layout",
    "cursor",
    "unknown",
]


@pytest.mark.parametrize("field", FIELDS)
async def test_no_value_of_a_member_is_our_failure(tmp_path: Path, field: str) -> None:
    with capture_logs() as log:
        async with live(tmp_path) as it:
            it.write("a", b"1")
            for path, value in itertools.product((MINT, PLAN, "/folder/file/download-archive"), ODD):
                body = json.dumps({**it.order("a"), field: value}).encode()
                answer = await it.ask(
                    "POST", it.listening.manager_url + path, data=body, X_BackendAI_Storage_Auth_Token=SECRET
                )
                assert answer.status in (200, 400, 404, 409, 413), (value, answer.body)
                if answer.status != 200:
                    assert answer.headers["Content-Type"] == CONTENT_TYPE
                    assert answer.json["msg"] or field == "volume"  # its msg is the name, which may be empty
    assert not [line for line in log if line["log_level"] == "error"]


HEADERS = ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]
VALUES = [
    b"",
    b"*",
    b"bytes",
    b"bytes=",
    b"bytes=-",
    b"bytes=--1",
    b"bytes=0x1-2",
    b"bytes=" + b"9" * 5_000 + b"-",
    b"bytes=0-" + b"9" * 5_000,
    b"bytes=" + b"0-1," * 5_000,
    b"\xff\xfe=0-",
    b'"',
    b'""',
    b'W/""',
    b'"' * 5_000,
    b'"\xff"',
    b'"a",' * 5_000,
    b" ," * 5_000,
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sun, 99 Nov 9999 99:99:99 GMT",
    b"Thu, 01 Jan 0001 00:00:00 GMT",
    b"now",
]


async def test_no_condition_and_no_range_is_our_failure(tmp_path: Path) -> None:
    with capture_logs() as log:
        async with live(tmp_path) as it:
            it.write("a", b"alpha" * 100)
            token = await it.mint()
            pairs = [(name, value) for name in HEADERS for value in VALUES]
            for name, value in pairs:
                for more in (b"", b"Range: bytes=5-\r\n"):
                    head = f"GET /download-archive?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{name}: "
                    told = await exchange(it.listening.client_url, head.encode() + value + b"\r\n" + more + b"\r\n")
                    status = int(told.split(b" ", 2)[1])
                    assert status in (200, 206, 304, 400, 409, 412, 416), (name, value, told[:200])
    assert not [line for line in log if line["log_level"] == "error"]
    assert len([line for line in log if line["event"] == "request"]) == 2 * len(pairs) + 1


@pytest.mark.parametrize(
    "target",
    [
        "/download-archive?token=%00",
        "/download-archive?token=%ff%fe",
        "/download-archive?token=" + "." * 60_000,
        "/download-archive?token=" + "eyJ" * 20_000,
        "/download-archive?" + "&" * 60_000,
        "/download-archive?" + "a=b&" * 15_000,
        "/download-archive?token=a.b.c#fragment",
        "/" + "a/" * 30_000,
        "/%2e%2e/%2e%2e/etc/passwd",
        "//download-archive",
        "/download-archive;x=y",
        "/?" + "x" * 60_000,
        "*",
        "http://elsewhere.example/download-archive?token=x",
    ],
    ids=lambda target: target[:40],
)
async def test_no_target_of_a_request_is_our_failure(tmp_path: Path, target: str) -> None:
    with capture_logs() as log:
        async with live(tmp_path) as it:
            request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            told = await exchange(it.listening.client_url, request.encode())
            assert int(told.split(b" ", 2)[1]) in (400, 404)
            assert CONTENT_TYPE.encode() in told
    assert not [line for line in log if line["log_level"] == "error"]
