"""What happens in a worker's process: one source, its pump, its sinks, from the first tick to the last line."""

from __future__ import annotations

import gc
import os
import signal
import time
from logging import Logger
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import TYPE_CHECKING

from setproctitle import setproctitle

from shipper.core.errors import SourceEnded, SourceRefused
from shipper.core.words import Count
from shipper.live.feed import FeedSender
from shipper.live.lines import LineSender
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.pump import Pump
from shipper.pipeline.queue import Depth
from shipper.pipeline.spool import SpoolTaken
from shipper.supervise.lifecycle import ENDED_EXIT_CODE, REFUSED_EXIT_CODE
from shipper.supervise.orphan import end_with_parent
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry.log import end_logging, start_logging
from shipper.wiring.assembly import build_pump, open_spool
from shipper.wiring.assignment import Assignment
from shipper.wiring.desk import Desk

if TYPE_CHECKING:
    from shipper.wiring.timeframes.viewer import TimeFrameViewer


def run_worker(assignment: Assignment, pulse: SharedPulse, orders: Connection) -> None:
    """Run one worker until it is told to stop; does not return, the process ends here."""
    # Ctrl-C reaches the whole process group; only the supervisor answers it, and tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    setproctitle(f"shipper: {assignment.metric}")
    # What was imported before the fork stays shared with it as long as the collector does not touch it.
    gc.freeze()
    log = start_logging(assignment.log, metric=assignment.metric)
    stop = Event()
    Thread(target=_obey, args=(orders, stop), name="orders", daemon=True).start()
    # A driver may leave threads behind that would keep the process alive (pysqream's pings), so it ends for good.
    exit_code = _pump(assignment, pulse, stop, log)
    end_logging()
    os._exit(exit_code)


def _pump(assignment: Assignment, pulse: SharedPulse, stop: Event, log: Logger) -> int:
    """Pump until `stop`, deliver what is left, and return the exit code."""
    feed = FeedSender(assignment.feed)
    lines = LineSender(assignment.metric, assignment.feed, feed.context)
    desk = Desk(assignment.metric, feed, show=lines.show)
    try:
        spool = open_spool(assignment, log, desk.tally)
        viewer = _viewer() if assignment.shows_time_frames else None
        show = None if viewer is None else viewer.show
        pump = build_pump(assignment, spool, pulse, stop=stop, log=log, desk=desk, show=show)
        for delivery in pump.custody.deliveries:
            delivery.start()
        exit_code = _run(pump, log)
        until_seconds = time.monotonic() + assignment.drain_seconds
        for delivery in pump.custody.deliveries:
            left = delivery.finish(max(0.0, until_seconds - time.monotonic()))
            _tell_what_is_left(delivery, left, log)
        pump.close()
        spool.close()
        if viewer is not None and (unseen := viewer.close()):
            fields = {"event": "lines_not_shown", "lines": Count(unseen, "line")}
            log.warning("%(lines)s came too fast to be shown.", fields)
        desk.report()
    except SpoolTaken as error:
        fields = {"event": "spool_taken", "error": str(error)}
        log.error("%(error)s", fields)  # noqa: TRY400 - no traceback for operators
        return 1
    except Exception:
        log.exception("The worker ends because of a fault of ours.", {"event": "fault"})
        return 1
    finally:
        lines.close()
        feed.close()
    return exit_code


def _viewer() -> TimeFrameViewer:
    # Loaded only where somebody looks on.
    from shipper.wiring.timeframes.viewer import TimeFrameViewer

    return TimeFrameViewer()


def _run(pump: Pump, log: Logger) -> int:
    try:
        pump.run()
    except SourceRefused as error:
        fields = {"event": "metric_refused", "error": str(error)}
        log.error("This metric can never work here: %(error)s", fields)  # noqa: TRY400 - no traceback for operators
        return REFUSED_EXIT_CODE
    except SourceEnded as end:
        fields = {"event": "metric_ended", "reason": str(end)}
        log.info("This metric comes to its end: %(reason)s.", fields)
        return ENDED_EXIT_CODE
    return 0


def _tell_what_is_left(delivery: Delivery, left: Depth, log: Logger) -> None:
    on_disk = left.lines - left.memory_lines
    if on_disk:
        log.info(
            "%(lines)s on disk until this metric runs again.",
            {
                "event": "lines_left",
                "lines": Count(on_disk, "line", ("stays", "stay")),
                "sink": delivery.sink.name,
            },
        )
    if left.memory_lines:
        log.error(
            "%(lines)s lost: neither %(sink)s nor the disk took them.",
            {
                "event": "lines_lost",
                "lines": Count(left.memory_lines, "line", ("is", "are")),
                "sink": delivery.sink.name,
            },
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
