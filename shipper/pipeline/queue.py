"""What waits for one sink, oldest first: on disk what waits longer, in memory what was read just now."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import Condition

from shipper.core.clock import Clock
from shipper.core.record import Stream
from shipper.pipeline.spool import Parcel, Shelf
from shipper.telemetry.log.poll import followed

RECORD_OVERHEAD_BYTES = 24
"""What a record costs beside its line: time, lengths and tags in the push."""

PARCELS_A_COMMIT = 500
"""How many are brought to disk at once; a disk that is full is noticed without packing everything."""

MOST_POLLS_REMEMBERED = 10_000
"""Of so many parcels on disk it is remembered which poll brought them."""

DISK_PAUSE_SECONDS = 1.0
"""How long to wait before a disk that cannot be read is tried again."""

NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Flight:
    """What was taken to be delivered: parcels of one stream, joined.

    Attributes:
        parcels: What it is made of, oldest first; all on disk, or all in memory.
        stream: Their records.
    """

    parcels: Sequence[Parcel]
    stream: Stream

    def put_at(self, start: int, count: int) -> Sequence[tuple[int, int]]:
        """Return when the records from `start` on were put: pairs of how many and when, `count` of them in all."""
        if len(self.parcels) == 1:
            return ((count, self.parcels[0].put_ns),)
        runs, first = [], 0
        for parcel in self.parcels:
            end = first + len(parcel.stream)
            inside = min(end, start + count) - max(first, start)
            if inside > 0:
                runs.append((inside, parcel.put_ns))
            first = end
        return runs


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits.

    Attributes:
        lines: Lines not yet settled, the ones being pushed included.
        weight_bytes: Their size: as it is on disk for what is there, before compression for what is not.
        oldest_seconds: How long the oldest has waited; 0 when nothing waits.
        memory_lines: How many of the lines are in memory alone.
    """

    lines: int
    weight_bytes: int
    oldest_seconds: float
    memory_lines: int


