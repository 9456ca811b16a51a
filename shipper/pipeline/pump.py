"""The loop of one worker: at every tick read the source, file the rows, hand the records to the sinks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from logging import Logger
from random import Random
from threading import Event
from typing import Protocol

from shipper.core.clock import Clock
from shipper.core.errors import ReadRefused, SourceError, SourceTimeout, SourceUnavailable
from shipper.core.ports import Source
from shipper.core.record import Batch, Cursor, Row
from shipper.pipeline.backoff import Backoff
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing
from shipper.pipeline.schedule import Schedule, Tick
from shipper.telemetry import families
from shipper.telemetry.tally import Tally

REPORT_SECONDS = 5.0
"""How often a worker reports while it only waits for its next tick."""

KILLED_FIRST_SECONDS = 2.0
"""How much later than the supervisor the source itself gives up, so that a hung poll ends one way only."""

NS_PER_SECOND = 1_000_000_000


class Pulse(Protocol):
    """Where a worker shows that it lives, and since when it is polling."""

    def beat(self) -> None:
        """Say that the loop turns."""

    def poll_began(self) -> None:
        """Say that a poll begins now."""

    def poll_ended(self) -> None:
        """Say that the poll is over."""


@dataclass(slots=True)
class PollState:
    """What the last poll came to, for whoever watches.

    Attributes:
        result: `ok`, `error` or `timeout`; empty before the first poll.
        ended_ns: When it ended, nanoseconds since the Unix epoch.
        rows: How many rows it brought.
        error: What went wrong; empty when nothing did.
        next_seconds: When the next poll is due, on the monotonic clock.
    """

    result: str = ""
    ended_ns: int = 0
    rows: int = 0
    error: str = ""
    next_seconds: float = 0.0


@dataclass(slots=True)
class Pump:
    """Reads one source on its schedule and hands everything on.

    Attributes:
        metric: The entry's name.
        source: Where the rows come from.
        schedule: When to poll.
        timeout_seconds: Deadline of one poll.
        filing: Makes records of rows.
        deliveries: One per sink; none for a metric that is polled and not shipped.
        observe_rows: Told the rows of every successful poll, for metrics made from columns.
        tally: Where things are counted.
        pulse: Where the worker shows that it lives.
        report: Called when there is something new to show.
        log: Where trouble is told.
        clock: Time.
        random: Source of the jitter.
        stop: Ends the loop.
    """

    metric: str
    source: Source
    schedule: Schedule
    timeout_seconds: float
    filing: Filing
    deliveries: Sequence[Delivery]
    observe_rows: Callable[[Sequence[Row]], None]
    tally: Tally
    pulse: Pulse
    report: Callable[[], None]
    log: Logger
    clock: Clock
    random: Random
    stop: Event
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.5, max_seconds=10.0))
    state: PollState = field(default_factory=PollState)
    _open: bool = False
    _failures: int = 0
    _retry_at_seconds: float = 0.0
    _unacknowledged: deque[tuple[list[int], Cursor]] = field(default_factory=deque)

    def run(self) -> None:
        """Poll at every tick until `stop` is set.

        Raises:
            SourceRefused: The source can never work here.
        """
        tick = self.schedule.first(self.clock.monotonic_seconds())
        while self._wait_for(tick):
            self.turn(tick)
            now = self.clock.monotonic_seconds()
            tick = self.schedule.after(tick, max(now, self._retry_at_seconds))
            if tick.missed:
                self.tally.count(families.MISSED_POLLS, self.metric, by=tick.missed)
        self.source.close()

    def turn(self, tick: Tick) -> None:
        """Poll once.

        Raises:
            SourceRefused: The source can never work here.
        """
        began = self.clock.monotonic_seconds()
        self.tally.observe(
            families.POLL_LATENESS, self.metric, value=max(0.0, began - tick.due_seconds)
        )
        batch = self._poll()
        taken = self.clock.monotonic_seconds() - began
        self.tally.observe(families.POLL_SECONDS, self.metric, value=taken)
        self.state.next_seconds = tick.due_seconds + self.schedule.every_seconds
        # A sink reports when it has settled what it was given; one that is behind may take long.
        behind = any(delivery.queue.depth().lines for delivery in self.deliveries)
        if batch is None or not self._hand_on(batch) or behind:
            self.report()
        self._acknowledge_settled()

    def _wait_for(self, tick: Tick) -> bool:
        """Wait until the tick is due; False when the loop is to end."""
        while not self.stop.is_set():
            self._raise_faults()
            self.pulse.beat()
            left = tick.due_seconds - self.clock.monotonic_seconds()
            if left <= 0:
                return True
            if self.stop.wait(min(left, REPORT_SECONDS)):
                break
            if left > REPORT_SECONDS:
                self._acknowledge_settled()
                self.report()
        return False

    def _poll(self) -> Batch | None:
        """Read the source once; `None` when it failed, which is counted and told."""
        self.pulse.poll_began()
        try:
            if not self._open:
                self._connect()
            batch = self.source.read(self.timeout_seconds + KILLED_FIRST_SECONDS)
        except ReadRefused as error:
            self._failed("error", error)
            return None
        except SourceUnavailable as error:
            self._lost_connection()
            self._failed("timeout" if isinstance(error, SourceTimeout) else "error", error)
            return None
        finally:
            self.pulse.poll_ended()
        self._succeeded(batch)
        return batch

    def _connect(self) -> None:
        if self.state.result:
            self.tally.count(families.RECONNECTS, self.metric)
        self.source.open()
        self._open = True

    def _lost_connection(self) -> None:
        self.source.close()
        self._open = False
        wait_seconds = self.backoff.wait_seconds(self._failures + 1, self.random)
        self._retry_at_seconds = self.clock.monotonic_seconds() + wait_seconds

    def _failed(self, result: str, error: SourceError) -> None:
        self.tally.count(families.POLLS, self.metric, result)
        self._failures += 1
        text = str(error)
        if text != self.state.error:
            self.log.warning("The poll failed: %s.", text.rstrip("."))
        self.state.result, self.state.error, self.state.rows = result, text, 0
        self.state.ended_ns = self.clock.now_ns()

    def _succeeded(self, batch: Batch) -> None:
        self.tally.count(families.POLLS, self.metric, "ok")
        if self._failures:
            self.log.info("Polls succeed again after %d failures.", self._failures)
        self._failures = 0
        self._retry_at_seconds = 0.0
        self.state.result, self.state.error, self.state.rows = "ok", "", len(batch.rows)
        self.state.ended_ns = self.clock.now_ns()
        self.tally.show(
            families.LAST_SUCCESS, self.metric, value=self.state.ended_ns / NS_PER_SECOND
        )
        if batch.rows:
            self.tally.count(families.ROWS, self.metric, by=len(batch.rows))
        else:
            self.log.debug("The poll brought no rows; nothing is sent.")

    def _hand_on(self, batch: Batch) -> bool:
        """Give the rows to whoever wants them; True when a sink will report later."""
        self.observe_rows(batch.rows)
        streams = self.filing.streams(batch) if self.deliveries else []
        for stream in streams:
            for delivery in self.deliveries:
                dropped = delivery.queue.put(stream)
                if dropped:
                    self.tally.count(families.LINES_DROPPED, self.metric, "spool_full", by=dropped)
        if batch.cursor is not None:
            numbers = [delivery.queue.last_number for delivery in self.deliveries]
            self._unacknowledged.append((numbers, batch.cursor))
        return bool(streams)

    def _acknowledge_settled(self) -> None:
        """Tell the source what is safe: a cursor whose records left every queue."""
        settled = [delivery.queue.settled_number for delivery in self.deliveries]
        safe = None
        while self._unacknowledged:
            numbers, cursor = self._unacknowledged[0]
            if any(done < number for done, number in zip(settled, numbers, strict=True)):
                break
            safe = cursor
            self._unacknowledged.popleft()
        if safe is not None and self._open:
            self._acknowledge(safe)

    def _acknowledge(self, cursor: Cursor) -> None:
        try:
            self.source.acknowledge(cursor)
        except SourceUnavailable as error:
            self._lost_connection()
            self._failed("error", error)

    def _raise_faults(self) -> None:
        for delivery in self.deliveries:
            delivery.raise_fault()
