"""``pannier keys``: keys of native tokens, in the form that the settings take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.servers import Json
from pannier.cli.terminal import note, result, tell
from pannier.dto.ids import is_key_id

EXAMPLE = "\b\nExample:\n  pannier keys new --directory ~/keys >> storage-proxy.toml"


def application() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(name="keys", add_completion=False, rich_markup_mode=None, help="Keys of tokens.", epilog=EXAMPLE)
    app.callback()(_keys)
    app.command("new", epilog=EXAMPLE)(new)
    return app


def _keys() -> None:
    """Keys of tokens."""


def new(
    kid: Annotated[
        str | None, typer.Argument(metavar="NAME", help="What the key is called; without it, 8 random characters.")
    ] = None,
    alg: Annotated[
        Literal["EdDSA", "HS256"],
        typer.Option(help="EdDSA (Ed25519): who takes tokens can make none. HS256: one secret for both."),
    ] = "EdDSA",
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the two PEM files of EdDSA are written.")
    ] = Path(),
    as_json: Json = False,
) -> int:
    """Make a key; its table of the settings goes to stdout."""
    from pannier.keys import new_kid, new_pair, new_secret

    kid = new_kid() if kid is None else kid
    if not is_key_id(kid):
        raise Failure(f"{kid[:64]!r} is no name for a key; use 1 to 64 letters, digits, - and _", ExitCode.USAGE)
    if alg == "HS256":
        secret = new_secret()
        if as_json:
            return tell({"kid": kid, "alg": alg, "secret": secret})
        result(f'[keys.ring.{kid}]\nalg = "HS256"\nsecret = "{secret}"')
    else:
        private, public = new_pair()
        where, known = directory.absolute() / f"{kid}.pem", directory.absolute() / f"{kid}.pub.pem"
        _write(where, private, 0o600)
        try:
            _write(known, public, 0o644)
        except Failure:
            where.unlink()
            raise
        if as_json:
            return tell({"kid": kid, "alg": alg, "private_key": str(where), "public_key": str(known)})
        result(f'[keys.ring.{kid}]\nalg = "EdDSA"\nprivate-key = {_toml(where)}')
        result(f"# where tokens are only taken, instead: public-key = {_toml(known)}")
    note(f'add the table where tokens are taken, everywhere; then sign with it: keys.active = "{kid}"')
    return ExitCode.DONE


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that was not there; whatever is there is a key perhaps, and stays."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(content)
    except OSError as error:
        way_out = "choose another --directory or NAME"
        raise Failure(f"{str(path)!r} cannot be written: {error.strerror}; {way_out}") from None


def _toml(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)  # a TOML basic string; what JSON escapes, TOML escapes alike
