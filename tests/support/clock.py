"""Time and chance that a test owns."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from threading import Event


@dataclass
class FakeClock:
    """Stands still until a test lets time pass."""

    seconds: float = 1000.0
    ns: int = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        return self.ns

    def monotonic_seconds(self) -> float:
        return self.seconds

    def pass_seconds(self, seconds: float) -> None:
        self.seconds += seconds
        self.ns += round(seconds * 1e9)


class TickingClock(FakeClock):
    """Lets a millisecond pass whenever it is read."""

    def monotonic_seconds(self) -> float:
        self.pass_seconds(0.001)
        return self.seconds


class FakeRandom(Random):
    """Always draws at the same place between the ends."""

    def __init__(self, fraction: float = 1.0) -> None:
        super().__init__(0)
        self.fraction = fraction

    def random(self) -> float:
        return self.fraction

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.fraction


class RecordingEvent(Event):
    """Remembers how long it was to be waited for, and lets the clock's time pass instead of waiting."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.waits_seconds: list[float | None] = []
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.waits_seconds.append(timeout)
        self._clock.pass_seconds(timeout or 0.0)
        return self.is_set()


class StopAt(Event):
    """Is set once the clock reaches a moment; waiting for it lets the clock's time pass."""

    def __init__(self, clock: FakeClock, at_seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._at_seconds = at_seconds

    def is_set(self) -> bool:
        return self._clock.seconds >= self._at_seconds

    def wait(self, timeout: float | None = None) -> bool:
        left = self._at_seconds - self._clock.seconds
        self._clock.pass_seconds(left if timeout is None else min(timeout, left))
        return self.is_set()
