"""How long to wait before trying again: exponential, with full jitter."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts: uniform between 0 and a ceiling that doubles up to a maximum.

    Full jitter keeps a hundred workers from knocking at a far end that comes back in the same instant.

    Attributes:
        first_seconds: The ceiling of the first wait.
        max_seconds: The ceiling of any wait.
    """

    first_seconds: float = 0.5
    max_seconds: float = 30.0

    def wait_seconds(self, attempt: int, random: Random) -> float:
        """Return the wait after failed attempt number `attempt`, counted from 1."""
        ceiling = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 30))
        return random.uniform(0, ceiling)
