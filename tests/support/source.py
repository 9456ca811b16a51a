"""A source that a test feeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shipper.core.errors import SourceError, SourceUnavailable
from shipper.core.record import Batch, Cursor


@dataclass
class FakeSource:
    """Answers reads with what it was given, in order, then with empty batches; remembers what was done to it."""

    answers: list[Batch | SourceError] = field(default_factory=list)
    open_errors: list[SourceError | None] = field(default_factory=list)
    acknowledge_errors: list[SourceUnavailable] = field(default_factory=list)
    acknowledged: list[Cursor] = field(default_factory=list)
    opened_at: list[Cursor | None] = field(default_factory=list)
    timeouts_seconds: list[float] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    reading: Callable[[], object] = lambda: None

    def open(self, cursor: Cursor | None = None) -> None:
        self.opened += 1
        self.opened_at.append(cursor)
        error = self.open_errors.pop(0) if self.open_errors else None
        if error is not None:
            raise error

    def read(self, timeout_seconds: float) -> Batch:
        self.timeouts_seconds.append(timeout_seconds)
        self.reading()
        answer = self.answers.pop(0) if self.answers else Batch()
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def acknowledge(self, cursor: Cursor) -> None:
        if self.acknowledge_errors:
            raise self.acknowledge_errors.pop(0)
        self.acknowledged.append(cursor)

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakePulse:
    """Remembers the signs of life in order."""

    signs: list[str] = field(default_factory=list)

    def beat(self) -> None:
        self.signs.append("beat")

    def poll_began(self) -> None:
        self.signs.append("began")

    def poll_ended(self) -> None:
        self.signs.append("ended")
