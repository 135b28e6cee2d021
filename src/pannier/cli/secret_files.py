"""Files that hold a secret, which nobody but their owner may read."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from pannier.errors import ConfigInvalid

_LARGEST = 2**20


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner, ourselves, may read.

    Raises:
        FileNotFoundError: There is none.
        ConfigInvalid: It cannot be read, or others can.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
                way_out = f"chown it to yourself and chmod 600 {path}; if others may have read it, change the secret"
                raise ConfigInvalid(str(path), "others can read this file of secrets", way_out)
            return file.read(_LARGEST).decode()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigInvalid(str(path), f"cannot be read ({reason})", "name a readable file") from None


def read_secret(path: Path) -> str:
    """Return the secret in a file: its text, without the line break at its end. ``-`` is stdin.

    Raises:
        ConfigInvalid: It cannot be read, others can read it, or it is empty.
    """
    if str(path) == "-":
        secret = sys.stdin.readline()
    else:
        try:
            secret = read_private(path)
        except FileNotFoundError:
            raise ConfigInvalid(str(path), "does not exist", "write the secret into it, and chmod 600 it") from None
    secret = secret.strip("\r\n")
    if not secret or "\n" in secret:
        raise ConfigInvalid(str(path), "holds no secret", "it is one line of text")
    return secret
