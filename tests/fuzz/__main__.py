"""Fuzzing with atheris (libFuzzer), guided by what of our code each input reaches.

    python -m tests.fuzz [--seconds N] [TARGET …]   each target, all of them unless said; what is found stays in .fuzz/
    python -m tests.fuzz --in-process TARGET […]    one target here, with libFuzzer's own arguments: a file repeats it

Exit code 1 if something broke.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
REPOSITORY = Path(__file__).parents[2]
FOUND = REPOSITORY / ".fuzz"


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["pannier", "tomllib", "tests.fuzz"]):
        from tests.fuzz import targets
    target = targets.planted if name == "planted" else targets.TARGETS[name]
    atheris.Setup([f"fuzz-{name}", *arguments], target)
    atheris.Fuzz()


def command(name: str, found: Path, *more: str) -> list[str]:
    """Return what fuzzes one target from its corpus, keeping what is new, and what breaks, in a directory."""
    found.mkdir(parents=True, exist_ok=True)
    options = ["-timeout=20", "-rss_limit_mb=2048", "-verbosity=0", f"-artifact_prefix={found.parent}/{name}-"]
    kept = [str(each) for each in (CORPUS / name,) if each.exists()]
    return [sys.executable, "-m", "tests.fuzz", "--in-process", name, *options, *more, str(found), *kept]


def main() -> int:
    if sys.argv[1:2] == ["--in-process"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return 0
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="make fuzz", description="Look for inputs that break a parser.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all unless said")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    broken = []
    for name in options.targets or TARGETS:
        print(f"{name}: {(TARGETS[name].__doc__ or '').strip()}", flush=True)
        run = command(name, FOUND / name, f"-max_total_time={options.seconds}", "-print_final_stats=1")
        done = subprocess.run(run, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        stats = dict(line.removeprefix("stat::").split(":") for line in done.stderr.splitlines() if "stat::" in line)
        print(f"  {int(stats.get('number_of_executed_units', 0)):,} inputs", flush=True)
        if done.returncode:
            broken.append(name)
            print(f"{done.stderr[-3_000:]}\n  repeat it: python -m tests.fuzz --in-process {name} .fuzz/{name}-crash-…")
    print(f"broken: {', '.join(broken)}" if broken else "nothing broke")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
