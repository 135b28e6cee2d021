"""The command line: one module a command, thin over server and sdk.

Results go to stdout, notes and errors to stderr. A known error is one line, ``pannier: what; way out``, and an exit
code of ``outcomes.ExitCode``; a traceback means a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from pannier import __version__
from pannier.cli import check, checksums, keys, link, proxy, serve
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.terminal import ReaderGone, note, result
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
        note(context.get_help())
        return ExitCode.USAGE
    return ExitCode.DONE


def _app() -> typer.Typer:
    app = typer.Typer(
        name="pannier",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True, epilog=_EXAMPLE)(_pannier)
    app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
    app.command("proxy", epilog=proxy.EXAMPLE)(proxy.proxy)
    app.command("link", epilog=link.EXAMPLE)(link.link)
    app.command("check-config", epilog=check.EXAMPLE)(check.check_config)
    app.add_typer(checksums.application(), epilog=checksums.EXAMPLE)
    app.add_typer(keys.application(), epilog=keys.EXAMPLE)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; ``arguments`` are the process's own when None."""
    try:
        code = _app()(args=arguments, prog_name="pannier", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(_usage(error), ExitCode(error.exit_code))
    except ReaderGone as failure:
        return failure.code
    except Failure as failure:
        return _complain(str(failure), failure.code)
    except PannierError as error:
        return _complain("\npannier: ".join([str(error), *getattr(error, "__notes__", [])]), ExitCode.FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.CTRL_C
    return code if isinstance(code, int) else ExitCode.DONE


def _complain(text: str, code: ExitCode) -> int:
    note(f"pannier: {text}")
    return code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "pannier"
    message = " ".join(error.format_message().split()).rstrip(".").replace(": Input should", ": it should")
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"
