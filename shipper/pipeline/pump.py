"""The loop of one worker: at every tick read the source, file the rows, hand the records to the sinks.

A source is not read again before everything it gave is delivered or on disk: what its far end can send again is never
lost, whatever is killed, and what waits in memory is never more than one read.
"""

from __future__ import annotations

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

KEEP_AFTER_SECONDS = 0.2
"""A healthy Loki answers in about the time of one fsync, so to wait for it costs no safety and spares the disk."""

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
        result: `ok`, `error`, `timeout` or `waiting`; empty before the first poll.
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
        waits_when_full: Whether the source is left alone while there is no room; else the oldest lines are dropped.
        cursor: Where to go on reading; the place that was read last.
        checkpoint: Makes a cursor durable.
        keep_after_seconds: How long a push may take before what it carries is brought to disk as well.
        backoff: Waits between attempts to connect.
        state: What the last poll came to.
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
    waits_when_full: bool = False
    cursor: Cursor | None = None
    checkpoint: Callable[[Cursor], object] = lambda _cursor: None
    keep_after_seconds: float = KEEP_AFTER_SECONDS
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.5, max_seconds=10.0))
    state: PollState = field(default_factory=PollState)
    _open: bool = False
    _failures: int = 0
    _retry_at_seconds: float = 0.0
    _unacknowledged: Cursor | None = None

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

    def close(self) -> None:
        """Acknowledge what the deliveries brought into safety since the last poll, and let go of the source."""
        self._acknowledge_what_is_safe()
        self.source.close()

    def turn(self, tick: Tick) -> None:
        """Poll once, and bring what came into safety.

        Raises:
            SourceRefused: The source can never work here.
        """
        began = self.clock.monotonic_seconds()
        self.state.next_seconds = tick.due_seconds + self.schedule.every_seconds
        if self._has_no_room():
            self.report()
            return
        self.tally.observe(
            families.POLL_LATENESS, self.metric, value=max(0.0, began - tick.due_seconds)
        )
        batch = self._poll()
        taken = self.clock.monotonic_seconds() - began
        self.tally.observe(families.POLL_SECONDS, self.metric, value=taken)
        delivered = batch is not None and self._hand_on(batch) and self._wait_for_delivery()
        # A sink reports when it has settled what it was given.
        if not delivered:
            self._keep()
            self.report()
        self._acknowledge_what_is_safe()

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
                self._keep()
                self._acknowledge_what_is_safe()
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
        self.source.open(self.cursor)
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

    def _has_no_room(self) -> bool:
        """Tell whether the source has to wait, because what it would give could not be kept."""
        if not self.waits_when_full or not any(each.queue.full for each in self.deliveries):
            return False
        self._keep()
        if not any(each.queue.full for each in self.deliveries):
            return False
        if self.state.result != "waiting":
            self.log.warning("The spool is full; the source is not read until there is room.")
        self.state.result, self.state.error = "waiting", "the spool is full"
        return True

    def _hand_on(self, batch: Batch) -> bool:
        """Give the rows to whoever wants them; True when there was something to deliver."""
        self.observe_rows(batch.rows)
        streams = self.filing.streams(batch) if self.deliveries else []
        for stream in streams:
            for delivery in self.deliveries:
                delivery.queue.put(stream)
        if batch.cursor is not None and batch.cursor != self.cursor:
            self.cursor = self._unacknowledged = batch.cursor
        return bool(streams)

    def _wait_for_delivery(self) -> bool:
        """Give the sinks the time of a healthy push; True when they took everything."""
        until_next = self.state.next_seconds - self.clock.monotonic_seconds()
        until = self.clock.monotonic_seconds() + min(self.keep_after_seconds, until_next)
        return all(
            not delivery.queue.behind
            and delivery.queue.wait_until_safe(max(0.0, until - self.clock.monotonic_seconds()))
            for delivery in self.deliveries
        )

    def _keep(self) -> None:
        """Bring to disk what is in memory alone."""
        for delivery in self.deliveries:
            dropped = delivery.queue.keep()
            if dropped:
                self.tally.count(families.LINES_DROPPED, self.metric, "spool_full", by=dropped)

    def _acknowledge_what_is_safe(self) -> None:
        """Tell the source how far everything is delivered or on disk, and remember it."""
        cursor = self._unacknowledged
        if cursor is None or not all(each.queue.wait_until_safe(0) for each in self.deliveries):
            return
        self.checkpoint(cursor)
        self._unacknowledged = None
        # What a lost connection was told nothing about comes again over the next one.
        if self._open:
            self._acknowledge(cursor)

    def _acknowledge(self, cursor: Cursor) -> None:
        try:
            self.source.acknowledge(cursor)
        except SourceUnavailable as error:
            self._lost_connection()
            self._failed("error", error)

    def _raise_faults(self) -> None:
        for delivery in self.deliveries:
            delivery.raise_fault()
