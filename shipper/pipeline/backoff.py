"""How long to wait before trying again: exponential, with full jitter."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Protocol

from shipper.core.clock import Clock


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


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a destination took nothing.

    Attributes:
        seconds: How long it lasted.
        failures: How many pushes failed meanwhile.
    """

    seconds: float
    failures: int


class Pace(Protocol):
    """When the next push to a destination may be tried."""

    def wait_seconds(self) -> float:
        """Return 0 to push now, else how long to wait before asking again."""

    def passed(self) -> Outage | None:
        """Say that the destination takes lines, and return the outage that this push has ended, if it has."""

    def failed(self, retry_after_seconds: float | None) -> bool:
        """Say that the destination takes nothing from anybody, and how long it asked us to wait.

        Returns:
            Whether an outage begins with this push, so that its pusher is the one to tell it.
        """

    def let_go(self) -> None:
        """Say that the push told nothing about the destination."""

    @property
    def last_passed_seconds(self) -> float:
        """When a push was taken last, on the monotonic clock; 0 before the first."""


class OwnPace:
    """The pace of somebody who is alone with a destination."""

    def __init__(self, *, backoff: Backoff, clock: Clock, random: Random) -> None:
        self._backoff = backoff
        self._clock = clock
        self._random = random
        self._failures = 0
        self._failed_seconds = 0.0
        self._not_before_seconds = 0.0
        self.last_passed_seconds = 0.0

    def wait_seconds(self) -> float:
        """Return 0 to push now, else how long to wait before asking again."""
        return max(0.0, self._not_before_seconds - self._clock.monotonic_seconds())

    def passed(self) -> Outage | None:
        """Say that the destination takes lines, and return the outage that has ended, if one has."""
        failures, self._failures = self._failures, 0
        now = self.last_passed_seconds = self._clock.monotonic_seconds()
        return Outage(now - self._failed_seconds, failures) if failures else None

    def failed(self, retry_after_seconds: float | None) -> bool:
        """Say that the destination takes nothing, and how long it asked us to wait; True when that is news."""
        self._failures += 1
        if self._failures == 1:
            self._failed_seconds = self._clock.monotonic_seconds()
        wait_seconds = self._backoff.wait_seconds(self._failures, self._random)
        if retry_after_seconds is not None:
            wait_seconds += retry_after_seconds
        self._not_before_seconds = self._clock.monotonic_seconds() + wait_seconds
        return self._failures == 1

    def let_go(self) -> None:
        """Say that the push told nothing about the destination."""
