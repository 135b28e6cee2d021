"""Lines for a terminal that fetch an archive, as pages show them."""

from __future__ import annotations

import re
from shlex import quote

PASSWORD = "PASSWORD"  # noqa: S105 - what people put their password in the place of
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


def curl(url: str, filename: str, *, locked: bool) -> str:
    """Return the line for curl, which names a file as its URL ends: a name that is encoded there has to be told.

    ``locked``: a password is asked for.
    """
    named = "-O" if _PLAIN.fullmatch(filename) else f"-o {quote(filename)}"
    return f"curl {named} {f'-u :{PASSWORD} ' if locked else ''}{url}"


def lines(url: str, filename: str, *, locked: bool) -> list[str]:
    """Return the lines for curl, wget and aria2c; the last two decode a name. What is encoded needs no quotes."""
    wget, aria2c = "wget -c", "aria2c -x4"
    if locked:
        wget += f" --http-user=me --http-password={PASSWORD}"
        aria2c += f" --http-user=me --http-passwd={PASSWORD}"
    return [curl(url, filename, locked=locked), f"{wget} {url}", f"{aria2c} {url}"]
