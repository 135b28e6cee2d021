"""Ours and a peer in turn within one run: same data, same client, one right after the other, the order alternating."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import clients
from bench.clients import Fetched
from bench.complaints import Unavailable
from bench.data import DataSet
from bench.measuring import calibrate, disturbance, usage
from bench.peers.base import Peer
from bench.processes import ServerProcess
from bench.results import Comparison, Pair, Run, Traits
from bench.servers import pannier
from bench.verifying import compresses, verify

_SETTLE = 0.05
"""Seconds after a client's last byte until its server's CPU time is read: the server ends the response meanwhile."""
_FRAMING = 0.1
"""How much of a body may be the framing of its chunks."""

CLIENTS: dict[str, Callable[[str], Fetched]] = {"discarding": clients.discard, "copying": clients.copy}


@dataclass(frozen=True)
class Contest:
    """One peer, and what is asked of both.

    Attributes:
        part: Path below the data's folder; "." is all.
        body: Further members of the body that asks Pannier for a token.
        deflate: The peer compresses.
        forgetful: Pannier starts with an empty state before each run, so that it knows no checksum.
        note: What the page says of this.
    """

    peer: str
    part: str = "."
    body: dict[str, Any] = field(default_factory=dict)
    deflate: bool = False
    forgetful: bool = False
    note: str = ""


@dataclass(frozen=True)
class Target:
    """A running server and a URL of it."""

    process: ServerProcess
    url: str


def compare(contest: Contest, peer: Peer, data: DataSet, scratch: Path, pairs: int, client: str) -> Comparison:
    """Verify both once, warm both up once, then measure pairs.

    Raises:
        Unavailable: Pannier refuses what the contest asks, or the peer cannot run here.
        Wrong: One of them sends something else than the data.
        FetchFailed: A download broke.
    """
    fetch, size = CLIENTS[client], data.bytes_of(contest.part)
    measured: list[Pair] = []
    with ExitStack() as stack:
        ours = stack.enter_context(_ours(contest, data, scratch))
        serving = stack.enter_context(peer.serve(data.folder, scratch, deflate=contest.deflate))
        theirs = Target(serving.process, serving.url(contest.part))
        traits = _examine(ours, "zip", data, contest, scratch)
        their_traits = _examine(theirs, peer.kind, data, contest, scratch)

        def run_ours() -> Run:
            if not contest.forgetful:
                return measure(ours, fetch, size, traits)
            with _ours(contest, data, scratch, name="fresh") as fresh:
                return measure(fresh, fetch, size, traits)

        def run_theirs() -> Run:
            return measure(theirs, fetch, size, their_traits)

        run_ours(), run_theirs()  # warm up
        for number in range(pairs):
            calibration, ours_first = calibrate(), number % 2 == 0
            if ours_first:
                our_run, their_run = run_ours(), run_theirs()
            else:
                their_run, our_run = run_theirs(), run_ours()
            measured.append(Pair(ours=our_run, peer=their_run, ours_first=ours_first, calibration=calibration))
            progress(f"{contest.peer} {number + 1}/{pairs}: {our_run.throughput / their_run.throughput:.2f} x")
    return Comparison(
        peer=peer.name,
        title=peer.title,
        version=peer.version(),
        note=contest.note,
        pairs=tuple(measured),
        ours=traits,
        theirs=their_traits,
    )


def alone(contest: Contest, data: DataSet, scratch: Path) -> Traits:
    """Verify ours where nobody is there to be measured beside.

    Raises:
        Unavailable, Wrong, FetchFailed: As for a comparison.
    """
    with _ours(contest, data, scratch) as ours:
        return _examine(ours, "zip", data, contest, scratch)


def measure(target: Target, fetch: Callable[[str], Fetched], size: int, traits: Traits | None) -> Run:
    """Measure one download of files of so many bytes."""
    process = target.process
    process.check()
    process.reset_peak()
    before, cpu = usage(), process.cpu_seconds()
    fetched = fetch(target.url)
    time.sleep(_SETTLE)
    server_cpu, after = process.cpu_seconds() - cpu, usage()
    process.check()
    if traits and abs(fetched.wire_bytes - traits.body_bytes) > _FRAMING * traits.body_bytes + 65536:
        raise clients.FetchFailed(f"{fetched.wire_bytes} bytes came, {traits.body_bytes} when it was verified")
    others, steal = disturbance(before, after, server_cpu + fetched.cpu_seconds)
    peak = process.peak_rss()
    return Run(
        seconds=fetched.seconds,
        first_byte=fetched.first_byte,
        input_bytes=size,
        wire_bytes=fetched.wire_bytes,
        server_cpu=server_cpu,
        client_cpu=fetched.cpu_seconds,
        peak_rss=peak,
        rss_growth=peak - process.idle_rss,
        other_cores=others,
        steal=steal,
    )


def progress(text: str) -> None:
    """Tell the person who waits."""
    print(f"    {text}", flush=True)


def _examine(target: Target, kind: str, data: DataSet, contest: Contest, scratch: Path) -> Traits:
    """Download once, check every byte of it, and see what the answers promise."""
    download = scratch / "download"
    try:
        size = clients.save(target.url, download)
        how = verify(kind, download, data, (contest.part,))
        # a server that does not know the wish may leave it unread, and what it sends is right, but not what is compared
        if contest.body.get("compression") == "deflate" and not compresses(download):
            raise Unavailable("not supported by this server: compression=deflate gave a stored archive")
    finally:
        download.unlink(missing_ok=True)
    probed = clients.probe(target.url)
    return Traits(length=probed.length, ranges=probed.ranges, body_bytes=size, verified=how)


@contextmanager
def _ours(contest: Contest, data: DataSet, scratch: Path, name: str = "ours") -> Iterator[Target]:
    with pannier(data.folder, scratch, name=name) as running:
        yield Target(running.process, running.url(contest.part, **contest.body))
