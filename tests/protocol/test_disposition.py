"""Content-Disposition in the form of the wire, and the rules for file names."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pannier.errors import InvalidRequest
from pannier.protocol.disposition import attachment, check_filename, plain_filename
from tests.protocol.strategies import PURE, any_text

FORM = re.compile(
    r"attachment;filename=\"((?:[^\"\\]|\\.)*)\"; filename\*=UTF-8''((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*)"
)
"""The wire's form; quoted-string of RFC 9110 5.6.4 and ext-value of RFC 8187 3.2.1 within."""


def parts(header: str) -> tuple[str, str]:
    found = FORM.fullmatch(header)
    assert found is not None, header
    return found[1], found[2]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("archive.zip", "attachment;filename=\"archive.zip\"; filename*=UTF-8''archive.zip"),
        ("two words.zip", "attachment;filename=\"two words.zip\"; filename*=UTF-8''two%20words.zip"),
        ("r\u00e9sum\u00e9.zip", "attachment;filename=\"rsum.zip\"; filename*=UTF-8''r%C3%A9sum%C3%A9.zip"),
        ("\uc790\ub8cc.zip", "attachment;filename=\".zip\"; filename*=UTF-8''%EC%9E%90%EB%A3%8C.zip"),
        ("\u65e5\u672c", "attachment;filename=\"\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
        ("\U0001f9fa.zip", "attachment;filename=\".zip\"; filename*=UTF-8''%F0%9F%A7%BA.zip"),
        ('a"b.zip', 'attachment;filename="a\\"b.zip"; filename*=UTF-8\'\'a%22b.zip'),
        ("a\\b", "attachment;filename=\"a\\\\b\"; filename*=UTF-8''a%5Cb"),
        ('\\"', 'attachment;filename="\\\\\\""; filename*=UTF-8\'\'%5C%22'),
        ("50%.zip", "attachment;filename=\"50%.zip\"; filename*=UTF-8''50%25.zip"),
        ("a;b'c(d)*e", "attachment;filename=\"a;b'c(d)*e\"; filename*=UTF-8''a%3Bb%27c%28d%29%2Ae"),
        ("!#$&+-.^_`|~", "attachment;filename=\"!#$&+-.^_`|~\"; filename*=UTF-8''!#$&+-.^_`|~"),
        ("a/b", "attachment;filename=\"a/b\"; filename*=UTF-8''a%2Fb"),
        ("a\r\nSet-Cookie: x", "attachment;filename=\"aSet-Cookie: x\"; filename*=UTF-8''aSet-Cookie%3A%20x"),
        ("a\x00\x1f\x7f\x80\x9fb", "attachment;filename=\"ab\"; filename*=UTF-8''ab"),
        ("a\udcffb", "attachment;filename=\"ab\"; filename*=UTF-8''a%EF%BF%BDb"),
        ("", "attachment;filename=\"\"; filename*=UTF-8''"),
    ],
)
def test_a_name_is_written_in_the_form_of_the_wire(name: str, header: str) -> None:
    """WIRE section 6.3; attr-char of RFC 8187 3.2.1 stays as it is."""
    assert attachment(name) == header


@PURE
@given(any_text)
def test_any_name_gives_a_header_that_can_be_sent(name: str) -> None:
    """Nothing but visible ASCII and blanks: no header can be injected by a file name."""
    header = attachment(name)
    assert header.isascii()
    assert header.isprintable()
    parts(header)


@PURE
@given(any_text)
def test_both_names_read_back_as_what_was_meant(name: str) -> None:
    plain, encoded = parts(attachment(name))
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", name)
    assert re.sub(r"\\(.)", r"\1", plain) == "".join(filter(str.isascii, visible))
    assert unquote(encoded, errors="strict") == re.sub("[\ud800-\udfff]", "\ufffd", visible)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "archive.zip",
        "...",
        ".hidden",
        "a b",
        " a",
        "\uc790\ub8cc.zip",
        "\x80",
        "a\udcff",
        "x" * 255,
        "\U0001f9fa" * 255,
    ],
)
def test_a_name_by_the_rules_is_taken(name: str) -> None:
    check_filename(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "blank"),
        (" ", "blank"),
        ("\t\n", "blank"),
        ("\u3000", "blank"),
        (".", "directory"),
        ("..", "directory"),
        ("a/b", "'/'"),
        ("/", "'/'"),
        ("a\\b", re.escape("'\\\\'")),
        ("a\nb", r"U\+000A at position 1"),
        ("\x00", r"U\+0000 at position 0"),
        ("ab\x1f", r"U\+001F at position 2"),
        ("\x7f", r"U\+007F at position 0"),
        ("x" * 256, "256 characters; at most 255"),
    ],
)
def test_a_name_against_the_rules_is_refused_with_its_reason(name: str, reason: str) -> None:
    """WIRE section 5."""
    with pytest.raises(InvalidRequest, match=reason) as refused:
        check_filename(name)
    assert refused.value.field == "filename"
    assert refused.value.reason.isprintable()


@PURE
@given(any_text | st.text("./\\ \x00a", max_size=4))
def test_a_name_that_was_taken_breaks_no_rule(name: str) -> None:
    try:
        check_filename(name)
    except InvalidRequest:
        assume(False)
    assert name.strip()
    assert name not in (".", "..")
    assert not set(name) & {"/", "\\", "\x7f", *map(chr, range(32))}


@PURE
@given(any_text)
def test_any_name_is_written_as_one_that_is_taken(name: str) -> None:
    plain = plain_filename(name)
    check_filename(plain)
    plain.encode("utf-8")  # and that can be kept
    try:
        check_filename(name)
        name.encode("utf-8")
    except (InvalidRequest, UnicodeEncodeError):
        return
    assert plain == name
