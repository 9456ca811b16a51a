"""What happens in a worker's process: one source, its pump, its sinks, from the first tick to the last line."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from logging import Logger
from multiprocessing.connection import Connection
from random import Random
from threading import Event, Thread

from setproctitle import setproctitle

from shipper.config.models import Settings, SourceSettings
from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceRefused
from shipper.live.feed import FeedSender
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.pump import NS_PER_SECOND, PollState, Pump
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.schedule import Schedule
from shipper.sinks.columns import ColumnMetrics
from shipper.sinks.loki.settings import LokiSettings
from shipper.supervise.lifecycle import REFUSED_EXIT_CODE
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry import families
from shipper.telemetry.log import LogSettings, start_logging
from shipper.telemetry.tally import Tally


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything a worker needs to know; it is sent to the new process.

    Attributes:
        metric: The entry's name.
        entry: The entry.
        section: The settings that all entries of its kind share.
        loki: Where lines go.
        labels: The labels of every line.
        first_seconds: When the first poll is due, on the monotonic clock; restarts keep to the same grid.
        feed: Address of the feed to the web process.
        log: How to log.
        drain_seconds: How long it may go on delivering when it is told to stop.
    """

    metric: str
    entry: SourceSettings
    section: Settings | None
    loki: LokiSettings
    labels: Mapping[str, str]
    first_seconds: float
    feed: str
    log: LogSettings
    drain_seconds: float


def run_worker(assignment: Assignment, pulse: SharedPulse, orders: Connection) -> None:
    """Run one worker until it is told to stop; does not return, the process ends here."""
    # Ctrl-C reaches the whole process group; only the supervisor answers it, and tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setproctitle(f"shipper: {assignment.metric}")
    # What was imported before the fork stays shared with it as long as the collector does not touch it.
    gc.freeze()
    log = start_logging(assignment.log, metric=assignment.metric)
    stop = Event()
    Thread(target=_obey, args=(orders, stop), name="orders", daemon=True).start()
    # A driver may leave threads behind that would keep the process alive (pysqream's pings), so it ends for good.
    os._exit(_pump(assignment, pulse, stop, log))


def _pump(assignment: Assignment, pulse: SharedPulse, stop: Event, log: Logger) -> int:
    """Pump until `stop`, deliver what is left, and return the exit code."""
    desk = Desk(assignment, FeedSender(assignment.feed))
    try:
        pump = build_pump(assignment, pulse, stop, log, desk)
        for delivery in pump.deliveries:
            delivery.start()
        pump.run()
        for delivery in pump.deliveries:
            left = delivery.finish(assignment.drain_seconds)
            if left:
                log.error("Stopped with %d lines that %s did not take.", left, delivery.sink.name)
        desk.report()
    except SourceRefused as error:
        log.error("This metric can never work here: %s", error)  # noqa: TRY400 - no traceback for operators
        return REFUSED_EXIT_CODE
    except Exception:
        log.exception("The worker ends because of a fault of ours.")
        return 1
    finally:
        desk.feed.close()
    return 0


def build_pump(
    assignment: Assignment, pulse: SharedPulse, stop: Event, log: Logger, desk: Desk
) -> Pump:
    """Put the parts of one worker together."""
    entry, metric, clock = assignment.entry, assignment.metric, SystemClock()
    tally = desk.tally
    deliveries = [_loki_delivery(assignment, log, desk, clock)] if entry.ship else []
    pump = Pump(
        metric=metric,
        source=entry.build(metric, assignment.section),
        schedule=Schedule(assignment.first_seconds, entry.every_seconds),
        timeout_seconds=entry.poll_timeout_seconds,
        filing=Filing(
            filing_rules(entry, assignment.labels), partial(_overflowed, metric, log, tally, set())
        ),
        deliveries=deliveries,
        observe_rows=ColumnMetrics(entry.metrics, tally).observe,
        tally=tally,
        pulse=pulse,
        report=desk.report,
        log=log,
        clock=clock,
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        stop=stop,
    )
    desk.watch(pump.state, deliveries)
    return pump


def filing_rules(entry: SourceSettings, labels: Mapping[str, str]) -> FilingRules:
    """Return how the rows of an entry become records."""
    return FilingRules(
        labels=labels,
        label_fields=entry.label_fields,
        metadata_fields=entry.metadata_fields,
        max_label_values=entry.max_label_values,
        time_field=entry.time_field,
        line=entry.line,
    )


@dataclass(slots=True)
class Desk:
    """Where a worker's reports are written and sent from; safe to use from several threads."""

    assignment: Assignment
    feed: FeedSender
    tally: Tally = field(default_factory=Tally)
    clock: Clock = field(default_factory=SystemClock)
    _poll: PollState = field(default_factory=PollState)
    _deliveries: list[Delivery] = field(default_factory=list)

    def watch(self, poll: PollState, deliveries: list[Delivery]) -> None:
        """Report on these from now on."""
        self._poll, self._deliveries = poll, deliveries

    def report(self) -> None:
        """Send what there is to show, with everything counted so far."""
        waiting = self._show_queues()
        poll = self._poll
        until_next = poll.next_seconds - self.clock.monotonic_seconds()
        self.feed.send(
            {
                "origin": self.assignment.metric,
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
            place = (self.assignment.metric, delivery.sink.name)
            self.tally.show(families.SPOOL_LINES, *place, value=depth.lines)
            self.tally.show(families.SPOOL_BYTES, *place, value=depth.weight_bytes)
            self.tally.show(families.OLDEST_UNSENT, *place, value=depth.oldest_seconds)
            lines += depth.lines
        return lines


def _loki_delivery(assignment: Assignment, log: Logger, desk: Desk, clock: Clock) -> Delivery:
    settings = assignment.loki
    return Delivery(
        metric=assignment.metric,
        sink=settings.build(),
        queue=DeliveryQueue(
            max_bytes=settings.queue_max_bytes, batch_bytes=settings.max_batch_bytes, clock=clock
        ),
        tally=desk.tally,
        log=log,
        clock=clock,
        settled=desk.report,
        random=Random(),  # noqa: S311 - jitter needs no secrecy
    )


def _overflowed(metric: str, log: Logger, tally: Tally, warned: set[str], name: str) -> None:
    tally.count(families.LABEL_OVERFLOWS, metric, name)
    if name not in warned:
        warned.add(name)
        log.warning(
            "The label field %s has more than max_label_values values; further ones go to structured metadata.",
            name,
        )


def _obey(orders: Connection, stop: Event) -> None:
    """Wait for the supervisor's word; when the supervisor is gone, go too."""
    try:
        orders.recv()
    except EOFError:
        os._exit(0)
    stop.set()
    # The word came; from here on only the end of the supervisor matters.
    try:
        orders.recv()
    except EOFError:
        os._exit(0)
