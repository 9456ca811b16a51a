"""What is remembered of one metric for a while: how long its polls took, and how fast rows came."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

POLLS_KEPT = 60
RATE_SECONDS = 10.0
SAMPLE_SECONDS = 0.5
"""How far apart the totals are that are remembered; a metric may report a thousand times a second."""


@dataclass(slots=True)
class History:
    """The newest poll durations and totals of one metric.

    Attributes:
        noted: How many durations were noted so far, those that are forgotten included.
    """

    noted: int = 0
    _polls: tuple[int, int] = (0, 0)
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=POLLS_KEPT))
    _totals: deque[tuple[float, float]] = field(default_factory=deque)
    _newest: tuple[float, float] = (0.0, 0.0)

    def note_poll(self, pid: int, polls: int, took_seconds: float | None) -> None:
        """Note how long the last poll took; of several since the last report only that one is known.

        Args:
            pid: The process that polled; a new one counts from 0.
            polls: How many it did so far.
            took_seconds: How long the last one took; `None` where that says nothing.
        """
        if took_seconds is None or (pid, polls) == self._polls:
            return
        self._polls = (pid, polls)
        self._durations.append(took_seconds)
        self.noted += 1

    def note_total(self, now_seconds: float, rows_total: float) -> None:
        """Note how many rows came so far."""
        self._newest = (now_seconds, rows_total)
        if not self._totals or now_seconds - self._totals[-1][0] >= SAMPLE_SECONDS:
            self._totals.append(self._newest)

    def durations(self, since: int = 0) -> Sequence[float]:
        """Return the durations that are known, oldest first; only those noted after the first `since`."""
        new = min(self.noted - since, len(self._durations))
        return list(self._durations)[len(self._durations) - new :] if new > 0 else []

    def rows_per_second(self, now_seconds: float) -> float:
        """Return how fast rows came in about the last ten seconds."""
        while len(self._totals) > 1 and now_seconds - self._totals[1][0] >= RATE_SECONDS:
            self._totals.popleft()
        if not self._totals:
            return 0.0
        since_seconds, total_then = self._totals[0]
        passed_seconds = now_seconds - since_seconds
        if passed_seconds <= 0:
            return 0.0
        return round(max(0.0, self._newest[1] - total_then) / passed_seconds, 3)
