"""Results as Markdown: what the terminal shows, and the whole page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from bench.requirements import Judgement, Requirement, cpu_ratios, judge, size_ratio, speed_ratios
from bench.results import Comparison, Machine, Pair, Result, Run, Traits
from bench.scenarios import SCENARIOS
from bench.statistics import estimate, percentile

_METHOD = """\
# Performance

`make bench` measures Pannier beside other servers on your machine, and writes this page. The page holds what was
measured, no more: a scenario that was not run is not here.

## Method

Each server is a process of its own on loopback, Pannier as `pannier serve` with one worker process and its settings
as shipped, except that every download walks its tree again (`plan-fresh-max = "0s"`), because the peers do too. On two
processors it starts one helper process when there are thousands of small files to read, whose CPU time and memory are
counted with the server's. Peers are installed at the versions shown, each in an environment of its own; libraries run
behind aiohttp, used as their documentation says, with their chunks gathered to 256 KiB in a thread; `tar` writes into a
pipe of 1 MiB that is read in a thread; nginx has one worker and sendfile, with `tcp_nopush` as Debian configures it,
and twice without, as nginx itself does.

A system can have TCP pace what it sends (BBR); *Machine* says what it has. Pannier serves clients that come over
loopback without that (Reno), because there the timers take most of a sender's processor time and some two fifths of its
speed, as the lines of nginx show; and here all clients come over loopback. So that the rest can be compared as well,
`tar` and the libraries send without pacing here, too, and so does one of the nginx (*TCP as ours*). The other two, and
copyparty, are as the system has them. With pacing and `tcp_nopush`, the kernel sends most of a file when
acknowledgements come, so the client pays for that, and the two work in turns.

For each peer, both servers run side by side. First both are downloaded from once and every byte is verified (`unzip
-t` and all names, sizes and checksums against the data; `tar -d`; a CRC-32), which also fills the page cache, and
once more to warm up. Then come the pairs: one download of ours and one of the peer's, one right after the other, the
order alternating. *Throughput* is bytes of the files divided by the seconds from the request to the last byte, so
framing, compression and headers earn nothing. Absolute speeds drift by a third on virtual machines; the ratio within
a pair does not, so the ratio is what counts: its median over all pairs, with the interval of order statistics that
covers the true median with 95 % (with fewer than six pairs: the whole range, and what it covers).

The *discarding* client lets the kernel drop what it received (`MSG_TRUNC`), so that the server is what limits; the
*copying* client is curl writing to nowhere. *CPU* is user and system time of the server and all its child processes;
on loopback the kernel charges its work for a connection to whichever end happens to run it, so the client's own CPU
time stands beside it. *Memory* is the highest resident size during a run, as the kernel keeps it (`VmHWM`), children
that have ended left out. *First byte* is that of the body, with curl that of the answer. Length and ranges are
probed. *Stall* is the longest round trip of a tiny request on an idle connection, asked every 5 ms or when the last
answer came; the same is asked of a second, idle server at the same time, which shows what the machine does to both.
*Beyond the idle server's at the moment* is the most by which one of these took longer than all that the idle server was
asked meanwhile. The median stall of several runs is held against its bound, and so is the longest, in a row of its own.
*Held clients* are of four kinds, a quarter each: connected and silent, kept alive after an answer, taking nothing of a
large file, taking 2 KB/s of it; *memory for each* is what the server's resident size grew by (the kernel's buffers of
their sockets are not in that), and meanwhile one small file is downloaded five times a second.
*Disturbance* tells who else used the machine: cores used by processes that are no part of the run, time stolen by the
hypervisor, and the spread of a fixed loop run before each pair.

The data is made from fixed seeds: 300 files of 1 to 12.7 MiB, half of them text that zlib 6 makes a third of, half
incompressible; 50,000 text files of 1 to 8 KiB in 250 directories; one incompressible file of 4.5 GiB; 1,000,000 text
files of 0.5 to 1.5 KiB in 1,000 directories. Peers that are slow get a part of the data, and ours the same part,
where a line says so. For cold data the pages are dropped with `posix_fadvise`. Before each run of slow clients the disk
is synced and left alone for ten seconds: what the run before was compared with, gigabytes, has just been removed.

Run it again with `make bench`, parts of it with `make bench BENCH="files small-files --pairs 5"`, see `make bench
BENCH=--help`. `make bench BENCH="--output docs/performance.md"` replaces what it measured on this page and in
`docs/performance.json`, and leaves the other scenarios as they are.
"""


def page(results: dict[str, Result]) -> str:
    """Return the whole page of these results."""
    lines = [_METHOD]
    measured = [results[name] for name in SCENARIOS if name in results]
    if measured:
        lines += ["## Machine", "", *_machines(measured), "", "## Must reach", "", *must_reach(results), ""]
        lines += ["## Scenarios", ""]
        for result in measured:
            lines += [*scenario(result), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def must_reach(results: dict[str, Result]) -> Iterator[str]:
    """Yield the table of bounds, of the measured scenarios only."""
    yield from _header("Scenario", "What", "Bound", "Measured", "Interval", "")
    for requirement, found in judge(results):
        sign = "≥" if requirement.at_least else "≤"
        bound = f"{sign} {quantity(requirement.bound, requirement.unit)}"
        if isinstance(found, Judgement):
            verdict = "met" if found.met else "**not met**"
            cells = (quantity(found.value, requirement.unit), _interval(requirement, found), verdict)
        else:
            cells = ("", "", f"not measured: {found}")
        yield _row(requirement.scenario, requirement.words, bound, *cells)


def scenario(result: Result) -> Iterator[str]:
    """Yield a scenario's tables."""
    yield f"### {SCENARIOS[result.scenario].title} (`{result.scenario}`)"
    yield ""
    if result.small:
        yield "The small variant: tiny data of the same shape, so the numbers mean nothing."
        yield ""
    if result.skipped:
        yield f"Not measured: {result.skipped}."
        return
    load = f"load average {result.load[0]:.1f} before, {result.load[1]:.1f} after"
    client = "" if result.client == "slow" else f"{result.client} client, "
    yield f"{result.when} UTC, {client}{result.took / 60:.0f} min, {load}."
    yield ""
    measured = [one for one in result.comparisons if one.pairs]
    if measured:
        yield from _ratios(measured)
        yield ""
        yield from _servers(measured)
        yield ""
        yield from _disturbance(measured)
        yield ""
    for one in result.comparisons:
        if one.skipped:
            yield f"{one.title}: not measured: {one.skipped}."
            yield ""
    if result.observations:
        yield from _header("Observed", "Median", "Lowest", "Highest", "Runs")
        for seen in result.observations:
            low, high = (quantity(value, seen.unit) for value in (min(seen.values), max(seen.values)))
            yield _row(seen.name, quantity(median(seen.values), seen.unit), low, high, str(len(seen.values)))


