"""What happens in the web process: reports in, page and metrics out."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from setproctitle import setproctitle

from shipper import __version__
from shipper.core.clock import SystemClock
from shipper.live.board import Board
from shipper.live.feed import Report
from shipper.sinks.prometheus import Exposition
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry import families
from shipper.telemetry.families import Family

TOTALS = {
    "rows_total": families.ROWS,
    "lines_delivered": families.LINES_DELIVERED,
    "lines_rejected": families.LINES_REJECTED,
    "lines_dropped": families.LINES_DROPPED,
}
"""Counters that the page shows beside the state of a metric."""


@dataclass(frozen=True, slots=True)
class WebAssignment:
    """Everything the web process needs to know; it is sent to the new process.

    Attributes:
        listening: The socket to serve on; the supervisor keeps it, so that a new process gets the same port.
        feed: Address to take reports on.
        families: What the metrics page shows.
        metrics: What is known beforehand of every metric.
        token: Bearer token that is wanted; `None` for everybody.
    """

    listening: socket.socket
    feed: str
    families: tuple[Family, ...]
    metrics: Mapping[str, Mapping[str, Any]]
    token: str | None


def run_web(assignment: WebAssignment, pulse: SharedPulse, orders: Connection) -> None:
    """Serve until told to stop."""
    # Imported here, in the one process that serves, so that no worker pays for a web server.
    from shipper.live.server import serve
    from shipper.live.web import web_app

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setproctitle("shipper: web")
    board = Board(__version__, assignment.metrics, SystemClock())
    exposition = Exposition(assignment.families)

    def take(report: Report) -> None:
        origin = report["origin"]
        exposition.take(origin, report["pid"], report["tally"])
        totals = {key: exposition.total(origin, family) for key, family in TOTALS.items()}
        report["state"].update(totals)
        board.take(report)

    serve(
        web_app(board, exposition.page, assignment.token),
        assignment.listening,
        assignment.feed,
        take=take,
        beat=pulse.beat,
        orders=orders,
    )
