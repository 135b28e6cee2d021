"""What is fuzzed: each target takes any bytes and checks what has to hold whatever they are.

Only an error of ours may come out of a parser, and what it takes must mean what it says: an accepted path stays inside,
what was read is written and read again to the same value, a token opens nothing that its key has not signed.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import hmac
import json
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from pannier.archive.names import entry_names, is_safe
from pannier.config import load
from pannier.dto.claims import ArchiveDownloadTokenData
from pannier.dto.downloads import DownloadTokenData
from pannier.dto.uploads import UploadTokenData
from pannier.errors import ConfigInvalid, InvalidRequest, PathOutside, TokenRejected
from pannier.keys import KeyRing, secret_key
from pannier.protocol.conditions import (
    Conditions,
    Conflict,
    Failed,
    Full,
    NotModified,
    NotPinned,
    Partial,
    PinnedTo,
    Unpinnable,
    Unsatisfiable,
    Validator,
    decide,
)
from pannier.protocol.disposition import attachment
from pannier.protocol.ranges import content_range, format_range, parse_range, resolve
from pannier.protocol.tus import CHECKSUMS, checksum, metadata, number
from pannier.protocol.validators import AnyTag, parse_etags
from pannier.quantities import duration_text, parse_duration, parse_size, size_text
from pannier.services.globs import BadGlob, parse
from pannier.services.places import inside
from pannier.tokens import PydanticJWT
from pannier.volumes import confine
from pannier.volumes.base import Refused
from pannier.window import Window

Target = Callable[[bytes], None]

SECRET, MANAGER = "secret-of-the-fuzzed-server-" + "s" * 16, "manager-of-the-fuzzed-server-" + "m" * 16
NATIVE = "key-of-native-tokens-" + "n" * 16
SIGNERS = (SECRET.encode(), NATIVE.encode())


def text_of(data: bytes) -> str:
    """Return the text that stands for any bytes, as headers and paths come in."""
    return data.decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- paths


@cache
def _folder() -> tuple[Path, int]:
    """Make a folder with links of all kinds among what must not be reached; returns it and its descriptor."""
    base = Path(os.path.realpath(tempfile.mkdtemp(prefix="pannier-fuzz-")))
    atexit.register(_remove, base)
    folder = base / "a" / "folder"
    (folder / "d" / "e").mkdir(parents=True)
    (folder / ".upload").mkdir()
    for place in (base / "f", base / "a" / "f", folder / "f", folder / "d" / "f", folder / "d" / "e" / "f"):
        place.write_text("content")
    (base / "a" / "folder2").mkdir()
    for name, target in {
        "up": "..",
        "out": "../f",
        "abs": str(base),
        "in": "d/e",
        "loop": "loop",
        "l": "d/../in/f",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "d" / "back").symlink_to("../..")
    return folder, os.open(folder, os.O_PATH | os.O_DIRECTORY)


def _remove(base: Path) -> None:
    shutil.rmtree(base, ignore_errors=True)


def path(data: bytes) -> None:
    """A path of a request: what is accepted stays inside, by its text and, links and all, on a disk."""
    try:
        accepted = inside(text_of(data))
    except PathOutside:
        return
    assert posixpath.normpath(b"/root/" + accepted) == (b"/root/" + accepted).rstrip(b"/")
    assert not {b"", b".", b".."} & set(accepted.split(b"/")) or accepted == b""
    assert not re.search(rb"[\0\r\n]", accepted)
    assert inside(text_of(accepted) or ".") == accepted
    folder, root = _folder()
    for follow in (True, False):
        try:
            with confine.resolve(root, accepted, follow=follow) as place:
                found = os.fsdecode(os.readlink(f"/proc/self/fd/{place.directory}"))
                assert found == str(folder) or found.startswith(f"{folder}/"), found
                assert place.source.split(b"/")[0] != b".upload"
                assert _opened(root, place.source) == os.fsencode(folder / os.fsdecode(place.source)).rstrip(b"/")
        except Refused:
            pass


def _opened(root: int, source: bytes) -> bytes:
    """Return what the system calls that which opens at a canonical path."""
    number = confine.open_beneath(root, source, os.O_PATH)
    try:
        return os.fsencode(os.readlink(f"/proc/self/fd/{number}"))
    finally:
        os.close(number)


def names(data: bytes) -> None:
    """Paths of a folder as names in an archive: safe on every platform, and distinct."""
    paths = sorted({each for each in data.split(b"\n") if posixpath.normpath(b"/f/" + each) == b"/f/" + each})
    given = set(paths)
    paths = [each for each in paths if not any(each.startswith(other + b"/") for other in given)]
    paths = [each for each in paths if b"\0" not in each]
    renamed = entry_names(paths)
    result = [renamed[i][0] if i in renamed else each for i, each in enumerate(paths)]
    assert len(set(result)) == len(result)
    for before, after in zip(paths, result, strict=True):
        assert is_safe(after), (before, after)
        assert posixpath.normpath(b"/" + after) == b"/" + after
        assert before.count(b"/") == after.count(b"/")
    assert entry_names(result) == {}, "a name that was made has to be made again"


def globs(data: bytes) -> None:
    """A pattern of an exclusion: one of simple form matches what it says, by the slow way of trying everything."""
    pattern, _, rest = text_of(data).partition("\n")
    try:
        glob = parse(pattern)
    except BadGlob:
        return
    if glob is None:
        return
    path = rest.partition("\n")[0]
    found = glob.matches(path.split("/"), directory=True)
    if re.fullmatch(r"[a-c*?]{1,12}", pattern) and "**" not in pattern and len(path) < 40:
        assert found == _fits(pattern, path.rpartition("/")[2]), (pattern, path)


def _fits(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(_fits(pattern[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and _fits(pattern[1:], name[1:])


# ---------------------------------------------------------------- headers


def ranges(data: bytes) -> None:
    """A Range header: ignored, or ranges that say the same when they are written again."""
    specs = parse_range(text_of(data))
    if specs is None:
        return
    assert specs
    assert parse_range(format_range(*specs)) == specs
    for spec in specs:
        for length in (0, 1, 1_000, 2**63):
            window = resolve(spec, length)
            assert window is None or Window(0, length).covers(window)
            if window:
                first, last = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", content_range(window, length)).groups()  # type: ignore[union-attr]
                assert int(last) - int(first) + 1 == window.length


def conditions(data: bytes) -> None:
    """The six headers of a conditional request, a line each: a decision that keeps the promise about mixes."""
    lines = [text_of(line) if line else None for line in data.split(b"\n")]
    given = Conditions(*(lines + [None] * 6)[:6])
    for tags in (given.if_match, given.if_none_match):
        read = parse_etags(tags or "")
        if not isinstance(read, AnyTag):
            written = ", ".join(("W/" if tag.weak else "") + tag.opaque for tag in read)
            assert parse_etags(written) == read
    now = Validator('"now"', 1_000, True)
    for pin in (Unpinnable(), NotPinned(), PinnedTo('"now"'), PinnedTo('"old"')):
        for length in (None, 0, 1_000):
            decision = decide("GET", given, length, now, pin)
            match decision:
                case Partial(window):
                    assert length is not None
                    assert given.range is not None
                    assert window
                    assert Window(0, length).covers(window)
                    mixes = isinstance(pin, PinnedTo) and pin.etag != '"now"'
                    assert not mixes or given.if_range is not None, "a bare range of another archive than it began with"
                case Full() | NotModified() | Failed() | Unsatisfiable():
                    pass
                case Conflict():
                    assert given.range is not None
                    assert given.if_range is None
            if given.range is None:
                assert not isinstance(decision, Partial | Conflict | Unsatisfiable)


def tus(data: bytes) -> None:
    """The headers of uploads, each from the same text."""
    text = text_of(data)
    with contextlib.suppress(InvalidRequest):
        found = number("Upload-Offset", text)
        assert 0 <= found < 2**63
        assert re.fullmatch("[0-9]{1,19}", text, re.ASCII)
        assert int(text) == found
    with contextlib.suppress(InvalidRequest):
        pairs = metadata(text)
        written = ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in pairs.items())
        assert metadata(written) == pairs
        assert all(key and key.isascii() and not set(key) & set(" ,") for key in pairs)
    with contextlib.suppress(InvalidRequest):
        said = checksum(text)
        assert len(said.digest) == CHECKSUMS[said.algorithm]
        assert checksum(f"{said.algorithm} {base64.b64encode(said.digest).decode()}") == said


def disposition(data: bytes) -> None:
    """A file name in a header: one line, whatever the name, and the same name again for who reads it."""
    header = attachment(text_of(data))
    header.encode("ascii")
    assert not re.search(r"[\x00-\x1f\x7f]", header)
    quoted, star, encoded = header.rpartition("; filename*=UTF-8''")
    assert star
    assert re.fullmatch(r"(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*", encoded)
    assert re.fullmatch(r'attachment;filename="(?:[^"\\]|\\.)*"', quoted), quoted


# ---------------------------------------------------------------- tokens


@cache
def _keys() -> tuple[PydanticJWT, PydanticJWT]:
    ring = KeyRing([secret_key("k1", NATIVE)], "k1")
    return PydanticJWT(SECRET, clock=_now), PydanticJWT(SECRET, ring=ring, clock=_now)


def _now() -> float:
    return 1_000_000.0


MODELS = (ArchiveDownloadTokenData, DownloadTokenData, UploadTokenData)


def jwt(data: bytes) -> None:
    """A token: raw, or a header and claims of any kind under a signature that holds."""
    kind, rest = data[:1], data[1:]
    for keys in _keys():
        for token, signed in _tokens(kind, rest):
            for model in MODELS:
                try:
                    claims = keys.validate(token, model)
                except TokenRejected:
                    continue
                assert signed or _is_signed(token), "a token is taken that nobody signed"
                header = json.loads(_decoded(token.split(".")[0]))
                assert header["alg"] == "HS256"
                again = keys.validate(keys.issue(claims), model)
                assert again == claims, "what was read is another thing when it is written and read again"


def _tokens(kind: bytes, data: bytes) -> Iterator[tuple[str, bool]]:
    if kind != b"s":
        yield data.decode("latin-1"), False
        return
    header, _, claims = data.partition(b"\n")
    head = f"{_encoded(header)}.{_encoded(claims)}"
    for key in SIGNERS:
        yield f"{head}.{_encoded(hmac.digest(key, head.encode(), hashlib.sha256))}", True


def _is_signed(token: str) -> bool:
    head, _, signature = token.rpartition(".")
    digests = (hmac.digest(key, head.encode("latin-1"), hashlib.sha256) for key in SIGNERS)
    return signature in {_encoded(digest) for digest in digests}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# ---------------------------------------------------------------- settings

BASE = f"""
[storage-proxy]
secret = "{SECRET}"
session-expire = "1h"
[api.manager]
secret = "{MANAGER}"
"""


@cache
def _file() -> Path:
    directory = tempfile.mkdtemp(prefix="pannier-fuzz-")
    atexit.register(_remove, Path(directory))
    return Path(directory) / "settings.toml"


def toml(data: bytes) -> None:
    """A file of settings: taken, or refused in words that have no secret; alone and below one that is right."""
    for text in (data, BASE.encode() + data):
        _file().write_bytes(text)
        try:
            settings = load(_file())
        except ConfigInvalid as error:
            for said in (str(error), *getattr(error, "__notes__", ())):
                assert SECRET not in said
                assert MANAGER not in said
                assert "\n" not in said, "a complaint is one line"
            continue
        for warning in settings.warnings():
            assert SECRET not in warning
        assert 1 <= settings.limits.max_depth <= 1_000
        assert SECRET not in repr(settings)


def quantities(data: bytes) -> None:
    """A size or a duration: read, written and read again it is the same."""
    text = text_of(data)
    with contextlib.suppress(ValueError):
        size = parse_size(text)
        assert size >= 0
        assert parse_size(size_text(size)) == size
    with contextlib.suppress(ValueError):
        seconds = parse_duration(text)
        assert seconds >= 0
        assert parse_duration(duration_text(seconds)) == seconds


def planted(data: bytes) -> None:
    """A failure that has to be found: what shows that the fuzzing itself works."""
    if data[:1] == b"F" and data[1:2] == b"U" and data[2:3] == b"Z":
        raise AssertionError("planted")


TARGETS: dict[str, Target] = {
    "path": path,
    "names": names,
    "globs": globs,
    "range": ranges,
    "conditions": conditions,
    "tus": tus,
    "disposition": disposition,
    "jwt": jwt,
    "toml": toml,
    "quantities": quantities,
}
