"""Where a worker writes its reports, and sends them from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shipper.core.clock import Clock, SystemClock
from shipper.live.feed import FeedSender
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing
from shipper.pipeline.queue import Depth
from shipper.pipeline.reader import NS_PER_SECOND, PollState
from shipper.pipeline.showing import Show
from shipper.telemetry import families
from shipper.telemetry.log import tell_due
from shipper.telemetry.tally import Tally


@dataclass(slots=True)
class Desk:
    """Where a worker's reports are written and sent from; safe to use from several threads.

    Attributes:
        metric: Whose desk it is.
        feed: Takes the reports.
        tally: Where things are counted.
        clock: Time.
        show: Shows lines that were shipped to whoever looks on; `None` where nobody can.
    """

    metric: str
    feed: FeedSender
    tally: Tally = field(default_factory=Tally)
    clock: Clock = field(default_factory=SystemClock)
    show: Show | None = None
    _poll: PollState = field(default_factory=PollState)
    _deliveries: Sequence[Delivery] = ()
    _filing: Filing | None = None
    _waits: bool = False

    def watch(
        self,
        poll: PollState,
        deliveries: Sequence[Delivery],
        *,
        filing: Filing | None = None,
        waits: bool = False,
    ) -> None:
        """Report on these from now on.

        Args:
            poll: What the last poll came to.
            deliveries: The sinks with their queues.
            filing: What files lines under labels, if anything does.
            waits: Whether the source waits for what comes, so that it tells nothing how long a read took.
        """
        self._poll, self._deliveries, self._filing, self._waits = poll, deliveries, filing, waits

    def report(self) -> None:
        """Send what there is to show, with everything counted so far, and tell what repeats itself."""
        tell_due()
        waiting = self._show_queues()
        poll = self._poll
        until_next = poll.next_seconds - self.clock.monotonic_seconds()
        troubles = (delivery.trouble for delivery in self._deliveries)
        self.feed.send(
            {
                "origin": self.metric,
                "pid": os.getpid(),
                "state": {
                    "result": poll.result,
                    "error": poll.error,
                    "sink_error": next(filter(None, troubles), ""),
                    "rows_in_last_poll": poll.rows,
                    "last_poll_at": poll.ended_ns / NS_PER_SECOND,
                    "next_poll_at": self.clock.now_ns() / NS_PER_SECOND + until_next,
                    "polls": poll.polls,
                    "last_poll_seconds": self._took_seconds(),
                    "lag_seconds": poll.lag_seconds,
                    "lines_waiting": sum(depth.lines for depth in waiting),
                    "bytes_waiting": sum(depth.weight_bytes for depth in waiting),
                    "oldest_unsent_seconds": max(
                        (depth.oldest_seconds for depth in waiting), default=0.0
                    ),
                    **self._filed(),
                },
                "tally": self.tally.snapshot(),
            }
        )

    def _took_seconds(self) -> float | None:
        return None if self._waits or not self._poll.polls else self._poll.took_seconds

    def _filed(self) -> Mapping[str, object]:
        if self._filing is None:
            return {"label_values": {}, "streams": None}
        return {
            "label_values": self._filing.label_values,
            "streams": self._filing.streams_filed or None,
        }

    def _show_queues(self) -> Sequence[Depth]:
        """Set the gauges of what waits and return how much that is in every queue."""
        depths = []
        for delivery in self._deliveries:
            depth = delivery.queue.depth()
            place = (self.metric, delivery.sink.name)
            self.tally.show(families.MEMORY_LINES, *place, value=depth.memory_lines)
            self.tally.show(families.SPOOL_LINES, *place, value=depth.lines)
            self.tally.show(families.SPOOL_BYTES, *place, value=depth.weight_bytes)
            if (limit_bytes := delivery.queue.spool_limit_bytes) is not None:
                self.tally.show(families.SPOOL_LIMIT, *place, value=limit_bytes)
            self.tally.show(families.OLDEST_UNSENT, *place, value=depth.oldest_seconds)
            depths.append(depth)
        return depths
