"""Time, passed in wherever behaviour depends on it, so that tests can own it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time: one to label records with, one to measure waits with."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC; may jump when the system's clock is set."""

    def monotonic_seconds(self) -> float:
        """Seconds on a clock that never jumps; on Linux the same in every process since boot."""


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, UTC."""
        return time.time_ns()

    def monotonic_seconds(self) -> float:
        """Return seconds of CLOCK_MONOTONIC, which all processes of one boot share."""
        return time.monotonic()
