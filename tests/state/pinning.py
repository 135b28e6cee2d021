"""A process that pins, for tests of what outlives one: ``python -m tests.state.pinning FILE PREFIX COUNT [NAME]``.

It pins ``<prefix><n>`` to ``"<name>-<n>"`` and prints the number and what stands after each answer; with the name
``withdraw`` it withdraws them in order, and prints the numbers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pannier.state.sqlite import SqliteState


async def pin_all(path: Path, prefix: str, count: int) -> None:
    state = SqliteState(path)
    await state.open()

    async def one(number: int) -> None:
        etag = f'"{prefix if len(sys.argv) < 5 else sys.argv[4]}-{number}"'
        stands = await state.pin(f"{prefix}{number}", etag, 4_000_000_000)
        sys.stdout.write(f"{number} {stands}\n")
        sys.stdout.flush()

    if sys.argv[4:] == ["withdraw"]:
        for number in range(count):
            await state.withdraw(f"{prefix}{number}", 4_000_000_000)
            print(number, flush=True)
        return
    for start in range(0, count, 8):
        await asyncio.gather(*(one(number) for number in range(start, min(start + 8, count))))
    await state.close()


if __name__ == "__main__":
    asyncio.run(pin_all(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
