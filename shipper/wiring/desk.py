"""Where a worker writes its reports, and sends them from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from shipper.core.clock import Clock, SystemClock
from shipper.live.feed import FeedSender
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.reader import NS_PER_SECOND, PollState
from shipper.telemetry import families
from shipper.telemetry.tally import Tally


@dataclass(slots=True)
class Desk:
    """Where a worker's reports are written and sent from; safe to use from several threads."""

    metric: str
    feed: FeedSender
    tally: Tally = field(default_factory=Tally)
    clock: Clock = field(default_factory=SystemClock)
    _poll: PollState = field(default_factory=PollState)
    _deliveries: Sequence[Delivery] = ()

    def watch(self, poll: PollState, deliveries: Sequence[Delivery]) -> None:
        """Report on these from now on."""
        self._poll, self._deliveries = poll, deliveries

    def report(self) -> None:
        """Send what there is to show, with everything counted so far."""
        waiting = self._show_queues()
        poll = self._poll
        until_next = poll.next_seconds - self.clock.monotonic_seconds()
        self.feed.send(
            {
                "origin": self.metric,
                "pid": os.getpid(),
                "state": {
                    "result": poll.result,
                    "error": poll.error,
                    "sink_error": next(
                        (each.trouble for each in self._deliveries if each.trouble), ""
                    ),
                    "rows_in_last_poll": poll.rows,
                    "last_poll_at": poll.ended_ns / NS_PER_SECOND,
                    "next_poll_at": self.clock.now_ns() / NS_PER_SECOND + until_next,
                    "lines_waiting": waiting,
                },
                "tally": self.tally.snapshot(),
            }
        )

    def _show_queues(self) -> int:
        """Set the gauges of what waits and return how many lines that is."""
        lines = 0
        for delivery in self._deliveries:
            depth = delivery.queue.depth()
            place = (self.metric, delivery.sink.name)
            self.tally.show(families.MEMORY_LINES, *place, value=depth.memory_lines)
            self.tally.show(families.SPOOL_LINES, *place, value=depth.lines)
            self.tally.show(families.SPOOL_BYTES, *place, value=depth.weight_bytes)
            self.tally.show(families.OLDEST_UNSENT, *place, value=depth.oldest_seconds)
            lines += depth.lines
        return lines
