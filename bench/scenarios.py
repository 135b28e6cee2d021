"""What is compared: a table. Each line is one of the issue's, with its data, its client and its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import crowd, held, million, sizes
from bench.data import DataSet, Spec
from bench.pairing import Contest
from bench.peers.table import PEERS
from bench.results import Observation

_BIG_FILE = "part-0000/file-0000000.bin"
_QUARTER = Contest("", "part-0000", note="a quarter of the data, because it is slow")
_DEFLATE = {"compression": "deflate"}
_ALONE, _SETUP = 20.0, 8.0
"""Seconds: what verifying a GiB and what starting a comparison take, for the estimate."""


@dataclass(frozen=True)
class Scenario:
    """One comparison of the page.

    Attributes:
        data: Name of a data set.
        client: "discarding" or "copying".
        large: The rates of large files apply, for the estimate.
        extra: Measures what is not beside a peer: given the data, a scratch folder, the number of runs, and
            whether it is the small variant.
        extra_seconds: About how long that takes beside one run.
        extra_runs: How many runs of it there are at most.
    """

    name: str
    title: str
    data: str
    client: str
    contests: tuple[Contest, ...]
    large: bool = True
    extra: Callable[[DataSet, Path, int, bool], Sequence[Observation]] | None = None
    extra_seconds: float = 0.0
    extra_runs: int = 3

    def seconds(self, spec: Spec, pairs: int, peers: Sequence[str], *, small: bool) -> float:
        """Return about how long it takes, without making the data."""
        if small:
            return 2.0 * (1 + len([one for one in self.contests if one.peer in peers]))
        total = self.extra_seconds * (1 + min(pairs, self.extra_runs))
        for contest in self.contests:
            if contest.peer not in peers:
                continue
            peer = PEERS[contest.peer]
            size = spec.expected_bytes / (spec.directories if contest.part.startswith("part") and spec.files > 1 else 1)
            theirs = peer.deflate_rate if contest.deflate else peer.large_rate
            theirs = theirs if self.large else min(peer.small_rate, theirs)
            ours = (500.0 if contest.deflate else 1500.0) if self.large else (60.0 if contest.deflate else 150.0)
            one = size / 1e6 / ours + size / 1e6 / theirs + (2.0 if contest.forgetful else 0.5)
            total += _SETUP + (pairs + 2) * one + _ALONE * size / 2**30
        return total


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "large-known",
            "One file of 4.5 GiB, its CRC-32 known",
            "big",
            "copying",
            (Contest("nginx", _BIG_FILE), Contest("nginx-push", _BIG_FILE), Contest("nginx-reno", _BIG_FILE)),
        ),
        Scenario(
            "large-unknown",
            "One file of 4.5 GiB, its CRC-32 unknown at first",
            "big",
            "copying",
            (
                Contest("nginx", _BIG_FILE, forgetful=True),
                Contest("nginx-push", _BIG_FILE, forgetful=True),
                Contest("nginx-reno", _BIG_FILE, forgetful=True),
            ),
        ),
        Scenario(
            "files",
            "300 files, about 2 GiB, stored",
            "mixed",
            "discarding",
            (
                Contest("zipstream-ng"),
                Contest("stream-zip"),
                Contest("zipstream-new"),
                Contest("copyparty"),
                Contest("backend.ai", _QUARTER.part, deflate=True, note=f"{_QUARTER.note}; it can only compress"),
            ),
        ),
        Scenario(
            "small-files",
            "50,000 files of 1–8 KiB, stored",
            "tree",
            "discarding",
            (
                Contest("tar"),
                Contest("zipstream-ng"),
                Contest("backend.ai", deflate=True, note="it can only compress"),
            ),
            large=False,
        ),
        Scenario(
            "million",
            "1,000,000 files of 0.5–1.5 KiB, stored",
            "million",
            "discarding",
            (Contest("tar"),),
            large=False,
            extra=million.observe,
            extra_seconds=45.0,
        ),
        Scenario(
            "deflate",
            "300 files, compressed",
            "mixed",
            "discarding",
            (
                Contest("backend.ai", _QUARTER.part, _DEFLATE, deflate=True, note=_QUARTER.note),
                Contest("zipstream-ng", _QUARTER.part, _DEFLATE, deflate=True, note=_QUARTER.note),
            ),
            extra=sizes.observe,
            extra_seconds=15.0,
        ),
        Scenario(
            "deflate-small",
            "50,000 files of 1–8 KiB, compressed",
            "tree",
            "discarding",
            (
                Contest("backend.ai", ".", _DEFLATE, deflate=True),
                Contest("zipstream-ng", ".", _DEFLATE, deflate=True),
            ),
            large=False,
        ),
        Scenario(
            "slow-clients",
            "300 clients at 500 KB/s, the data cold",
            "mixed",
            "slow",
            (),
            extra=crowd.observe,
            extra_seconds=110.0,
            extra_runs=1_000,
        ),
        Scenario(
            "held-clients",
            "1,000 idle and slow clients, held for a minute",
            "mixed",
            "slow",
            (),
            extra=held.observe,
            extra_seconds=85.0,
        ),
    )
}