def quantity(value: float, unit: str) -> str:
    """Return a value in words: "1.23 x", "4.5 ms", "97 MiB", "0.12 cores"."""
    match unit:
        case "x":
            return f"{value:.3f} ×" if value < 0.1 else f"{value:.2f} ×" if value < 10 else f"{value:.1f} ×"
        case "s":
            return (
                f"{value:.2f} s"
                if value >= 1
                else f"{value * 1e3:.0f} ms"
                if value >= 0.01
                else f"{value * 1e3:.1f} ms"
            )
        case "B":
            return f"{value / 2**20:.0f} MiB"
        case "cores":
            return f"{value:.2f} cores"
        case _:
            return f"{value:g} {unit}"


def _ratios(comparisons: list[Comparison]) -> Iterator[str]:
    yield from _header("Ours beside", "Throughput", "Interval", "CPU per GiB", "Size", "Pairs")
    for one in comparisons:
        speed = estimate(speed_ratios(one))
        cpu = cpu_ratios(one)
        interval = f"{speed.low:.2f}–{speed.high:.2f} ({speed.coverage:.0%})"
        size = size_ratio(one)
        yield _row(
            f"{one.title}{f' ({one.note})' if one.note else ''}",
            quantity(speed.median, "x"),
            interval,
            quantity(median(cpu), "x") if cpu else "–",
            f"{size[0]:.3f} ×" if size else "–",
            str(speed.count),
        )


def _servers(comparisons: list[Comparison]) -> Iterator[str]:
    yield from _header(
        "Server", "MB/s", "CPU s per GiB", "Client's", "First byte", "Memory (growth)", "Length", "Ranges", "Verified"
    )
    for one in comparisons:
        yield _server(f"ours, beside {one.title}", [pair.ours for pair in one.pairs], one.ours)
        yield _server(f"{one.title} {one.version}", [pair.peer for pair in one.pairs], one.theirs)


def _server(name: str, runs: list[Run], traits: Traits | None) -> str:
    def middle(value: Callable[[Run], float]) -> float:
        return median(value(run) for run in runs)

    memory = max(run.peak_rss for run in runs), max(run.rss_growth for run in runs)
    return _row(
        name,
        f"{middle(lambda run: run.throughput) / 1e6:.0f}",
        f"{middle(lambda run: run.cpu_per_gib):.2f}",
        f"{middle(lambda run: run.client_cpu / (run.input_bytes / 2**30)):.2f}",
        quantity(middle(lambda run: run.first_byte), "s"),
        f"{quantity(memory[0], 'B')} ({memory[1] / 2**20:+.0f})",
        _yes(traits.length if traits else None),
        _yes(traits.ranges if traits else None),
        traits.verified if traits else "–",
    )


def _disturbance(comparisons: list[Comparison]) -> Iterator[str]:
    pairs: list[Pair] = [pair for one in comparisons for pair in one.pairs]
    runs = [run for pair in pairs for run in (pair.ours, pair.peer)]
    loop = [pair.calibration for pair in pairs]
    others = [run.other_cores for run in runs]
    yield (
        f"Disturbance: others used {median(others):.2f} cores "
        f"(nine tenths of the runs: below {percentile(others, 0.9):.2f}); "
        f"{max(run.steal for run in runs):.1%} stolen at most; the fixed loop took {min(loop) * 1e3:.0f} to "
        f"{max(loop) * 1e3:.0f} ms."
    )


def _machines(results: Sequence[Result]) -> Iterator[str]:
    found: dict[Machine, list[str]] = {}
    for result in results:
        found.setdefault(result.machine, []).append(result.scenario)
    for machine, names in found.items():
        which = f" ({', '.join(names)})" if len(found) > 1 else ""
        tcp = f", TCP's congestion control {machine.congestion}" if machine.congestion else ""
        yield (
            f"{machine.cores} cores of {machine.processor}, {machine.memory / 2**30:.0f} GiB of memory, "
            f"{machine.system}, {machine.kernel}{tcp}, Python {machine.python}, Pannier {machine.pannier}{which}."
        )


def _interval(requirement: Requirement, found: Judgement) -> str:
    if found.estimate.count == 1:
        return ""
    low, high = (quantity(value, requirement.unit) for value in (found.estimate.low, found.estimate.high))
    kind = f"median {quantity(found.estimate.median, requirement.unit)}, " if requirement.worst else ""
    return f"{kind}{low} to {high} ({found.estimate.coverage:.0%}, n = {found.estimate.count})"


def _yes(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


def _header(*names: str) -> Iterable[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
