"""``pannier checksums``: what is kept so that content is not read twice; learning it ahead, holding it to account."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.runtime import Secrets, find_running
from pannier.cli.serve import load_settings, served_folders
from pannier.cli.servers import Json
from pannier.cli.terminal import counted, note, result, tell
from pannier.errors import FolderMissing, show
from pannier.quantities import show_size

if TYPE_CHECKING:
    from pannier.config import Settings
    from pannier.dto.ids import FolderId
    from pannier.parts import ServedFolder
    from pannier.services.checksumming import Checksumming, Tally
    from pannier.volumes.base import Volume

EXAMPLE = "\b\nExample:\n  pannier checksums warm ~/trip\n  pannier checksums stats"

_NO_SECRETS = Secrets("x" * 43, "x" * 43)
"""Stands for secrets in settings that nothing here is signed with."""
_MOST_SHOWN = 20
_MOST_ENTRIES, _LONGEST_WALK = 2**31, 7 * 86_400.0
"""Whoever asks for it here may wait."""
_SAY_EVERY, _SAY_EVERY_UNSEEN = 2.0, 30.0
"""Seconds between two notes of progress, on a terminal and elsewhere."""

_Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT",
        help="A path that 'pannier serve' serves or could serve; or VOLUME or VOLUME/FOLDER_ID of the configuration.",
    ),
]
_Config = Annotated[
    Path | None, typer.Option(metavar="FILE", envvar="PANNIER_CONFIG", help="TOML file of the server, if it has one.")
]
_State = Annotated[Path | None, typer.Option(metavar="DIR", help="State folder of the server, if it was named to it.")]


def application() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(
        name="checksums",
        add_completion=False,
        rich_markup_mode=None,
        help="Checksums that are kept between downloads.",
        epilog=EXAMPLE,
    )
    app.command("warm", epilog="\b\nExample:\n  pannier checksums warm ~/trip")(warm)
    app.command("stats", epilog="\b\nExample:\n  pannier checksums stats --json")(stats)
    app.command("verify", epilog="\b\nExample:\n  pannier checksums verify ~/trip")(verify)
    return app


def warm(what: _Targets, config: _Config = None, state: _State = None, as_json: Json = False) -> int:
    """Read all files whose checksum is not known, so that no download has to."""
    tally = _run(what, config, state, verifying=False)
    if as_json:
        return tell({"learnt": tally.read, **_told(tally)})
    _tell_skipped(tally)
    result(f"{counted(tally.read, 'checksum')} learnt, {tally.known:,} were known")
    return ExitCode.DONE


def verify(what: _Targets, config: _Config = None, state: _State = None, as_json: Json = False) -> int:
    """Read all files whose checksum is known, and compare; a wrong one is replaced."""
    tally = _run(what, config, state, verifying=True)
    if as_json:
        from pannier.dto.paths import to_text

        wrong = [{"folder": folder, "path": to_text(path)} for folder, path in tally.mismatches]
        told = {"compared": tally.read, "mismatches": wrong, **_told(tally)}
        if wrong:
            title = f"{counted(len(wrong), 'checksum')} of other content; replaced"
            raise Failure(title, problem={"type": "checksum-mismatch", "title": title, **told})
        return tell(told)
    _tell_skipped(tally)
    for folder, path in tally.mismatches:
        result(f"{folder}: {show(path)}: the checksum that was kept is not that of its content; replaced")
    result(f"{counted(tally.read, 'checksum')} compared, {counted(len(tally.mismatches), 'mismatch', 'mismatches')}")
    return ExitCode.FAILED if tally.mismatches else ExitCode.DONE


def stats(
    config: _Config = None,
    state: _State = None,
    as_json: Json = False,
) -> int:
    """Show how many checksums are kept, for which volumes, and how often one was wrong."""
    from pannier.parts import checksum_store
    from pannier.state.checksum_rows import Counts
    from pannier.state.checksum_store import CHECKSUM_FILE

    settings = load_settings(config, _NO_SECRETS, _flags(state))
    path, limit, counts = settings.state.path / CHECKSUM_FILE, settings.state.checksum_limit, Counts()
    if limit and path.exists():
        store = checksum_store(settings, {})
        store.open(60)
        try:
            found = store.counts()
            if found is None:
                raise Failure(f"{str(path)!r} cannot be used: {store.reason or 'it does not answer'}")
            counts = found
        finally:
            store.close()
    names = _volume_names(settings)
    if as_json:
        volumes = [{"id": id, "name": names.get(id), "checksums": rows} for id, rows in counts.rows.items()]
        told = {"path": str(path), "checksums": sum(counts.rows.values()), "bytes": counts.bytes_on_disk}
        return tell({**told, "limit": limit, "mismatches": counts.mismatches, "volumes": volumes})
    result(f"file        {path}" + ("" if path.exists() else "  (not there yet)"))
    result(f"checksums   {sum(counts.rows.values()):,}")
    result(f"size        {show_size(counts.bytes_on_disk)} of at most {show_size(limit)}")
    result(f"mismatches  {counts.mismatches:,}")
    for id, rows in counts.rows.items():
        result(f"volume      {names.get(id, id)}: {rows:,}")
    return ExitCode.DONE


@dataclass(frozen=True)
class _Target:
    """Paths of one folder of one volume."""

    name: str
    volume: str
    folder_id: FolderId
    paths: tuple[str, ...] = (".",)


def _flags(state: Path | None) -> dict[str, object]:
    return {"state": {"path": state}} if state else {}


def _volume_names(settings: Settings) -> dict[str, str]:
    """Return the names of the volumes that are known here, by id."""
    from pannier.volumes.posix import default_id

    served = [(f.volume, f.path) for running in find_running(settings.state.path) for f in running.folders]
    configured = [(name, str(volume.path)) for name, volume in settings.volume.items()]
    names = {default_id(name, os.fsencode(os.path.realpath(path))): name for name, path in (*served, *configured)}
    return names | {str(v.options["id"]): name for name, v in settings.volume.items() if "id" in v.options}


def _run(what: Sequence[str], config: Path | None, state: Path | None, *, verifying: bool) -> Tally:
    from pannier.parts import open_volumes

    settings = load_settings(config, _NO_SECRETS, _flags(state))
    if not settings.state.checksum_limit:
        raise Failure("state.checksum-limit: is 0, so no checksum is kept; raise it")
    folders: list[ServedFolder] = []
    targets = [target for each in what for target in _targets(each, settings, folders)]
    volumes = open_volumes(settings, folders)
    try:
        return asyncio.run(_read(settings, volumes, targets, verifying=verifying))
    finally:
        for volume in volumes.values():
            volume.close()


async def _read(
    settings: Settings, volumes: dict[str, Volume], targets: Sequence[_Target], *, verifying: bool
) -> Tally:
    from pannier.parts import checksum_store
    from pannier.server import HASH_THREADS
    from pannier.services.checksumming import Checksumming
    from pannier.services.orders import PlanSettings
    from pannier.services.planning import Plans
    from pannier.services.progress import WalkLimits
    from pannier.streams.hashing import Hashing, Place
    from pannier.streams.workers import Workers

    async with AsyncExitStack() as parts:
        store = checksum_store(settings, volumes)
        parts.push_async_callback(asyncio.to_thread, store.close)
        if not await asyncio.to_thread(store.open, 60):
            raise Failure(f"the checksums cannot be kept: {store.reason or 'the file does not answer'}")
        workers = Workers("checksums", HASH_THREADS)
        parts.push_async_callback(workers.close)
        hashing = Hashing(workers, store)
        parts.push_async_callback(hashing.close)
        limits = WalkLimits(entries=_MOST_ENTRIES, depth=1_000, seconds=_LONGEST_WALK)
        plans = Plans(PlanSettings(walk=limits, remembered_plans=1), workers)
        parts.push_async_callback(plans.close)
        run = Checksumming(plans, hashing, workers, store.flush, at_once=HASH_THREADS)
        saying = asyncio.create_task(_say(run))
        try:
            for target in targets:
                place = Place(volumes[target.volume], target.folder_id)
                work = run.verify if verifying else run.warm
                try:
                    await work(place, target.name, target.paths)
                except FolderMissing:
                    raise Failure(f"{target.name}: there is no such folder", ExitCode.USAGE) from None
        except asyncio.CancelledError:
            note(f"stopped after {_progress(run.tally)}; what was learnt is kept")
            raise
        finally:
            saying.cancel()
        return run.tally


async def _say(run: Checksumming) -> None:
    every = _SAY_EVERY if sys.stderr is not None and sys.stderr.isatty() else _SAY_EVERY_UNSEEN
    began = time.monotonic()
    while True:
        await asyncio.sleep(every)
        note(f"{_progress(run.tally)} · {time.monotonic() - began:.0f} s")


def _progress(tally: Tally) -> str:
    files = f"{tally.files_done:,} of {counted(tally.files, 'file')}"
    return f"{files}, {show_size(tally.size_done)} of {show_size(tally.size)}"


def _told(tally: Tally) -> dict[str, Any]:
    skipped = [{"folder": folder, "reason": why} for folder, why in tally.skipped]
    return {"known": tally.known, "files": tally.files, "bytes": tally.size, "skipped": skipped}


def _tell_skipped(tally: Tally) -> None:
    for folder, why in tally.skipped[:_MOST_SHOWN]:
        note(f"skipped: {folder}: {why}")
    if len(tally.skipped) > _MOST_SHOWN:
        note(f"skipped: {len(tally.skipped) - _MOST_SHOWN:,} more")


def _targets(what: str, settings: Settings, folders: list[ServedFolder]) -> list[_Target]:
    """Return what an argument names; a directory that is no configured volume is added to ``folders``."""
    from pannier.dto.ids import FolderId

    name, _, rest = what.partition("/")
    if name in settings.volume:
        if not rest:
            return _all_folders(name, settings.volume[name].path)
        try:
            return [_Target(what, name, FolderId.parse(rest))]
        except ValueError as error:
            raise Failure(f"{what!r}: {error}; for a path, write ./{what}", ExitCode.USAGE) from None
    real = os.path.realpath(what)
    if not os.path.exists(real):
        raise Failure(f"{what!r} is neither a path nor a configured volume", ExitCode.USAGE)
    folder, inside = _served(real, what, settings)
    if folder not in folders:
        if any(each.name == folder.name for each in folders):
            raise Failure(f"{what!r}: another folder is called {folder.name!r} too; give each its own line")
        folders.append(folder)
    return [_Target(folder.name, folder.name, folder.folder_id, (inside,))]


def _served(real: str, what: str, settings: Settings) -> tuple[ServedFolder, str]:
    """Return the served folder that a path is in, the deepest one, and the path inside it."""
    from pannier.dto.ids import FolderId
    from pannier.parts import ServedFolder

    running = [folder for server in find_running(settings.state.path) for folder in server.folders]
    above = [each for each in running if Path(real).is_relative_to(each.path)]
    if above:
        deepest = max(above, key=lambda each: len(each.path))
        folder = ServedFolder(deepest.volume, Path(deepest.path), FolderId.parse(deepest.folder_id))
        return folder, os.path.relpath(real, deepest.path)
    if not os.path.isdir(real):
        raise Failure(f"{what!r} is in no served folder; name the directory that is to be served", ExitCode.USAGE)
    note(f"{what} is not served now; this is for: pannier serve {what}")
    (folder,) = served_folders([Path(what)], settings.volume)
    return folder, "."


def _all_folders(name: str, root: Path) -> list[_Target]:
    from pannier.volumes.folders import folder_at

    found: list[_Target] = []
    for pattern in ("??/??/*", "*/??/??/*"):
        for path in sorted(root.glob(pattern)):
            folder = folder_at(str(path.relative_to(root)))
            if folder is not None and path.is_dir():
                found.append(_Target(f"{name}/{folder}", name, folder))
    return found
