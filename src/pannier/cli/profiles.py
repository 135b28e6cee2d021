"""Servers that are not on this machine: ``~/.config/pannier/client.toml``.

::

    default = "nas"                       # taken where neither --server nor --profile says; else this machine's server

    [profile.nas]
    manager = "https://nas.example:6022"  # the manager-facing listener
    secret-file = "nas.secret"            # with its secret; beside this file, or an absolute path
    url = "https://nas.example"           # where clients reach it, if that is not what the server itself says
    certificate = "nas.pem"               # whom to trust, instead of what the system trusts

    [profile.nas.folder]                  # names for folders of a volume
    trip = "local/user:5e67aac8-…/ce8c6955…"

    [profile.drop]                        # a place to upload to, and nothing else
    token-file = "drop.token"
    url = "https://nas.example"

A file that holds a secret, and this one, are for their owner only.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pannier.cli.secret_files import read_private
from pannier.errors import ConfigInvalid


def _is_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("is no URL: it begins with http:// or https://")
    return text.rstrip("/")


_Url = Annotated[str, AfterValidator(_is_url)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_hyphens(cls, table: Any) -> Any:
        return {key.replace("-", "_"): value for key, value in table.items()} if isinstance(table, dict) else table


class Profile(_Table):
    """One server, as the file names it. Files are taken from the directory of the file of profiles."""

    manager: _Url | None = None
    secret_file: Path | None = None
    url: _Url | None = None
    token_file: Path | None = None
    certificate: Path | None = None
    folder: dict[str, str] = Field(default_factory=dict)
    """``VOLUME/FOLDER_ID``, by the names that commands take."""


class Profiles(_Table):
    """The whole file."""

    default: str | None = None
    profile: dict[str, Profile] = Field(default_factory=dict)


def load_profiles(path: Path) -> Profiles:
    """Read the file of profiles; there may be none.

    Raises:
        ConfigInvalid: It is wrong, or others can read it.
    """
    try:
        content = read_private(path)
    except FileNotFoundError:
        return Profiles()
    try:
        return Profiles.model_validate(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(str(path), f"is no TOML: {error}", "mend that line") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"].lower()
        key = ".".join(map(str, first["loc"])).replace("_", "-")
        known = ", ".join(name.replace("_", "-") for name in Profile.model_fields)
        raise ConfigInvalid(f"{path}: {key}", reason, f"a profile has: {known}") from None
