"""What waits for one sink, in memory: bounded in bytes, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Condition

from shipper.core.clock import Clock
from shipper.core.record import Stream

RECORD_OVERHEAD_BYTES = 24
"""What a record costs beside its line: time, lengths and tags in the push."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stream that waits, and since when.

    Attributes:
        number: Counts what was put into the queue, from 1.
        stream: Never larger than one push may be.
        weight_bytes: What it counts against the bound.
        since_seconds: When it was put, on the monotonic clock.
        alone: True for a part of what was too large; it is not joined with others again.
    """

    number: int
    stream: Stream
    weight_bytes: int
    since_seconds: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits.

    Attributes:
        lines: Lines not yet settled, the ones being pushed included.
        weight_bytes: Their size.
        oldest_seconds: How long the oldest has waited; 0 when nothing waits.
    """

    lines: int
    weight_bytes: int
    oldest_seconds: float


class DeliveryQueue:
    """Streams on their way to one sink. One thread puts, another takes."""

    def __init__(self, *, max_bytes: int, batch_bytes: int, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self._batch_bytes = batch_bytes
        self._clock = clock
        self._changed = Condition()
        self._waiting: deque[Waiting] = deque()
        self._in_flight: Waiting | None = None
        self._lines = 0
        self._weight_bytes = 0
        self._last_number = 0
        self._closed = False
        self._given_up = False

    def put(self, stream: Stream) -> int:
        """Add a stream and return how many older lines had to be dropped to make room for it."""
        with self._changed:
            for part in _parts(stream, self._batch_bytes):
                self._last_number += 1
                weight_bytes = weigh(part)
                now = self._clock.monotonic_seconds()
                self._waiting.append(Waiting(self._last_number, part, weight_bytes, now))
                self._lines += len(part)
                self._weight_bytes += weight_bytes
            dropped = self._make_room()
            self._changed.notify_all()
        return dropped

    def take(self) -> Waiting | None:
        """Wait for the oldest, with younger ones of the same labels joined to it; `None` once closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return None
            self._in_flight = self._join_equals(self._waiting.popleft())
            return self._in_flight

    def settle(self) -> None:
        """Forget what was taken: it was delivered, rejected or given up."""
        with self._changed:
            if self._in_flight is not None:
                self._forget(self._in_flight)
                self._in_flight = None
            self._changed.notify_all()

    def split(self) -> None:
        """Put what was taken back as two halves: it was too large for the sink."""
        with self._changed:
            whole, self._in_flight = self._in_flight, None
            if whole is None:
                return
            middle = len(whole.stream) // 2
            for start, stop in ((middle, len(whole.stream)), (0, middle)):
                half = whole.stream.part(start, stop)
                self._weight_bytes += weigh(half)
                self._waiting.appendleft(
                    Waiting(whole.number, half, weigh(half), whole.since_seconds, alone=True)
                )
            self._weight_bytes -= whole.weight_bytes

    def give_up(self) -> None:
        """Let nobody wait for what will never be settled."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let `take` return `None` once everything was taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until everything put so far is settled; False when the time was too short, or nobody delivers."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines == 0 or self._given_up, timeout_seconds)
            return self._lines == 0

    @property
    def last_number(self) -> int:
        """The number of the youngest stream put so far."""
        return self._last_number

    @property
    def settled_number(self) -> int:
        """Everything up to this number is delivered, rejected or dropped."""
        with self._changed:
            if self._in_flight is not None:
                return self._in_flight.number - 1
            return self._waiting[0].number - 1 if self._waiting else self._last_number

    def depth(self) -> Depth:
        """Return how much waits right now."""
        with self._changed:
            oldest = self._in_flight or (self._waiting[0] if self._waiting else None)
            since = self._clock.monotonic_seconds() - oldest.since_seconds if oldest else 0.0
            return Depth(self._lines, self._weight_bytes, since)

    def _make_room(self) -> int:
        dropped = 0
        while self._weight_bytes > self._max_bytes and len(self._waiting) > 1:
            oldest = self._waiting.popleft()
            self._forget(oldest)
            dropped += len(oldest.stream)
        return dropped

    def _join_equals(self, first: Waiting) -> Waiting:
        joined = [first]
        weight_bytes = first.weight_bytes
        while self._waiting:
            younger = self._waiting[0]
            weight_bytes += younger.weight_bytes
            fits = weight_bytes <= self._batch_bytes
            if first.alone or younger.alone or not fits or not _alike(first.stream, younger.stream):
                break
            joined.append(self._waiting.popleft())
        if len(joined) == 1:
            return first
        weight_bytes = sum(each.weight_bytes for each in joined)
        stream = _join([each.stream for each in joined])
        return Waiting(first.number, stream, weight_bytes, first.since_seconds)

    def _forget(self, waiting: Waiting) -> None:
        self._lines -= len(waiting.stream)
        self._weight_bytes -= waiting.weight_bytes


def weigh(stream: Stream) -> int:
    """Return about how many bytes the records of a stream take in a push before compression."""
    weight_bytes = sum(map(len, stream.lines)) + RECORD_OVERHEAD_BYTES * len(stream)
    if stream.metadata is None:
        return weight_bytes
    pairs = (pair for each in stream.metadata for pair in each.items())
    return weight_bytes + sum(
        len(name) + len(value.encode("utf-8", "replace")) for name, value in pairs
    )


def _parts(stream: Stream, batch_bytes: int) -> Sequence[Stream]:
    """Return the stream in parts of at most `batch_bytes`; a single record may be larger."""
    if weigh(stream) <= batch_bytes or len(stream) <= 1:
        return [stream]
    middle = len(stream) // 2
    return [
        *_parts(stream.part(0, middle), batch_bytes),
        *_parts(stream.part(middle, len(stream)), batch_bytes),
    ]


def _alike(one: Stream, other: Stream) -> bool:
    return one.labels == other.labels and (one.metadata is None) == (other.metadata is None)


def _join(streams: Sequence[Stream]) -> Stream:
    first = streams[0]
    return Stream(
        first.labels,
        [time_ns for each in streams for time_ns in each.times_ns],
        [line for each in streams for line in each.lines],
        None
        if first.metadata is None
        else [metadata for each in streams for metadata in each.metadata or ()],
    )
