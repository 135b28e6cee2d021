"""Where a user's files are kept, by the XDG base directory specification.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import os
from pathlib import Path

from pannier.errors import ConfigInvalid


def default_state_path() -> Path:
    """Return where state is kept when no setting says: ``$XDG_STATE_HOME/pannier`` or ``~/.local/state/pannier``.

    Raises:
        ConfigInvalid: There is no home, as in a container whose user nobody knows.
    """
    return _below("XDG_STATE_HOME", ".local/state", "state.path")


def client_config_path() -> Path:
    """Return the file of profiles: ``$XDG_CONFIG_HOME/pannier/client.toml`` or ``~/.config/pannier/client.toml``.

    Raises:
        ConfigInvalid: There is no home.
    """
    return _below("XDG_CONFIG_HOME", ".config", "profiles") / "client.toml"


def _below(variable: str, usual: str, key: str) -> Path:
    base = os.environ.get(variable, "")  # a relative one is invalid and ignored, says the specification
    if base.startswith("/"):
        return Path(base, "pannier")
    try:
        return Path.home() / usual / "pannier"
    except RuntimeError:
        way_out = f"set it, or {variable} in the environment"
        raise ConfigInvalid(key, "is not set, and this user has no home directory", way_out) from None
