"""What never came: counted where a sender numbers its datagrams, and where the kernel says so."""

from __future__ import annotations

from collections.abc import Hashable

MAX_SENDERS = 1000
"""Of more than these the ones that were silent longest are forgotten: anybody can invent senders."""

LATE_NUMBERS = 100
"""Datagrams that overtook each other on the way are no further apart."""


class Sequences:
    """Follows the numbers of every sender, and counts those that were left out.

    Attributes:
        gaps: How many were left out since they were last taken.
    """

    def __init__(self) -> None:
        self._next: dict[Hashable, int] = {}
        self.gaps = 0

    def take(self) -> int:
        """Return the gaps, and count from 0 again."""
        gaps, self.gaps = self.gaps, 0
        return gaps

    def follow(self, sender: Hashable, number: int) -> None:
        """Take note of the number of a datagram that came."""
        expected = self._next.pop(sender, number)
        if number > expected:
            self.gaps += number - expected
        came_late = 0 < number < expected <= number + LATE_NUMBERS
        # Put in again, so that the sender that was silent longest is always the first.
        self._next[sender] = expected if came_late else number + 1
        if len(self._next) > MAX_SENDERS:
            del self._next[next(iter(self._next))]


class DropCounter:
    """Adds up a counter of the kernel that has 32 bits and begins anew with every socket.

    Attributes:
        total: What it counted since it was last taken.
    """

    def __init__(self) -> None:
        self.total = 0
        self._last = 0

    def take(self) -> int:
        """Return the total, and count from 0 again."""
        total, self.total = self.total, 0
        return total

    def start(self) -> None:
        """Take note that there is a new socket."""
        self._last = 0

    def read(self, count: int) -> None:
        """Take note of what the kernel tells now."""
        self.total += (count - self._last) % 2**32
        self._last = count
