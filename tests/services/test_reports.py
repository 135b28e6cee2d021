"""What a plan says to people and programs."""

from __future__ import annotations

import base64

import pytest

from pannier.archive.formats import ZIP
from pannier.dto.archives import ChecksumCoverage, PlanList
from pannier.dto.json import dumps
from pannier.errors import InvalidRequest
from pannier.services.reports import page, read_cursor, report
from tests.dto.examples import FOLDER
from tests.services.watched import grow, memory, plan

NOTHING = ChecksumCoverage(known_entries=0, known_bytes=0)


async def test_a_report_counts_what_an_archive_would_hold() -> None:
    volume = grow(memory(), b"a", b"d/b", b"e/")
    volume.write(FOLDER, b"d/b", b"12345", mtime_ns=1_600_000_000_999_999_999)
    volume.symlink(FOLDER, b"l", b"a")
    made = await plan(volume, ".", links="store")
    told = report(made, ZIP, made.shape, ChecksumCoverage(known_entries=1, known_bytes=5))
    assert (told.entries, told.files, told.directories, told.links) == (4, 2, 1, 1)
    assert made.shape is not None
    assert (told.length, told.etag) == (made.shape.layout.length, made.shape.etag)
    assert told.bytes == 5 + len(b"content of a")
    assert told.checksums.known_bytes == 5
    members = {member.path: member for member in told.members.items}
    assert members["d/b"].model_dump() == {
        "path": "d/b",
        "name": "d/b",
        "kind": "file",
        "size": 5,
        "modified": "2020-09-13T12:26:40Z",
    }
    assert (members["e"].kind, members["e"].name) == ("directory", "e/")
    assert members["l"].kind == "link"


async def test_a_report_of_a_refused_plan_has_no_archive() -> None:
    told = report(await plan(memory(a=b"1"), "a", "gone", "\udcff"), ZIP, None, NOTHING)
    assert (told.length, told.etag) == (None, None)
    assert [(each.path, each.code) for each in told.offenders.items] == [("gone", "missing"), ("\udcff", "missing")]
    dumps(told)  # undecodable names too can be written


async def test_pages_follow_each_other_to_the_end() -> None:
    made = await plan(grow(memory(), *(b"%04d" % number for number in range(2_500))), ".")
    seen = [member.path for member in report(made, ZIP, made.shape, NOTHING).members.items]
    cursor = report(made, ZIP, made.shape, NOTHING).members.cursor
    sizes = [len(seen)]
    while cursor is not None:
        tag, which, start = read_cursor(cursor)
        assert (tag, which) == (made.tag, PlanList.MEMBERS)
        told = page(made, which, start).page
        sizes.append(len(told.items))
        seen += [member.path for member in told.items]
        cursor = told.cursor
    assert sizes == [1_000, 1_000, 500]
    assert seen == [f"{number:04}" for number in range(2_500)]


async def test_a_list_of_exactly_a_page_has_no_further_one() -> None:
    made = await plan(grow(memory(), *(b"%04d" % number for number in range(1_000))), ".")
    assert report(made, ZIP, made.shape, NOTHING).members.cursor is None
    beyond = page(made, PlanList.MEMBERS, 999_999).page
    assert (beyond.items, beyond.total, beyond.cursor) == ((), 1_000, None)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!",
        "é",
        "\udcff",
        encoded("tag:members"),
        encoded("tag:members:"),
        encoded("tag:members:-1"),
        encoded("tag:members:1e3"),
        encoded("tag:members:" + "9" * 13),
        encoded("tag:nothing:1"),
        encoded("tag:MEMBERS:1"),
        encoded("\xff:members:1"),
        encoded("tag:members:١"),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor: not a cursor of this server"):
        read_cursor(cursor)


def test_a_tag_may_hold_colons() -> None:
    assert read_cursor(encoded('"a:b":omitted:7')) == ('"a:b"', PlanList.OMITTED, 7)
