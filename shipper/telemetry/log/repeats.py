"""Sums up what is said again and again: the first time at once, then how often since, once a minute.

Two lines are the same event when logger, level, template and all fields that are no numbers are equal: attempts and
seconds may differ, the text of an error may not. Debug lines are never summed up, who asks for them wants all of them;
nor are the supervisor's, which are few and answer signals.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shipper.core.words import counted
from shipper.telemetry.log.poll import followed

SUMMED_UP_SECONDS = 60.0

MOST_REMEMBERED = 1000
"""So many different events are told apart within that time; beyond it everything is summed up, and forgotten."""

SUPERVISOR = "shipper"
"""The logger that belongs to no metric."""

Identity = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """How often an event came that was not written each time.

    Attributes:
        count: How often, the line that tells it included.
        seconds: Within which time.
    """

    count: int
    seconds: float


@dataclass(slots=True)
class _Told:
    """An event that was written, and what came of it since."""

    since_seconds: float
    count: int = 0
    last: logging.LogRecord | None = None


class Repeats(logging.Handler):
    """Hands lines on to the outlets, and of those that repeat themselves only the first, and sums.

    It has no thread: whoever logs, and whoever calls `tell_due` now and then, lets it tell what is due.
    """

    def __init__(
        self,
        outlets: Sequence[logging.Handler],
        *,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.outlets = outlets
        self._monotonic_seconds = monotonic_seconds
        self._told: dict[Identity, _Told] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a line, or count it."""
        record.poll = followed()
        if record.levelno <= logging.DEBUG or record.name == SUPERVISOR:
            self._hand_on(record)
            return
        now = self._monotonic_seconds()
        self._tell_older(now - SUMMED_UP_SECONDS)
        identity = _identity(record)
        told = self._told.get(identity)
        if told is None:
            if len(self._told) >= MOST_REMEMBERED:
                self._tell_older(math.inf)
                self._told.clear()
            self._told[identity] = _Told(now)
            self._hand_on(record)
            return
        told.count += 1
        # Its traceback was written with the first, and would keep alive what it leads to.
        record.exc_info = None
        told.last = record

    def tell_due(self) -> None:
        """Write the sums whose minute is over."""
        if not self._told:
            return
        self.acquire()
        try:
            self._tell_older(self._monotonic_seconds() - SUMMED_UP_SECONDS)
        finally:
            self.release()

    def flush(self) -> None:
        """Write every sum now; outlets write each line at once."""
        self.acquire()
        try:
            self._tell_older(math.inf)
        finally:
            self.release()

    def close(self) -> None:
        """Write every sum, and close the outlets."""
        self.flush()
        for outlet in self.outlets:
            outlet.close()
        super().close()

    def _tell_older(self, moment_seconds: float) -> None:
        """Write the sums that began up to a moment; what was repeated is the same event for another minute."""
        now = self._monotonic_seconds()
        due = [each for each in self._told.items() if each[1].since_seconds <= moment_seconds]
        for identity, told in due:
            if told.last is None:
                del self._told[identity]
                continue
            told.last.repetition = Repetition(told.count, now - told.since_seconds)
            self._hand_on(told.last)
            self._told[identity] = _Told(now)

    def _hand_on(self, record: logging.LogRecord) -> None:
        for outlet in self.outlets:
            if record.levelno >= outlet.level:
                outlet.handle(record)


def repeats_of(record: logging.LogRecord) -> Repetition | None:
    """Return how often a line came that sums up others; `None` for one that stands for itself."""
    repetition = getattr(record, "repetition", None)
    return repetition if isinstance(repetition, Repetition) else None


def repeated_text(record: logging.LogRecord) -> str:
    """Return what a line that sums up others says behind its message."""
    repeats = repeats_of(record)
    if repeats is None:
        return ""
    return (
        f" ({counted(repeats.count, 'more time')} in the last {max(1, round(repeats.seconds))} s)"
    )


def _identity(record: logging.LogRecord) -> Identity:
    arguments = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    texts = tuple(str(each) for each in arguments if not _is_number(each))
    return (record.name, record.levelno, str(record.msg), repr(error), *texts)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
