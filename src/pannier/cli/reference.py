"""The reference of all commands in ``docs/cli.md``, made from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

_WHICH_SERVER = frozenset({"server", "profile", "secret_file", "state", "silent"})
"""Options that many commands have; the page tells them once."""


def commands_reference() -> str:
    """Return Markdown: each command with its usage, what it does, its arguments and options, and an example."""
    from pannier.cli import application

    root: Any = typer.main.get_command(application())
    return "\n\n".join(_section(path, command) for path, command in commands(root))


def commands(command: Any, path: tuple[str, ...] = ("pannier",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands that do something, below a group, with the words that call them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))


def examples(command: Any) -> list[str]:
    """Return the lines that a command's help ends with."""
    told = re.split(r"Examples?:\n", command.epilog or "", maxsplit=1)[1:]
    return [line.strip() for line in "".join(told).splitlines() if line.strip()]


def _section(path: tuple[str, ...], command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    if {each.name for each in options} >= _WHICH_SERVER:
        options = [each for each in options if each.name not in _WHICH_SERVER]
    usage = " ".join([*path, "[OPTIONS]", *(_argument(each) for each in arguments)])
    parts = [f"### {' '.join(path[1:])}", " ".join((command.help or "").split()), f"```text\n{usage}\n```"]
    rows = [f"| `{_argument(each)}` | {_cell(each.help)} |" for each in arguments]
    context = typer.Context(command)
    rows += [f"| {_option(each, context)} | {_cell(each.help)}{_default(each)} |" for each in options]
    if len(options) < len([each for each in command.params if each.param_type_name == "option"]):
        rows.append("| … | [Which server](#which-server), and `--silent`. |")
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *rows]))
    if lines := examples(command):
        parts.append("```sh\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    if argument.nargs == -1 and "..." not in name:
        name += "..."
    return name if argument.required else f"[{name}]"


def _option(option: Any, context: typer.Context) -> str:
    return f"`{_cell(option.get_help_record(context)[0])}`"


def _default(option: Any) -> str:
    told = []
    if option.default not in (None, False, ()) and not option.is_flag and not callable(option.default):
        told.append(f"Default: {option.default}.")
    if option.envvar:
        told.append(f"Or `{option.envvar}` in the environment.")
    return " " + " ".join(told) if told else ""


def _cell(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|")
