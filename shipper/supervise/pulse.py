"""A worker's sign of life: three numbers in memory that the worker writes and the supervisor reads."""

from __future__ import annotations

import time
from ctypes import Array, c_double
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext

BEAT, POLL_BEGAN, POLLS = range(3)


@dataclass(frozen=True, slots=True)
class SharedPulse:
    """Beats on the monotonic clock, which all processes of one boot share.

    Attributes:
        numbers: When the loop last turned, since when it is polling (0: it is not), and how many polls ended.
    """

    numbers: Array[c_double]

    @classmethod
    def create(cls, context: ForkServerContext) -> SharedPulse:
        """Make one that can be handed to a new process."""
        return cls(context.RawArray(c_double, 3))

    def beat(self) -> None:
        """Say that the loop turns."""
        self.numbers[BEAT] = time.monotonic()

    def poll_began(self) -> None:
        """Say that a poll begins now."""
        self.numbers[BEAT] = self.numbers[POLL_BEGAN] = time.monotonic()

    def poll_ended(self) -> None:
        """Say that the poll is over."""
        self.numbers[POLL_BEGAN] = 0.0
        self.numbers[POLLS] += 1
