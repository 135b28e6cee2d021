"""Native tokens: keys by name, each good for one algorithm; rotation; what no key of the ring may be talked into."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from hypothesis import example, given
from hypothesis import strategies as st

from pannier.dto.archives import TokenOperation
from pannier.dto.claims import ArchiveDownloadTokenData
from pannier.errors import (
    ConfigInvalid,
    MintingUnavailable,
    TokenClaimsInvalid,
    TokenForged,
    TokenRejected,
    TokenUndecodable,
)
from pannier.keys import Key, KeyRing, new_pair, new_secret, private_key, public_key, secret_key
from pannier.tokens import LONGEST_TOKEN, NATIVE_TYPE, PydanticJWT
from tests.dto.examples import FOLDER, FOLDER_TEXT, any_json

NOW = 1_795_338_094
SHARED = "the secret of the wire, shared with nobody"
SECRET = new_secret()
PRIVATE, PUBLIC = new_pair()
PAIR, HALF, SYMMETRIC = private_key("pair", PRIVATE), public_key("pair", PUBLIC), secret_key("sym", SECRET)
DATA = ArchiveDownloadTokenData(
    operation=TokenOperation.DOWNLOAD, volume="v", virtual_folder_id=FOLDER, files=("a", "b\udcff"), exp=NOW + 60
)
CLAIMS: dict[str, Any] = {
    "operation": "download",
    "volume": "v",
    "virtual_folder_id": FOLDER_TEXT,
    "files": ["a"],
    "filename": None,
    "exp": NOW + 60,
    "iss": "pannier",
    "aud": "pannier",
}


def tokens(*keys: Key, active: str | None = None, shared: str | None = SHARED, **more: Any) -> PydanticJWT:
    former = more.pop("former", ())
    return PydanticJWT(shared, former=former, ring=KeyRing(keys, active, **more), clock=lambda: NOW)


def opens(server: PydanticJWT, token: str | bytes) -> bool:
    try:
        server.validate(token, ArchiveDownloadTokenData)
    except TokenRejected:
        return False
    return True


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def by_secret(header: bytes | dict[str, Any], payload: bytes | dict[str, Any] = CLAIMS, secret: str = SECRET) -> str:
    """A token of any header and payload under HMAC-SHA-256, made without a library that would refuse to."""
    parts = [part(each if isinstance(each, bytes) else json.dumps(each).encode()) for each in (header, payload)]
    content = ".".join(parts)
    return f"{content}.{part(hmac.digest(secret.encode(), content.encode(), 'sha256'))}"


def by_pair(header: dict[str, Any], payload: dict[str, Any] = CLAIMS, pem: bytes = PRIVATE) -> str:
    """A token of any header under an Ed25519 key."""
    content = f"{part(json.dumps(header).encode())}.{part(json.dumps(payload).encode())}"
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return f"{content}.{part(key.sign(content.encode()))}"


def header(kid: Any, alg: Any, **more: Any) -> dict[str, Any]:
    return {"alg": alg, "typ": NATIVE_TYPE, "kid": kid, **more}


BOTH = tokens(PAIR, SYMMETRIC)
NATIVE = tokens(PAIR, active="pair").issue(DATA)
NATIVE_BY_SECRET = tokens(SYMMETRIC, active="sym").issue(DATA)
WIRE = tokens().issue(DATA)


# ---------------------------------------------------------------- what verifies


@pytest.mark.parametrize("token", [NATIVE, NATIVE_BY_SECRET, WIRE], ids=["EdDSA", "HS256", "wire"])
def test_claims_come_back_as_they_were_issued(token: str) -> None:
    assert BOTH.validate(token, ArchiveDownloadTokenData) == DATA


def test_a_native_token_names_its_key_its_type_and_whom_it_is_from_and_for() -> None:
    assert jwt.get_unverified_header(NATIVE) == {"alg": "EdDSA", "typ": "pannier+jwt", "kid": "pair"}
    claims = jwt.decode(NATIVE, PUBLIC, algorithms=["EdDSA"], audience="pannier", options={"verify_exp": False})
    assert (claims["iss"], claims["aud"], claims["files"]) == ("pannier", "pannier", ["a", "b\udcff"])


def test_without_an_active_key_tokens_are_those_of_the_wire() -> None:
    assert jwt.get_unverified_header(BOTH.issue(DATA)) == {"alg": "HS256", "typ": "JWT"}
    assert "aud" not in jwt.decode(BOTH.issue(DATA), SHARED, algorithms=["HS256"], options={"verify_exp": False})


def test_a_plain_jwt_library_can_sign_for_a_server_that_has_only_the_public_key() -> None:
    token = jwt.encode(CLAIMS, PRIVATE, algorithm="EdDSA", headers={"kid": "pair", "typ": NATIVE_TYPE})
    assert opens(tokens(HALF, shared=None), token)


@pytest.mark.parametrize("audience", ["pannier", ["pannier"], ["others", "pannier"]])
def test_an_audience_may_be_one_of_several(audience: object) -> None:
    assert opens(BOTH, by_secret(header("sym", "HS256"), CLAIMS | {"aud": audience}))


# ---------------------------------------------------------------- who can sign


def test_who_has_only_the_public_key_takes_tokens_and_signs_none() -> None:
    verifier = tokens(HALF, shared=None)
    assert opens(verifier, NATIVE)
    with pytest.raises(MintingUnavailable):
        verifier.issue(DATA)


def test_where_shared_tokens_are_not_taken_the_shared_secret_opens_nothing() -> None:
    verifier = tokens(HALF, shared=None)
    with pytest.raises(TokenForged, match="names no key"):
        verifier.validate(WIRE, ArchiveDownloadTokenData)
    assert not opens(tokens(HALF, shared=None, former=(SHARED,)), WIRE)


def test_a_public_key_cannot_be_the_active_one() -> None:
    with pytest.raises(ConfigInvalid, match="cannot sign"):
        KeyRing([HALF], "pair")
    with pytest.raises(ConfigInvalid, match=r"no key of keys\.ring"):
        KeyRing([HALF], "other")


# ---------------------------------------------------------------- rotation


def test_keys_are_rotated_step_by_step_without_a_token_that_stops_to_hold_before_its_key_is_removed() -> None:
    old, new = private_key("old", new_pair()[0]), private_key("new", new_pair()[0])
    steps = [
        tokens(old, active="old"),
        tokens(old, new, active="old"),  # everywhere, before anybody signs with it
        tokens(old, new, active="new"),
        tokens(new, active="new"),  # when the last token under the old one has expired
    ]
    issued = [step.issue(DATA) for step in steps]
    table = [[opens(step, token) for token in issued] for step in steps]
    assert table == [
        [True, True, False, False],
        [True, True, True, True],  # replicas that are one step apart take each other's tokens, in every step
        [True, True, True, True],
        [False, False, True, True],
    ]


def test_the_secret_of_the_wire_is_rotated_with_live_tokens_and_what_it_was_signs_nothing() -> None:
    rotated = PydanticJWT("n" * 43, former=("m" * 43, SHARED), clock=lambda: NOW)
    assert opens(rotated, WIRE)
    assert not opens(PydanticJWT("n" * 43, clock=lambda: NOW), WIRE)
    assert opens(PydanticJWT("n" * 43, clock=lambda: NOW), rotated.issue(DATA))


def test_tokens_of_the_wire_live_on_while_a_ring_takes_over() -> None:
    assert opens(tokens(PAIR, active="pair"), WIRE)
    assert not opens(tokens(PAIR, active="pair", shared=None), WIRE)


# ---------------------------------------------------------------- a key is good for one algorithm, and its own tokens


@pytest.mark.parametrize(
    ("token", "refused"),
    [
        (by_secret(header("pair", "HS256"), secret=PUBLIC.decode()), TokenForged),
        (by_secret(header("pair", "HS256"), secret=PUBLIC.decode().strip()), TokenForged),
        (by_secret(header("pair", "EdDSA"), secret=PUBLIC.decode()), TokenForged),
        (by_secret(header("pair", "HS256"), secret=SHARED), TokenForged),
        (by_secret({"alg": "HS256", "typ": "JWT"}, secret=PUBLIC.decode()), TokenForged),
        (by_pair(header("sym", "EdDSA")), TokenForged),
        (by_pair({"alg": "EdDSA", "typ": "JWT"}), TokenForged),
        (by_pair(header("pair", "EdDSA"), pem=new_pair()[0]), TokenForged),
        (by_pair(header("pair", "eddsa")), TokenForged),
        (by_pair(header("pair", "Ed25519")), TokenForged),
        (by_pair(header("pair", ["EdDSA"])), TokenForged),
        (by_pair(header("pair", None)), TokenForged),
        (by_secret(header("sym", "none")), TokenForged),
        (by_secret(header("sym", "none")).rpartition(".")[0] + ".", TokenForged),
        (by_secret(header("sym", "HS256")).rpartition(".")[0] + ".", TokenForged),
        (by_secret(header("sym", "HS512")), TokenForged),
        (
            jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512", headers={"kid": "sym", "typ": NATIVE_TYPE}),
            TokenForged,
        ),
        (by_secret(header("sym", "HS256"), secret=SHARED), TokenForged),
        (by_secret({"alg": "HS256", "typ": "JWT"}, secret=SECRET), TokenForged),
    ],
    ids=[
        "public PEM as a secret",
        "public PEM without its last line break",
        "public PEM as a secret, said to be EdDSA",
        "shared secret under the pair's name",
        "public PEM as the shared secret",
        "pair under the secret's name",
        "pair without a name",
        "another pair",
        "lower case",
        "the newer name of the algorithm",
        "a list of algorithms",
        "no algorithm",
        "none, signed",
        "none, unsigned",
        "no signature",
        "HS512 said, HS256 done",
        "HS512",
        "shared secret under the other secret's name",
        "secret of the ring without a name",
    ],
)
def test_no_key_is_talked_into_another_algorithm_or_anothers_place(token: str, refused: type[TokenRejected]) -> None:
    with pytest.raises(refused):
        BOTH.validate(token, ArchiveDownloadTokenData)


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "other",
        "PAIR",
        "sym ",
        "sym\0",
        "../sym",
        "../../../../dev/null",
        "/etc/passwd",
        "/proc/self/environ",
        "keys.ring.sym",
        "sym' OR '1'='1",
        "*",
        "__class__",
        "s\udcffm",
        "sym" * 1000,
    ],
)
def test_a_key_that_is_not_in_the_ring_opens_nothing_whatever_its_name(kid: str) -> None:
    for secret in (SECRET, SHARED, "", "\0"):
        token = by_secret(header(kid, "HS256"), secret=secret)
        with pytest.raises(TokenForged) as refused:
            BOTH.validate(token, ArchiveDownloadTokenData)
        assert not kid or kid not in str(refused.value)


@pytest.mark.parametrize("kid", [None, 5, True, ["sym"], {"kid": "sym"}], ids=str)
def test_a_name_of_a_key_is_a_text(kid: object) -> None:
    for secret in (SECRET, SHARED):
        with pytest.raises(TokenUndecodable):
            BOTH.validate(by_secret(header(kid, "HS256"), secret=secret), ArchiveDownloadTokenData)


def test_a_token_that_names_a_key_is_never_tried_with_the_shared_secret() -> None:
    for kid in ("sym", "pair", "other"):
        assert not opens(BOTH, by_secret({"alg": "HS256", "typ": "JWT", "kid": kid}, secret=SHARED))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "Pannier+jwt", 5])
def test_another_kind_of_jwt_under_a_key_of_the_ring_is_none_of_ours(typ: object) -> None:
    with pytest.raises(TokenUndecodable):
        BOTH.validate(by_secret(header("sym", "HS256") | {"typ": typ}), ArchiveDownloadTokenData)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"aud": None}, "aud"),
        ({"aud": "others"}, "aud"),
        ({"aud": ["others"]}, "aud"),
        ({"aud": "pannier2"}, "aud"),
        ({"aud": {"pannier": 1}}, "aud"),
        ({"aud": []}, "aud"),
        ({"iss": None}, "iss"),
        ({"iss": "others"}, "iss"),
        ({"iss": ["pannier"]}, "iss"),
    ],
)
def test_a_native_token_is_from_the_issuer_and_for_this_server(changes: dict[str, Any], field: str) -> None:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    with pytest.raises(TokenClaimsInvalid, match=f"{field}: "):
        BOTH.validate(by_secret(header("sym", "HS256"), claims), ArchiveDownloadTokenData)


def test_servers_that_share_keys_tell_themselves_apart() -> None:
    here, there = (tokens(PAIR, active="pair", audience=name) for name in ("here", "there"))
    assert opens(here, here.issue(DATA))
    assert not opens(there, here.issue(DATA))


# ---------------------------------------------------------------- tricks with the text

SIGNERS: list[tuple[str, Callable[[bytes, bytes], str]]] = [
    ("sym", lambda head, payload: by_secret(head, payload)),
    ("wire", lambda head, payload: by_secret(head, payload, SHARED)),
]


@pytest.mark.parametrize(("kind", "sign"), SIGNERS, ids=[kind for kind, _ in SIGNERS])
def test_a_member_that_is_given_twice_is_refused_in_header_and_claims(
    kind: str, sign: Callable[[bytes, bytes], str]
) -> None:
    head = json.dumps(header("sym", "HS256") if kind == "sym" else {"alg": "HS256", "typ": "JWT"}).encode()
    payload = json.dumps(CLAIMS).encode()
    assert opens(BOTH, sign(head, payload))
    for twice in (b'{"alg":"HS256",', b'{"alg":"none",', b'{"typ":"JWT",', b'{"\\u0061lg":"none",'):
        assert not opens(BOTH, sign(twice + head[1:], payload))
    for twice in (b'{"exp":9999999999,', b'{"files":["b"],', b'{"x":{"a":1,"a":2},', b'{"f\\u0069les":["b"],'):
        assert not opens(BOTH, sign(head, twice + payload[1:]))


@pytest.mark.parametrize(("kind", "sign"), SIGNERS, ids=[kind for kind, _ in SIGNERS])
@pytest.mark.parametrize(
    "more",
    [{"crit": ["exp"], "exp": NOW}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}],
    ids=str,
)
def test_an_extension_that_is_not_understood_is_refused(
    kind: str, sign: Callable[[bytes, bytes], str], more: dict[str, Any]
) -> None:
    plain = header("sym", "HS256") if kind == "sym" else {"alg": "HS256", "typ": "JWT"}
    with pytest.raises(TokenUndecodable, match="extension"):
        BOTH.validate(sign(json.dumps(plain | more).encode(), json.dumps(CLAIMS).encode()), ArchiveDownloadTokenData)


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "zip", "cty", "url"])
def test_keys_that_a_header_brings_along_are_not_looked_at(name: str) -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    numbers = other.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    brought = {"kty": "OKP", "crv": "Ed25519", "x": part(numbers), "kid": "pair"}
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert not opens(BOTH, by_pair(header("pair", "EdDSA", **{name: brought}), pem=pem))
    assert not opens(BOTH, by_pair(header("pair", "EdDSA", **{name: "http://127.0.0.1:9/keys"}), pem=pem))


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"], ids=["UTF-16", "UTF-16LE", "UTF-32", "with BOM"]
)
def test_a_token_is_utf_8_alone(encoding: str) -> None:
    head, payload = (json.dumps(each) for each in (header("sym", "HS256"), CLAIMS))
    assert not opens(BOTH, by_secret(head.encode(encoding), payload.encode()))
    assert not opens(BOTH, by_secret(head.encode(), payload.encode(encoding)))


def test_huge_tokens_are_refused_before_anything_is_computed() -> None:
    huge = by_secret(header("sym", "HS256", pad="x" * LONGEST_TOKEN))
    with pytest.raises(TokenUndecodable, match="longer than"):
        BOTH.validate(huge, ArchiveDownloadTokenData)
    deep = b'{"kid":"sym","alg":' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    with pytest.raises(TokenRejected):
        BOTH.validate(by_secret(deep), ArchiveDownloadTokenData)


@pytest.mark.parametrize("token", [NATIVE, NATIVE_BY_SECRET], ids=["EdDSA", "HS256"])
def test_no_encrypted_form_is_a_token(token: str) -> None:
    head, payload, signature = token.split(".")
    assert not opens(BOTH, f"{head}..{payload}.{signature}.{signature}")


# ---------------------------------------------------------------- for all input


@given(st.sampled_from([NATIVE, NATIVE_BY_SECRET, WIRE]), st.integers(0, 2**16), st.integers(0, 255))
@example(NATIVE, len(NATIVE) - 1, ord(NATIVE[-1]) ^ 1)
@example(NATIVE_BY_SECRET, len(NATIVE_BY_SECRET) - 1, ord(NATIVE_BY_SECRET[-1]) ^ 1)
def test_a_token_with_any_one_byte_changed_never_verifies(token: str, position: int, value: int) -> None:
    changed, position = bytearray(token.encode()), position % len(token)
    if changed[position] == value:
        value ^= 1
    changed[position] = value
    assert not opens(BOTH, bytes(changed))


def test_each_character_of_a_token_counts() -> None:
    for token in (NATIVE, NATIVE_BY_SECRET):
        for position, character in enumerate(token):
            other = "A" if character != "A" else "B"
            assert not opens(BOTH, token[:position] + other + token[position + 1 :])
            assert not opens(BOTH, token[:position] + token[position + 1 :])


@given(
    st.fixed_dictionaries(
        {"kid": st.sampled_from(["pair", "sym"]) | any_json, "alg": st.sampled_from(["EdDSA", "HS256"]) | any_json},
        optional=dict.fromkeys(["typ", "crit", "b64", "jwk", "jku", "x5c", "zip", "enc"], any_json),
    )
)
def test_no_header_makes_a_wrong_signature_good_or_ends_in_another_exception(head: dict[str, Any]) -> None:
    head = {"typ": NATIVE_TYPE, **head}
    assert not opens(BOTH, by_secret(head, secret=PUBLIC.decode()))
    assert not opens(BOTH, by_pair(head, pem=OTHER))


OTHER = new_pair()[0]


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("secret", ["", "x" * 31, "\udc80" * 40, PUBLIC.decode(), "ssh-ed25519 " + "A" * 60])
def test_a_short_or_public_secret_is_refused_by_the_name_of_its_setting(secret: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        secret_key("k1", secret)
    assert refused.value.key == "keys.ring.k1.secret"
    assert not secret or secret not in str(refused.value)


def pem_of(key: Any, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return pem


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\0\xff",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        PUBLIC,
        pem_of(ed25519.Ed25519PrivateKey.generate(), b"password"),
        pem_of(ed448.Ed448PrivateKey.generate()),
        pem_of(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["empty", "binary", "broken", "public", "with a password", "Ed448", "P-256"],
)
def test_a_file_without_an_ed25519_private_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        private_key("k1", pem)
    assert refused.value.key == "keys.ring.k1.private-key"


@pytest.mark.parametrize("pem", [b"", b"\0\xff", PRIVATE, PUBLIC[:60]], ids=["empty", "binary", "private", "broken"])
def test_a_file_without_an_ed25519_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        public_key("k1", pem)
    assert refused.value.key == "keys.ring.k1.public-key"


def test_no_key_shows_itself() -> None:
    for key in (PAIR, HALF, SYMMETRIC):
        assert SECRET not in repr(key)
        assert "Ed25519" not in repr(key)


def test_without_cryptography_the_ring_works_with_secrets_and_says_what_ed25519_needs() -> None:
    program = """
import sys
sys.modules["cryptography"] = None  # an import of it fails, as where it is not installed
from pannier.errors import ConfigInvalid
from pannier.keys import KeyRing, new_pair, new_secret, private_key, secret_key
from pannier.tokens import PydanticJWT
from pydantic import BaseModel
class Claims(BaseModel):
    exp: int
tokens = PydanticJWT("s" * 43, ring=KeyRing([secret_key("k", new_secret())], "k"))
assert tokens.validate(tokens.issue(Claims(exp=9_999_999_999)), Claims).exp == 9_999_999_999
for attempt in (new_pair, lambda: private_key("k", b"")):
    try:
        attempt()
    except ConfigInvalid as refused:
        print(refused)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("pip install 'pannier[server,ed25519]'") == 2
