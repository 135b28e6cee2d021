"""All commands, each loaded when it is called: who asks for one does not wait for what the others need."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

_WHERE = {
    "serve": "serve:serve",
    "ls": "ls:ls",
    "plan": "plan:plan",
    "link": "link:link",
    "links": "links:links",
    "revoke": "revoke:revoke",
    "get": "get:get",
    "put": "put:put",
    "mkdir": "mkdir:mkdir",
    "mv": "mv:mv",
    "rm": "rm:rm",
    "proxy": "proxy:proxy",
    "check-config": "check:check_config",
    "completion": "completion:completion",
    "checksums": "checksums:application",
    "keys": "keys:application",
}
"""By name, the module of a command and its function there; ``application`` returns a group of commands."""


class Commands(TyperGroup):
    """A group whose commands are those of ``_WHERE``."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Loaded()


class _Loaded(MutableMapping[str, Any]):
    """Commands by their names; each is made when it is looked up."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = dict.fromkeys(_WHERE)

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            self._made[name] = _load(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _load(name: str) -> Any:
    module_name, _, function_name = _WHERE[name].partition(":")
    module = import_module(f"pannier.cli.{module_name}")
    function = getattr(module, function_name)
    if function_name == "application":
        return typer.main.get_command(function())
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, epilog=module.EXAMPLE)(function)
    return typer.main.get_command(single)
