"""Tokens: what verifies, what does not, and how it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from pannier.dto.archives import TokenOperation
from pannier.dto.claims import ArchiveDownloadTokenData
from pannier.errors import (
    ConfigInvalid,
    TokenClaimsInvalid,
    TokenExpired,
    TokenForged,
    TokenRejected,
    TokenUndecodable,
)
from pannier.tokens import LONGEST_TOKEN, PydanticJWT, session_of
from tests.dto.examples import FOLDER, FOLDER_TEXT, any_json, any_text

NOW = 1_795_338_094
SECRET = "a secret of the tests, shared with nobody"
TOKENS = PydanticJWT(SECRET, clock=lambda: NOW)
DATA = ArchiveDownloadTokenData(
    operation=TokenOperation.DOWNLOAD, volume="v", virtual_folder_id=FOLDER, files=("a", "b\udcff"), exp=NOW + 60
)
TOKEN = TOKENS.issue(DATA)
CLAIMS: dict[str, Any] = {
    "operation": "download",
    "volume": "v",
    "virtual_folder_id": FOLDER_TEXT,
    "files": ["a"],
    "filename": None,
    "exp": NOW + 60,
}


def validate(token: str | bytes) -> ArchiveDownloadTokenData:
    return TOKENS.validate(token, ArchiveDownloadTokenData)


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(payload: bytes, header: bytes = b'{"alg":"HS256","typ":"JWT"}', secret: str = SECRET) -> str:
    """A well-signed token of any header and payload, made without a library that would refuse to."""
    content = f"{part(header)}.{part(payload)}"
    return f"{content}.{part(hmac.digest(secret.encode(), content.encode(), 'sha256'))}"


def token_of(**changes: Any) -> str:
    return signed(json.dumps(CLAIMS | changes).encode())


# ---------------------------------------------------------------- what verifies


def test_claims_come_back_as_they_were_issued_undecodable_paths_included() -> None:
    assert validate(TOKEN) == DATA
    assert validate(TOKEN.encode()) == DATA


def test_what_is_issued_is_what_the_wire_says() -> None:
    header, payload, _ = (
        json.loads(base64.urlsafe_b64decode(p + "==")) if i < 2 else p for i, p in enumerate(TOKEN.split("."))
    )
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert payload == CLAIMS | {"files": ["a", "b\udcff"]}


def test_a_plain_jwt_library_reads_what_is_issued_and_its_tokens_are_read() -> None:
    assert jwt.decode(TOKEN, SECRET, algorithms=["HS256"], options={"verify_exp": False})["volume"] == "v"
    assert validate(jwt.encode(CLAIMS, SECRET)).files == ("a",)


def test_audience_issuer_and_other_claims_are_tolerated_whatever_they_are() -> None:
    assert validate(token_of(aud=["x"], iss=5, iat=NOW + 10**6, sub=1, later={})).files == ("a",)


@pytest.mark.parametrize("exp", [NOW + 1, float(NOW + 1)])
def test_a_token_holds_until_its_last_second(exp: float) -> None:
    assert validate(token_of(exp=exp)).exp == NOW + 1


@pytest.mark.parametrize("nbf", [NOW, NOW - 0.5, -(10**30)])
def test_a_token_whose_time_has_begun_is_read(nbf: float) -> None:
    assert validate(token_of(nbf=nbf)).files == ("a",)


# ---------------------------------------------------------------- what does not


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "not a token",
        f"{TOKEN}.",
        f"{TOKEN}=",
        f" {TOKEN}",
        f"{TOKEN}\n",
        TOKEN.replace(".", "..", 1),
        "Bearer " + TOKEN,
        part(b"[]") + "." + TOKEN.partition(".")[2],
        part(b"{") + "." + TOKEN.partition(".")[2],
        part(b"[" * 50_000) + "." + TOKEN.partition(".")[2],
        part(b'{"alg":' + b"9" * 5000 + b"}") + "." + TOKEN.partition(".")[2],
        "A" * (LONGEST_TOKEN + 1),
        signed(b"[]"),
        signed(b"\xff"),
        signed(b"[" * 50_000),
        signed(b'{"exp":' + b"9" * 5000 + b"}"),
    ],
    ids=lambda token: ascii(token)[:30],
)
def test_what_is_no_jwt_is_undecodable(token: str) -> None:
    with pytest.raises(TokenUndecodable):
        validate(token)


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(CLAIMS, "", algorithm="none"),
        jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512"),
        signed(json.dumps(CLAIMS).encode(), header=b'{"alg":"hs256"}'),
        signed(json.dumps(CLAIMS).encode(), header=b"{}"),
        signed(json.dumps(CLAIMS).encode(), header=b'{"alg":["HS256"]}'),
        signed(json.dumps(CLAIMS).encode(), secret=SECRET + "!"),
        TOKEN.rpartition(".")[0] + ".",
    ],
    ids=["none", "HS512", "hs256", "no alg", "list", "other key", "no signature"],
)
def test_another_algorithm_or_key_is_forged(token: str) -> None:
    with pytest.raises(TokenForged):
        validate(token)


def test_an_expired_token_says_how_long_ago_and_the_way_out() -> None:
    with pytest.raises(TokenExpired) as expired:
        validate(token_of(exp=NOW - 94))
    assert str(expired.value) == (
        "the token expired 94 s ago (exp 2026-11-22T09:00:00Z); ask the manager for a new one"
    )


@pytest.mark.parametrize("exp", [NOW, NOW - 0.5, 0, -1, -(10**4000), -1e308])
def test_a_token_is_expired_from_its_exp_on_however_long_ago(exp: float) -> None:
    with pytest.raises(TokenExpired):
        validate(token_of(exp=exp))


def test_expiry_is_told_before_other_claims_are_judged() -> None:
    with pytest.raises(TokenExpired):
        validate(token_of(exp=NOW - 1, operation="upload"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"exp": None}, "exp"),
        ({"exp": str(NOW + 60)}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": math.nan}, "exp"),
        ({"exp": math.inf}, "exp"),
        ({"exp": -math.inf}, "exp"),
        ({"exp": [NOW]}, "exp"),
        ({"exp": NOW + 0.5}, "exp"),
        ({"exp": 10**4000}, "exp"),
        ({"nbf": NOW + 1}, "nbf"),
        ({"nbf": 10**4000}, "nbf"),
        ({"nbf": "now"}, "nbf"),
        ({"nbf": None}, "nbf"),
        ({"operation": "upload"}, "operation"),
        ({"operation": "\udc80"}, "operation"),
        ({"files": []}, "files"),
        ({"files": [1]}, "files.0"),
        ({"volume": None}, "volume"),
        ({"virtual_folder_id": "x"}, "virtual_folder_id"),
        ({"pannier": {"v": 1, "later\n": 1}}, "pannier.later\\n"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_claims_are_named(changes: dict[str, Any], field: str) -> None:
    token = token_of(**changes)
    with pytest.raises(TokenClaimsInvalid) as refused:
        validate(token)
    assert f"{field}: " in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_token_without_exp_is_refused() -> None:
    with pytest.raises(TokenClaimsInvalid, match="exp: is missing"):
        validate(signed(json.dumps({k: v for k, v in CLAIMS.items() if k != "exp"}).encode()))


def test_a_token_of_another_kind_is_refused() -> None:
    download = {"op": "download", "volume": "v", "vfid": FOLDER_TEXT, "relpath": "a", "exp": NOW + 60}
    with pytest.raises(TokenClaimsInvalid, match="operation"):
        validate(jwt.encode(download, SECRET))


def test_many_wrong_claims_make_no_long_message() -> None:
    with pytest.raises(TokenClaimsInvalid) as refused:
        validate(token_of(files=[5] * 1000, volume="v" * 50_000))
    assert str(refused.value).endswith(" more")
    assert len(str(refused.value)) < 3000


# ---------------------------------------------------------------- for all input


@given(st.integers(0, len(TOKEN) - 1), st.integers(0, 255))
@example(len(TOKEN) - 1, ord(TOKEN[-1]) ^ 1)
def test_a_token_with_any_one_byte_changed_never_verifies(position: int, value: int) -> None:
    changed = bytearray(TOKEN.encode())
    if changed[position] == value:
        return
    changed[position] = value
    with pytest.raises(TokenRejected):
        validate(bytes(changed))


def test_a_last_character_that_decodes_to_the_same_bytes_is_refused_too() -> None:
    # 32 bytes are 43 characters with two loose bits in the last one: four spellings of one signature
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    index = alphabet.index(TOKEN[-1])
    assert index % 4 == 0
    for loose in (1, 2, 3):
        spelling = TOKEN[:-1] + alphabet[index + loose]
        assert base64.urlsafe_b64decode(spelling.rpartition(".")[2] + "=") == base64.urlsafe_b64decode(
            TOKEN.rpartition(".")[2] + "="
        )
        with pytest.raises(TokenUndecodable):
            validate(spelling)


@given(any_text | st.binary() | st.text(alphabet="AQez019._-=\n\0\x85é"))
def test_no_text_or_bytes_end_in_another_exception(token: str | bytes) -> None:
    with pytest.raises(TokenRejected):
        validate(token)


@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_no_three_parts_end_in_another_exception(parts: list[bytes]) -> None:
    with pytest.raises(TokenRejected):
        validate(".".join(map(part, parts)))


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x5c"]), any_json))
def test_no_header_verifies_but_one_with_our_algorithm(header: dict[str, Any]) -> None:
    payload = json.dumps(CLAIMS).encode()
    with pytest.raises(TokenRejected):
        validate(signed(payload, header=json.dumps(header | {"alg": "RS256"}).encode()))
    try:
        validate(signed(payload, header=json.dumps(header | {"alg": "HS256"}).encode()))
    except TokenRejected:
        pass


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys([*CLAIMS, "nbf", "iat", "aud", "iss", "sub", "jti", "pannier"], any_json)
    )
)
def test_no_signed_claims_end_in_another_exception_and_messages_hold_no_token(changes: dict[str, Any]) -> None:
    token = token_of(**changes)
    try:
        validate(token)
    except TokenRejected as refused:
        message = str(refused)
        assert message.isprintable()
        assert not any(piece in message for piece in token.split("."))


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("secret", ["", "x" * 31, b"x" * 31, "\udc80" * 40])
def test_a_short_or_impossible_secret_is_refused_by_the_name_of_its_setting(secret: str | bytes) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        PydanticJWT(secret)
    assert refused.value.key == "storage-proxy.secret"
    assert not secret or str(secret) not in str(refused.value)


def test_the_secret_is_counted_in_bytes() -> None:
    PydanticJWT("é" * 16)
    PydanticJWT(b"\xff" * 32)


def test_a_key_pair_is_no_secret() -> None:
    with pytest.raises(ConfigInvalid, match="public key"):
        PydanticJWT("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----")


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256", "RS256")])
def test_algorithms_that_use_no_shared_secret_are_refused(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigInvalid):
        PydanticJWT("x" * 64, algorithms)


def test_a_longer_hash_needs_a_longer_secret() -> None:
    with pytest.raises(ConfigInvalid, match="at least 64"):
        PydanticJWT("x" * 63, ("HS512",))

    class Claims(BaseModel):
        exp: int

    tokens = PydanticJWT("x" * 64, ("HS512", "HS256"), clock=lambda: NOW)
    assert tokens.validate(tokens.issue(Claims(exp=NOW + 1)), Claims).exp == NOW + 1
    assert jwt.get_unverified_header(tokens.issue(Claims(exp=1)))["alg"] == "HS512"


# ---------------------------------------------------------------- sessions


def test_a_session_is_named_by_jti_or_else_by_the_digest_of_the_token() -> None:
    assert session_of(TOKEN, "j") == "jti:j"
    assert session_of(TOKEN, None) == "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest()


@given(any_text, any_text)
def test_no_jti_can_pose_as_a_digest(token: str, jti: str) -> None:
    assert session_of(token, jti) != session_of(token, None)
    assert session_of(token, session_of(token, None)) != session_of(token, None)


# ---------------------------------------------------------------- a grace


@pytest.mark.parametrize(
    ("ago", "grace", "held"), [(-1, 0, True), (0, 0, False), (0, 1, True), (59, 60, True), (60, 60, False)]
)
def test_claims_may_hold_for_a_while_after_their_end(ago: int, grace: int, held: bool) -> None:
    token = signed(json.dumps(CLAIMS | {"exp": NOW - ago, "pannier": {"v": 1, "resume_grace": grace}}).encode())
    if held:
        assert TOKENS.validate(token, ArchiveDownloadTokenData, grace=lambda it: it.terms.resume_grace).exp == NOW - ago
    else:
        with pytest.raises(TokenExpired):
            TOKENS.validate(token, ArchiveDownloadTokenData, grace=lambda it: it.terms.resume_grace)


@pytest.mark.parametrize("change", [{"nbf": NOW + 5}, {"files": []}, {"pannier": {"v": 1, "later": 1}}], ids=str)
def test_after_their_end_claims_that_are_wrong_have_expired(change: dict[str, Any]) -> None:
    """Or do not hold yet: no grace makes them good."""
    token = signed(json.dumps(CLAIMS | {"exp": NOW - 5} | change).encode())
    with pytest.raises((TokenExpired, TokenClaimsInvalid)):
        TOKENS.validate(token, ArchiveDownloadTokenData, grace=lambda _: 60)


def test_a_grace_makes_no_forged_token_good() -> None:
    token = signed(json.dumps(CLAIMS | {"exp": NOW - 5}).encode(), secret=SECRET + "x")
    with pytest.raises(TokenForged):
        TOKENS.validate(token, ArchiveDownloadTokenData, grace=lambda _: 60)
