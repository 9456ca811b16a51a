"""What was read and is not safe yet: on its way to the sinks, or to the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from shipper.core.clock import Clock
from shipper.core.record import Batch, Cursor
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.inputs import Inputs
from shipper.pipeline.outlet import Outlet
from shipper.telemetry import families
from shipper.telemetry.tally import Tally


@dataclass(frozen=True, slots=True)
class _Unacknowledged:
    """A cursor, and how many streams of each sink must be safe before it may be acknowledged."""

    cursor: Cursor
    turns: Sequence[int]


@dataclass(slots=True)
class Custody:
    """Everything between the source and the sinks of one worker, in memory or on disk.

    Attributes:
        metric: The entry's name.
        outlets: The ways to the sinks; none for a metric that is polled and goes nowhere.
        inputs: Takes what came in and is no row.
        tally: Where drops are counted.
        clock: Time.
        cursor: Where to go on reading; the place that was read last.
    """

    metric: str
    outlets: Sequence[Outlet]
    inputs: Inputs
    tally: Tally
    clock: Clock
    cursor: Cursor | None = None
    _unacknowledged: deque[_Unacknowledged] = field(default_factory=deque)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The delivery of every outlet."""
        return [delivery for outlet in self.outlets for delivery in outlet.deliveries]

    @property
    def lack(self) -> str:
        """Why there is no room for what comes next; empty while there is."""
        if not self.inputs.safe:
            return "dead letters cannot be written"
        return "the spool is full" if any(each.queue.full for each in self.deliveries) else ""

    @property
    def safe(self) -> bool:
        """Whether nothing is in memory alone."""
        return all(each.queue.wait_until_safe(0) for each in self.deliveries)

    @property
    def memory_seconds(self) -> float:
        """How long the oldest of what is in memory alone has waited."""
        return max((each.queue.memory_seconds() for each in self.deliveries), default=0.0)

    def take(self, batch: Batch) -> bool:
        """Take over a batch, in memory; False when there is nothing to deliver."""
        self.inputs.take(batch)
        put = [outlet.put(batch) for outlet in self.outlets]
        if batch.cursor is not None and batch.cursor != self.cursor:
            self.cursor = batch.cursor
            turns = [each.queue.turns for each in self.deliveries]
            self._unacknowledged.append(_Unacknowledged(batch.cursor, turns))
        return any(put)

    def wait_until_delivered(self, seconds: float) -> bool:
        """Give the sinks the time of a healthy push; False when not everything was taken."""
        until = self.clock.monotonic_seconds() + seconds
        return all(
            not each.queue.behind
            and each.queue.wait_until_safe(max(0.0, until - self.clock.monotonic_seconds()))
            for each in self.deliveries
        )

    def wait_until_lighter(self, max_bytes: int, seconds: float) -> None:
        """Give sinks that are behind the time to catch up."""
        until = self.clock.monotonic_seconds() + seconds
        for each in self.deliveries:
            each.queue.wait_until_lighter(
                max_bytes, max(0.0, until - self.clock.monotonic_seconds())
            )

    def keep(self) -> None:
        """Bring to disk what is in memory alone."""
        for each in self.deliveries:
            dropped = each.queue.keep()
            if dropped:
                self.tally.count(families.LINES_DROPPED, self.metric, "spool_full", by=dropped)

    def safe_cursor(self) -> Cursor | None:
        """Return, once, the last cursor before which everything is delivered, on disk or set aside; `None` for none."""
        if not self._unacknowledged or not self.inputs.safe:
            return None
        safe_turns = [each.queue.safe_turns() for each in self.deliveries]
        cursor = None
        while self._unacknowledged and all(
            wanted <= safe
            for wanted, safe in zip(self._unacknowledged[0].turns, safe_turns, strict=True)
        ):
            cursor = self._unacknowledged.popleft().cursor
        return cursor
