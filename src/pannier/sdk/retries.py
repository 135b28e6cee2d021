"""When to try again: waits that grow, with chance in them so that many clients do not come back at once. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pannier.sdk.problems import Busy, ClientError, Unreachable


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between tries.

    Attributes:
        tries: How often something is tried in all, if no try gets any further.
        first: Seconds before the second try, at most; each further wait may be twice as long.
        most: Seconds of the longest wait.
    """

    tries: int = 10
    first: float = 1.0
    most: float = 30.0

    def wait(self, failures: int, error: ClientError) -> float | None:
        """Return how many seconds to wait after so many failures in a row; None to give up.

        Half of a wait is chance. What the server asked for (``Retry-After``) is the least.
        """
        if failures >= self.tries or not is_passing(error):
            return None
        longest = min(self.most, self.first * 2.0 ** min(failures - 1, 60))
        wait = longest * random.uniform(0.5, 1)  # noqa: S311 - not a secret
        asked = error.retry_after if isinstance(error, Busy) else None
        return wait if asked is None else asked + wait * 0.1


ONCE = Backoff(tries=1)


def is_passing(error: ClientError) -> bool:
    """Whether the same request may succeed later: nobody answered, it broke off, or the server is busy."""
    return isinstance(error, Unreachable | Busy)
