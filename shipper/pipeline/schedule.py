"""When to poll: ticks on a fixed grid that never drifts and never piles up."""

from __future__ import annotations

import math
from dataclasses import dataclass

SPREAD_SECONDS = 1.0

STARTING_SECONDS = 5.0
"""A worker may take so long to start and still poll at its first tick. One that is started again later keeps to the
grid: what changes its far end, like a daily reset, is not done a second time because a process died."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment to poll.

    Attributes:
        due_seconds: When the poll should begin, on the monotonic clock.
        missed: How many ticks were skipped since the one before, because a poll overran.
        reads_on: Whether it only goes on where the read before it stopped: it is on no grid, and never late.
    """

    due_seconds: float
    missed: int = 0
    reads_on: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A grid of ticks: `first_seconds`, and then one every `every_seconds`."""

    first_seconds: float
    every_seconds: float

    def first(self, now_seconds: float) -> Tick:
        """Return the tick to begin with: the first one, or for a worker started again the next one on the grid."""
        tick = Tick(self.first_seconds)
        if now_seconds - self.first_seconds <= STARTING_SECONDS:
            return tick
        return Tick(self.after(tick, now_seconds).due_seconds)

    def after(self, tick: Tick, now_seconds: float) -> Tick:
        """Return the next tick that is not yet past; a tick that is due this very moment is not."""
        behind = (now_seconds - tick.due_seconds) / self.every_seconds
        steps = max(1, math.ceil(behind - 1e-9))
        return Tick(tick.due_seconds + steps * self.every_seconds, missed=steps - 1)


def spread(position: int, count: int, every_seconds: float) -> float:
    """Return how many seconds metric number `position` of `count` waits with its first poll.

    First polls are spread over the first second (or the period, if that is shorter), so that a hundred metrics
    do not log in at the same instant.
    """
    return position / count * min(SPREAD_SECONDS, every_seconds)
