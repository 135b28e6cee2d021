"""What a run leaves: everything that the page is made of, as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Record):
    """Where it was measured."""

    cores: int
    processor: str
    memory: int
    kernel: str
    system: str
    python: str
    pannier: str
    congestion: str = ""
    """TCP's congestion control."""


class Run(_Record):
    """One measured download.

    Attributes:
        seconds, first_byte: From the request to the last and the first byte of the body.
        input_bytes: Bytes of the files that were asked for.
        wire_bytes: Bytes of the body, with the framing of chunks where it has any.
        server_cpu, client_cpu: Seconds of CPU time.
        peak_rss, rss_growth: Most bytes of memory that the server held, and how much more than when it was idle.
        other_cores: Cores that others on the machine used meanwhile.
        steal: Share of the machine's time that the hypervisor gave to others.
    """

    seconds: float
    first_byte: float
    input_bytes: int
    wire_bytes: int
    server_cpu: float
    client_cpu: float
    peak_rss: int
    rss_growth: int
    other_cores: float
    steal: float

    @property
    def throughput(self) -> float:
        """Input bytes a second."""
        return self.input_bytes / self.seconds

    @property
    def cpu_per_gib(self) -> float:
        """Seconds of server CPU per GiB of input."""
        return self.server_cpu / (self.input_bytes / 2**30)


class Pair(_Record):
    """Two runs, one right after the other; the calibration is the seconds of a fixed loop before them."""

    ours: Run
    peer: Run
    ours_first: bool
    calibration: float


class Traits(_Record):
    """What a server's answers were like, probed; and that what it sent was verified.

    Attributes:
        body_bytes: Bytes of the archive, without framing.
        verified: How it was verified.
    """

    length: bool
    ranges: bool
    body_bytes: int
    verified: str


class Comparison(_Record):
    """Ours beside one peer."""

    peer: str
    title: str
    version: str = ""
    note: str = ""
    """What differs from the scenario's line, such as a part of its data."""
    skipped: str = ""
    """Why nothing was measured."""
    pairs: tuple[Pair, ...] = ()
    ours: Traits | None = None
    theirs: Traits | None = None


class Observation(_Record):
    """Something measured that is no download beside a peer's."""

    name: str
    unit: str
    values: tuple[float, ...]


class Result(_Record):
    """What one scenario gave."""

    scenario: str
    when: str
    """UTC, to the minute."""
    small: bool
    machine: Machine
    client: str
    comparisons: tuple[Comparison, ...] = ()
    observations: tuple[Observation, ...] = ()
    skipped: str = ""
    load: tuple[float, float] = (0.0, 0.0)
    """The load average of a minute, before and after."""
    took: float = 0.0


_results = TypeAdapter(list[Result])


def read(path: Path) -> dict[str, Result]:
    """Return the results that a file holds, by scenario; none if it does not exist."""
    if not path.exists():
        return {}
    return {result.scenario: result for result in _results.validate_json(path.read_bytes())}


def write(path: Path, results: dict[str, Result]) -> None:
    """Write results, replacing the file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(_results.dump_json(list(results.values()), indent=1) + b"\n")
    unfinished.replace(path)