class DeliveryQueue:
    """Streams on their way to one sink. One thread puts and keeps, another takes and settles.

    What is put is in memory alone until it is settled or `keep` brings it to disk. What is in memory is always younger
    than what is on disk, so that the oldest are taken first.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        batch_bytes: int,
        clock: Clock,
        shelf: Shelf | None = None,
        drops_oldest: bool = True,
    ) -> None:
        """Begin with what a former run left on the shelf.

        Args:
            max_bytes: The most that may be in memory.
            batch_bytes: The most that one push may weigh.
            clock: Time.
            shelf: Where on disk things are kept; `None`: in memory alone.
            drops_oldest: Whether the oldest make room when there is none; else nothing is put while it is `full`.
        """
        self._max_bytes = max_bytes
        self._batch_bytes = batch_bytes
        self._clock = clock
        self._shelf = shelf
        self._drops_oldest = drops_oldest
        self._changed = Condition()
        self._memory: deque[Parcel] = deque()
        self._flight: Flight | None = None
        self._polls: dict[int, str] = {}
        self._turns = 0
        self._closed = False
        self._given_up = False

    def put(self, stream: Stream) -> None:
        """Add a stream, in memory."""
        self.put_together((stream,))

    def put_together(self, streams: Sequence[Stream]) -> None:
        """Add streams that were read at once, in memory."""
        put_ns, poll = self._clock.now_ns(), followed()
        with self._changed:
            for stream in streams:
                self._turns += 1
                for part in _parts(stream, self._batch_bytes):
                    self._memory.append(
                        Parcel(part, weigh(part), put_ns, turn=self._turns, poll=poll)
                    )
            self._changed.notify_all()

    @property
    def turns(self) -> int:
        """How many streams were put so far."""
        return self._turns

    def safe_turns(self) -> int:
        """Return how many of the streams that were put first are settled or on disk, without a gap."""
        with self._changed:
            oldest = self._oldest_in_memory()
            return self._turns if oldest is None else oldest.turn - 1

    def memory_seconds(self) -> float:
        """Return how long the oldest of what is in memory alone has waited; 0 when nothing is."""
        with self._changed:
            oldest = self._oldest_in_memory()
            waited_ns = 0 if oldest is None else self._clock.now_ns() - oldest.put_ns
            return max(0, waited_ns) / NS_PER_SECOND

    def keep(self) -> int:
        """Bring to disk what is in memory alone, and return how many lines had to be dropped to stay within bounds.

        Where the disk does not take it, it stays in memory, up to `max_bytes`.
        """
        with self._changed:
            on_disk = self._shelf is not None and self._keep_on(self._shelf)
            if not self._drops_oldest:
                return 0
            if self._shelf is None or not on_disk:
                return self._make_room_in_memory()
            spared = self._flight.parcels if self._flight is not None else ()
            return self._shelf.make_room(spared=spared)

    def wait_until_safe(self, timeout_seconds: float) -> bool:
        """Wait until nothing is in memory alone; False when the time was too short, or nobody delivers."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_safe() or self._given_up, timeout_seconds)
            return self._is_safe()

    def wait_until_lighter(self, max_bytes: int, timeout_seconds: float) -> bool:
        """Wait until less than `max_bytes` is in memory alone; False when there was too little time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._memory_bytes() < max_bytes or self._given_up, timeout_seconds
            )
            return self._memory_bytes() < max_bytes

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until everything is settled; False when the time was too short, or nobody delivers."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines() == 0 or self._given_up, timeout_seconds)
            return self._lines() == 0

    def take(self) -> Flight | None:
        """Wait for the oldest, with others of the same stream joined to it; `None` once closed and empty."""
        with self._changed:
            while (flight := self._next()) is None:
                if self._closed and not self._lines():
                    return None
                on_disk = self._shelf is not None and self._shelf.lines > 0
                self._changed.wait(DISK_PAUSE_SECONDS if on_disk else None)
            self._flight = flight
            return flight

    def settle(self, left: Stream | None = None) -> None:
        """Forget what was taken, because it was delivered or rejected; what is `left` of it stays in its place."""
        with self._changed:
            flight, self._flight = self._flight, None
            if flight is not None:
                self._settle(flight, left)
            self._changed.notify_all()

    def pass_over(self) -> None:
        """Let another stream go before the one that was taken, once it is settled and stays."""
        with self._changed:
            if self._flight is not None and self._shelf is not None:
                self._shelf.pass_over(self._flight.stream.labels)

    def give_up(self) -> None:
        """Let nobody wait for what will never be settled."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Forget what is in memory alone: the end came, and nobody took it."""
        with self._changed:
            self._memory.clear()
            if self._flight is not None and not self._flight.parcels[0].number:
                self._flight = None

    def close(self) -> None:
        """Let `take` return `None` once everything was taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def behind(self) -> bool:
        """Whether older lines wait on disk, so that what is put now has to wait for them."""
        return self._shelf is not None and self._shelf.lines > 0

    @property
    def full(self) -> bool:
        """Whether there is no room for what is put next, neither on disk nor, while that cannot be used, in memory."""
        with self._changed:
            on_disk = self._shelf is not None and self._shelf.full
            return on_disk or sum(each.weight_bytes for each in self._memory) >= self._max_bytes

    @property
    def spool_limit_bytes(self) -> int | None:
        """How much may wait on disk; `None` when nothing may."""
        return None if self._shelf is None else self._shelf.max_bytes

    def depth(self) -> Depth:
        """Return how much waits right now."""
        with self._changed:
            in_memory = self._only_in_memory()
            weight_bytes = sum(parcel.weight_bytes for parcel in in_memory)
            oldest_ns = in_memory[0].put_ns if in_memory else None
            if self._shelf is not None and self._shelf.lines:
                weight_bytes += self._shelf.weight_bytes
                oldest_ns = self._shelf.oldest_put_ns() or oldest_ns
            waited_ns = 0 if oldest_ns is None else max(0, self._clock.now_ns() - oldest_ns)
            memory_lines = sum(len(parcel.stream) for parcel in in_memory)
            return Depth(self._lines(), weight_bytes, waited_ns / NS_PER_SECOND, memory_lines)

    def _next(self) -> Flight | None:
        if self._shelf is not None and self._shelf.lines:
            parcels = self._shelf.oldest(max_weight_bytes=self._batch_bytes)
            if parcels:
                parcels = [replace(each, poll=self._polls.get(each.number, "")) for each in parcels]
                return Flight(parcels, join([parcel.stream for parcel in parcels]))
        if not self._memory:
            return None
        parcels = self._take_equals()
        return Flight(parcels, join([parcel.stream for parcel in parcels]))

    def _take_equals(self) -> Sequence[Parcel]:
        """Take the oldest in memory and those behind it of the same stream, as many as fit into one push."""
        taken = [self._memory.popleft()]
        weight_bytes = taken[0].weight_bytes
        while self._memory:
            younger = self._memory[0]
            weight_bytes += younger.weight_bytes
            if weight_bytes > self._batch_bytes or younger.stream.labels != taken[0].stream.labels:
                break
            taken.append(self._memory.popleft())
        return taken

    def _settle(self, flight: Flight, left: Stream | None) -> None:
        first = flight.parcels[0]
        if left is flight.stream:
            # Nothing of it was settled, so what is on disk is as it should be.
            if not first.number:
                self._memory.extendleft(reversed(flight.parcels))
            return
        remains = (
            None
            if left is None
            else replace(first, stream=left, weight_bytes=weigh(left), number=0)
        )
        if first.number and self._shelf is not None:
            self._shelf.forget(flight.parcels, left=remains)
            if remains is None:
                for parcel in flight.parcels:
                    self._polls.pop(parcel.number, None)
        elif remains is not None:
            self._memory.appendleft(remains)

    def _keep_on(self, shelf: Shelf) -> bool:
        flight = self._flight
        if flight is not None and not flight.parcels[0].number:
            kept = shelf.keep(flight.parcels)
            if kept is None:
                return False
            self._flight = Flight(kept, flight.stream)
            self._remember_polls(kept)
        while self._memory:
            some = list(islice(self._memory, PARCELS_A_COMMIT))
            kept = shelf.keep(some)
            if kept is None:
                return False
            self._remember_polls(kept)
            for _ in some:
                self._memory.popleft()
        self._changed.notify_all()
        return True

    def _remember_polls(self, kept: Sequence[Parcel]) -> None:
        """Remember which poll brought what lies on disk now; of very much, only of the youngest."""
        self._polls.update((parcel.number, parcel.poll) for parcel in kept if parcel.poll)
        for number in [*islice(self._polls, max(0, len(self._polls) - MOST_POLLS_REMEMBERED))]:
            del self._polls[number]

    def _only_in_memory(self) -> list[Parcel]:
        flight = self._flight
        flying = flight.parcels if flight is not None and not flight.parcels[0].number else ()
        return [*flying, *self._memory]

    def _oldest_in_memory(self) -> Parcel | None:
        flight = self._flight
        if flight is not None and not flight.parcels[0].number:
            return flight.parcels[0]
        return self._memory[0] if self._memory else None

    def _memory_bytes(self) -> int:
        return sum(parcel.weight_bytes for parcel in self._only_in_memory())

    def _is_safe(self) -> bool:
        return self._oldest_in_memory() is None

    def _lines(self) -> int:
        on_disk = self._shelf.lines if self._shelf is not None else 0
        return on_disk + sum(len(parcel.stream) for parcel in self._only_in_memory())

    def _make_room_in_memory(self) -> int:
        dropped = 0
        weight_bytes = sum(parcel.weight_bytes for parcel in self._memory)
        while weight_bytes > self._max_bytes and len(self._memory) > 1:
            oldest = self._memory.popleft()
            weight_bytes -= oldest.weight_bytes
            dropped += len(oldest.stream)
        return dropped


def weigh(stream: Stream) -> int:
    """Return about how many bytes the records of a stream take in a push before compression."""
    weight_bytes = sum(map(len, stream.lines)) + RECORD_OVERHEAD_BYTES * len(stream)
    if stream.metadata is None:
        return weight_bytes
    pairs = (pair for each in stream.metadata for pair in each.items())
    return weight_bytes + sum(
        len(name) + len(value.encode("utf-8", "replace")) for name, value in pairs
    )


def join(streams: Sequence[Stream]) -> Stream:
    """Return the records of streams with the same labels as one stream."""
    first = streams[0]
    if len(streams) == 1:
        return first
    return Stream(
        first.labels,
        [time_ns for each in streams for time_ns in each.times_ns],
        [line for each in streams for line in each.lines],
        _joined_metadata(streams),
    )


def _joined_metadata(streams: Sequence[Stream]) -> list[dict[str, str]] | None:
    if all(each.metadata is None for each in streams):
        return None
    return [
        dict(pairs)
        for each in streams
        for pairs in (each.metadata if each.metadata is not None else [{}] * len(each))
    ]


def _parts(stream: Stream, batch_bytes: int) -> Sequence[Stream]:
    """Return the stream in parts of at most `batch_bytes`; a single record may be larger."""
    if weigh(stream) <= batch_bytes or len(stream) <= 1:
        return [stream]
    middle = len(stream) // 2
    return [
        *_parts(stream.part(0, middle), batch_bytes),
        *_parts(stream.part(middle, len(stream)), batch_bytes),
    ]
