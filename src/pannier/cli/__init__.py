"""The command line: one module a command, thin over server and sdk.

Results go to stdout, notes and errors to stderr. A known error is one line, ``pannier: what; way out``, and an exit
code of ``outcomes.ExitCode``; a traceback means a bug.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pannier import __version__, memory
from pannier.cli.commands import Commands
from pannier.cli.completion import VARIABLE, prepare
from pannier.cli.failures import as_failure, needs_extra
from pannier.cli.outcomes import ExitCode, Failure, Refused
from pannier.cli.terminal import ReaderGone, complain, result, silence
from pannier.errors import PannierError

_EXAMPLE = "\b\nExample:\n  pannier serve ~/trip     # in one terminal\n  pannier link trip/2026   # in another"


def _show_version(asked: bool) -> None:
    if asked:
        result(f"pannier {__version__}")
        raise typer.Exit


def _pannier(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> int:
    """Any selection of a folder as one archive over HTTP, of exact length and resumable at any byte."""
    if context.invoked_subcommand is None:
        complain(context.get_help())
        return ExitCode.USAGE
    return ExitCode.DONE


def application() -> typer.Typer:
    """Return all commands."""
    app = typer.Typer(
        name="pannier",
        cls=Commands,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True, epilog=_EXAMPLE)(_pannier)
    return app


def command() -> int:
    """Be the process's own command: run it, and leave quickly."""
    code = main()
    memory.leave_quickly()
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; ``arguments`` are the process's own when None."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in given
    memory.collect_rarely()
    silence(False)
    if VARIABLE in os.environ:
        prepare()
    try:
        code = application()(args=given, prog_name="pannier", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(Failure(_usage(error), ExitCode(error.exit_code)), as_json=as_json)
    except ReaderGone as failure:
        return failure.code
    except Failure as failure:
        return _complain(failure, as_json=as_json)
    except PannierError as error:
        return _complain(as_failure(error), as_json=as_json)
    except ModuleNotFoundError as error:
        if (missing := needs_extra(error)) is None:
            raise
        return _complain(missing, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _complain(Failure("interrupted", ExitCode.CTRL_C), as_json=True) if as_json else ExitCode.CTRL_C
    return code if isinstance(code, int) else ExitCode.DONE


def _complain(failure: Failure, *, as_json: bool) -> int:
    """Say what went wrong, in the form that was asked for, and return the exit code."""
    if as_json:
        result(json.dumps({"ok": False, "problem": failure.problem}))
    elif isinstance(failure, Refused):
        complain(str(failure))
    else:
        complain(f"pannier: {failure}")
    return failure.code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "pannier"
    message = " ".join(error.format_message().split()).rstrip(".").replace(": Input should", ": it should")
    message = message.replace(". Did you mean ", "; did you mean ")
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"
