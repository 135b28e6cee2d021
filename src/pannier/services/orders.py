"""What a plan is made for, and what plans may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from pannier.dto.selections import Selection
from pannier.services.progress import WalkLimits
from pannier.streams.hashing import Place


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What plans may cost, and how long they are good for.

    Attributes:
        walk: Limits of one walk.
        concurrent: Walks at the same time.
        turn: Seconds a walk waits for its turn.
        linger: Seconds a walk goes on when nobody waits for it.
        fresh_least, fresh_most: A plan is made again when it is older than 10 times its walk, within these seconds.
        late_checksum_above: Files of more bytes have their checksum after their content.
        remembered_entries, remembered_plans: Most entries (offenders and omissions count too) of all remembered plans
            together, and most plans.
        remembered_seconds: How long an unused plan is remembered.
    """

    walk: WalkLimits = field(default_factory=WalkLimits)
    concurrent: int = 8
    turn: float = 5.0
    linger: float = 30.0
    fresh_least: float = 2.0
    fresh_most: float = 60.0
    late_checksum_above: int = 8 * 1024**3
    remembered_entries: int = 2_000_000
    remembered_plans: int = 1_000
    remembered_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a plan is made for; equal orders share their plan. Paths and names are seen from ``base``, a directory."""

    place: Place
    selection: Selection
    base: bytes = b""
    _hash: int = field(init=False, repr=False, compare=False)
    """Plans are looked up by it many times a request, and a selection may name thousands of files."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.place, self.selection, self.base)))

    def __hash__(self) -> int:
        return self._hash
