"""The loop of one worker: at every tick read the source, file the rows, hand the records to the sinks.

A source that is polled is not read again before everything it gave is delivered or on disk: what waits in memory is
never more than one poll. A source that waits for what comes, or has more to give, is read again at once; what it gave
is on disk after a fraction of a second where no sink took it. Either way the far end is told that something is safe
only when it is: what it can send again is never lost, whatever is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from logging import Logger
from threading import Event

from shipper.core.clock import Clock
from shipper.core.record import Batch, Cursor
from shipper.pipeline.custody import Custody
from shipper.pipeline.reader import Reader
from shipper.pipeline.schedule import Schedule, Tick
from shipper.telemetry import families
from shipper.telemetry.tally import Tally

REPORT_SECONDS = 5.0
"""How often a worker reports while it only waits for its next tick."""

KILLED_FIRST_SECONDS = 2.0
"""How much later than the supervisor the source itself gives up, so that a hung poll ends one way only."""

KEEP_AFTER_SECONDS = 0.2
"""A healthy Loki answers in about the time of one fsync, so to wait for it costs no safety and spares the disk."""

LONGEST_READ_SECONDS = 1.0
"""How long a source that waits may wait at once: the worker has to hear that it shall stop."""

MOST_AHEAD_BYTES = 8 * 1024 * 1024
"""How much a source that can wait may be ahead of a sink that takes what it gets; a dead one costs the disk."""


@dataclass(slots=True)
class Pump:
    """Reads one source on its schedule and hands everything on.

    Attributes:
        metric: The entry's name.
        reader: The source.
        schedule: When to poll.
        timeout_seconds: Deadline of one poll.
        custody: What was read and is not safe yet, with the sinks it goes to.
        observe: Told every batch, for metrics made from columns; `None` for a read that failed.
        tally: Where things are counted.
        report: Called when there is something new to show.
        log: Where trouble is told.
        clock: Time.
        stop: Ends the loop.
        waits_when_full: Whether the source is left alone while there is no room; else the oldest lines are dropped.
        checkpoint: Makes a cursor durable.
        keep_after_seconds: How long a push may take before what it carries is brought to disk as well.
    """

    metric: str
    reader: Reader
    schedule: Schedule
    timeout_seconds: float
    custody: Custody
    observe: Callable[[Batch | None], None]
    tally: Tally
    report: Callable[[], None]
    log: Logger
    clock: Clock
    stop: Event
    waits_when_full: bool = False
    checkpoint: Callable[[Cursor], object] = lambda _cursor: None
    keep_after_seconds: float = KEEP_AFTER_SECONDS
    _more: bool = False
    _reported_seconds: float = 0.0

    def run(self) -> None:
        """Poll at every tick until `stop` is set.

        Raises:
            SourceRefused: The source can never work here.
            SourceEnded: Nothing more will come, as it was ordered.
        """
        grid = tick = self.schedule.first(self.clock.monotonic_seconds())
        while self._wait_for(tick):
            self.turn(tick)
            tick = self._next(grid)
            if not tick.reads_on:
                grid = tick
            if tick.missed:
                self.tally.count(families.MISSED_POLLS, self.metric, by=tick.missed)

    def close(self) -> None:
        """Acknowledge what came into safety since the last poll, let go of the source, and count what did not."""
        self._acknowledge_what_is_safe()
        self.reader.source.close()
        # Not before: what is no row and could not be set aside is sent again by who was not told that it is safe.
        self.custody.inputs.refusals.give_up_waiting()

    def turn(self, tick: Tick) -> None:
        """Poll once, and bring what came into safety.

        Raises:
            SourceRefused: The source can never work here.
            SourceEnded: Nothing more will come, as it was ordered.
        """
        self._more = False
        self.reader.state.next_seconds = tick.due_seconds + (
            0.0 if self.reader.waits else self.schedule.every_seconds
        )
        if self._has_no_room():
            self._acknowledge_what_is_safe()
            self.report()
            return
        if not tick.reads_on:
            late_seconds = max(0.0, self.clock.monotonic_seconds() - tick.due_seconds)
            self.tally.observe(families.POLL_LATENESS, self.metric, value=late_seconds)
        batch = self.reader.poll(self.custody.cursor, self._read_seconds())
        if batch is None:
            self.observe(None)
            self.custody.keep()
            self.report()
        else:
            self._hand_on(batch)
        self._acknowledge_what_is_safe()

    def _next(self, grid: Tick) -> Tick:
        """Return when to read next: at once where there is more, or where the source itself waits, else on the grid."""
        now = self.clock.monotonic_seconds()
        if self._more:
            return Tick(now, reads_on=True)
        if not self.reader.waits:
            return self.schedule.after(grid, max(now, self.reader.retry_at_seconds))
        pause_seconds = self.keep_after_seconds if self.reader.state.result == "waiting" else 0.0
        return Tick(max(now + pause_seconds, self.reader.retry_at_seconds), reads_on=True)

    def _wait_for(self, tick: Tick) -> bool:
        """Wait until the tick is due; False when the loop is to end."""
        while not self.stop.is_set():
            for delivery in self.custody.deliveries:
                delivery.raise_fault()
            self.reader.pulse.beat()
            left = tick.due_seconds - self.clock.monotonic_seconds()
            if left <= 0:
                return True
            if self.stop.wait(min(left, REPORT_SECONDS)):
                break
            if left > REPORT_SECONDS:
                self.custody.keep()
                self._acknowledge_what_is_safe()
                self.report()
        return False

    def _read_seconds(self) -> float:
        """Return how long a read may take; one that only waits may not keep us from what is not safe yet."""
        if not self.reader.waits:
            return self.timeout_seconds + KILLED_FIRST_SECONDS
        if not self.custody.safe:
            return self.keep_after_seconds
        return min(LONGEST_READ_SECONDS, self.schedule.every_seconds)

    def _has_no_room(self) -> bool:
        """Tell whether the source has to wait, because what it would give could not be kept."""
        if not self.waits_when_full or not self.custody.lack:
            return False
        self.custody.keep()
        if not (lack := self.custody.lack):
            return False
        if self.reader.state.result != "waiting":
            self.log.warning(
                "%(lack)s; the source is not read until there is room.",
                {"event": "reading_stopped", "lack": lack.capitalize()},
            )
        self.reader.state.result, self.reader.state.error = "waiting", lack
        return True

    def _hand_on(self, batch: Batch) -> None:
        """Give the rows to whoever wants them, and wait until they are safe or the next read is more urgent."""
        self.observe(batch)
        put = self.custody.take(batch)
        self._more = batch.more
        if self.reader.waits or batch.more:
            self._stay_close()
            return
        until_next = self.reader.state.next_seconds - self.clock.monotonic_seconds()
        wait_seconds = min(self.keep_after_seconds, until_next)
        # A sink reports when it has settled what it was given.
        if not put or not self.custody.wait_until_delivered(wait_seconds):
            self.custody.keep()
            self.report()

    def _stay_close(self) -> None:
        """Let the sinks follow a source that is read again at once; what they do not take soon goes to the disk."""
        if self.waits_when_full:
            self.custody.wait_until_lighter(MOST_AHEAD_BYTES, self.keep_after_seconds)
        if self.custody.memory_seconds >= self.keep_after_seconds:
            self.custody.keep()
        now = self.clock.monotonic_seconds()
        if now - self._reported_seconds >= REPORT_SECONDS:
            self._reported_seconds = now
            self.report()

    def _acknowledge_what_is_safe(self) -> None:
        """Remember how far everything is delivered or on disk, and tell the source."""
        cursor = self.custody.safe_cursor()
        if cursor is not None:
            self.checkpoint(cursor)
            self.reader.acknowledge(cursor)
