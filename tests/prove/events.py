"""The books of a source that can send again: numbered events, which of them were shown to whom, and which are safe.

A worker may poll again only when everything it polled before is delivered or lies safely on disk. So a poll confirms
what the poll before it brought *to the same session*. Until then an event is shown again, the same to the letter, to
whoever asks: to the worker that takes the place of a killed one, and to the startup checks, which ask once in a
session and so confirm nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from shipper.demo.sqream import Caller, Column, Row, WireType

COLUMNS = (
    Column("number", WireType.BIGINT),
    Column("at", WireType.BIGINT),
    Column("area", WireType.TEXT),
    Column("word", WireType.TEXT),
    Column("trace", WireType.TEXT),
)
TIME_FIELD = "at"
AREAS = ("north", "east", "south", "west")
WORDS = ("calm", "Ω über", 'says "no"', "two\nlines", "back\\slash", "level=error", "<b>", "\t", "")

# Every tenth event happens at the same nanosecond as the one before it: then only their order tells them apart.
TWINS_EVERY = 10


@dataclass(frozen=True, slots=True)
class Event:
    """One event, and the record that has to come of it.

    Attributes:
        metric: Who polls it.
        number: Counts the events of a metric, from 0.
        time_ns: When it happened, nanoseconds since the Unix epoch.
        row: What a poll brings.
        line: The line that has to arrive.
        labels: The labels that are lifted from it.
        metadata: The structured metadata that is lifted from it.
    """

    metric: str
    number: int
    time_ns: int
    row: Row
    line: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """What happens, without chance: the same number is always the same event.

    Attributes:
        metric: Who polls it; also the name of the function.
        seed: Decides about the words.
        begin_ns: When the first event happens.
        period_ns: How long from one event to the next.
        label_fields: Columns that become labels.
        metadata_fields: Columns that become structured metadata.
    """

    metric: str
    seed: int
    begin_ns: int
    period_ns: int
    label_fields: Sequence[str] = ()
    metadata_fields: Sequence[str] = ()

    def count(self, now_ns: int) -> int:
        """Return how many events have happened by now."""
        return max(0, (now_ns - self.begin_ns) // self.period_ns + 1)

    def event(self, number: int) -> Event:
        """Return the event of this number."""
        random = Random(f"{self.seed} {self.metric} {number}")
        is_twin = number % TWINS_EVERY == TWINS_EVERY - 1
        time_ns = self.begin_ns + (number - is_twin) * self.period_ns
        trace = f"{random.getrandbits(64):016x}"
        row = (number, time_ns, random.choice(AREAS), random.choice(WORDS), trace)
        fields = dict(zip((column.name for column in COLUMNS), row, strict=True))
        return Event(
            metric=self.metric,
            number=number,
            time_ns=time_ns,
            row=row,
            line=json.dumps(fields, ensure_ascii=False, separators=(",", ":")),
            labels={name: str(fields[name]) for name in self.label_fields},
            metadata={name: str(fields[name]) for name in self.metadata_fields},
        )


class Book:
    """The events of one metric, served to sessions; safe to use from any thread."""

    def __init__(self, happenings: Happenings, clock_ns: Callable[[], int]) -> None:
        self._happenings = happenings
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._confirmed = 0
        self._shown: dict[int, int] = {}
        self._closed = False

    def rows(self, caller: Caller) -> list[Row]:
        """Return what is not confirmed yet, and confirm what this session was shown before."""
        with self._lock:
            self._confirmed = max(self._confirmed, self._shown.get(caller.connection_id, 0))
            self._write_down()
            self._shown[caller.connection_id] = len(self._events)
            return [event.row for event in self._events[self._confirmed :]]

    def close(self) -> None:
        """Let nothing happen any more."""
        with self._lock:
            self._write_down()
            self._closed = True

    def confirmed(self) -> list[Event]:
        """Return the events that a worker has to answer for."""
        with self._lock:
            return self._events[: self._confirmed]

    def left(self) -> list[Event]:
        """Return the events that the source still has, shown or not."""
        with self._lock:
            return self._events[self._confirmed :]

    def _write_down(self) -> None:
        if self._closed:
            return
        count = self._happenings.count(self._clock_ns())
        self._events += [
            self._happenings.event(number) for number in range(len(self._events), count)
        ]
