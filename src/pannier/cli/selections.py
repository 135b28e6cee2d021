"""Options of commands that select what goes into an archive."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="FOLDER/inside, or files and directories inside a served folder."),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Leave out what matches; may be given again.")
]
Except = Annotated[
    list[str] | None, typer.Option("--except", metavar="PATH", help="Leave this out; may be given again.")
]
Links = Annotated[
    Literal["follow", "omit", "store", "refuse"] | None,
    typer.Option("--links", help="What becomes of symbolic links; follow unless given."),
]
Format = Annotated[
    Literal["zip", "tar", "tar.gz", "tar.zst"] | None,
    typer.Option("--format", help="Container of the archive; zip unless given. Only zip and tar can be resumed."),
]
Compression = Annotated[
    Literal["none", "deflate"] | None,
    typer.Option("--compression", help="deflate packs each file of a zip; such a zip cannot be resumed."),
]
