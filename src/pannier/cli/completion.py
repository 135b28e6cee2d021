"""``pannier completion``: what a shell needs to complete commands, options and paths."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.terminal import result

EXAMPLE = '\b\nExample:\n  eval "$(pannier completion bash)"'

VARIABLE = "_PANNIER_COMPLETE"
"""What the shell sets when it asks; typer's name for it."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> int:
    """Print the completion of a shell: to be evaluated in its start-up file."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    result(get_completion_script(prog_name="pannier", complete_var=VARIABLE, shell=shell).strip())
    return ExitCode.DONE


def prepare() -> None:
    """Have a question of a shell answered, if this process is one."""
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
