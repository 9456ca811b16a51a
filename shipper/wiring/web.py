"""What happens in the web process: reports in, page and metrics out."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from setproctitle import setproctitle

from shipper import __version__
from shipper.core.clock import SystemClock
from shipper.live.board import SUPERVISOR, Board
from shipper.live.doors import Doors
from shipper.live.feed import Report
from shipper.live.lines import lines_address
from shipper.sinks.prometheus import Exposition
from shipper.store.settings import StoreSettings
from shipper.supervise.orphan import end_with_parent
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry import families
from shipper.telemetry.families import Family

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOTALS = {
    "rows_total": families.ROWS,
    "lines_delivered": families.LINES_DELIVERED,
    "lines_rejected": families.LINES_REJECTED,
    "lines_dropped": families.LINES_DROPPED,
}
"""Counters that the page shows beside the state of a metric."""


@dataclass(frozen=True, slots=True)
class WebView:
    """What is shown, and to whom: the part that a reload can change while the process goes on.

    Attributes:
        families: What the metrics page shows.
        metrics: What is known beforehand of every metric.
        doors: Who is let in.
        sections: Which parts of the page have something to show.
        store: Where that is kept.
        state_dir: Where it is kept by default.
    """

    families: tuple[Family, ...]
    metrics: Mapping[str, Mapping[str, Any]]
    doors: Doors
    sections: Mapping[str, bool]
    store: StoreSettings
    state_dir: Path


@dataclass(frozen=True, slots=True)
class WebAssignment:
    """Everything the web process needs to know; it is sent to the new process.

    Attributes:
        listening: The socket to serve on; the supervisor keeps it, so that a new process gets the same port.
        feed: Address to take reports on.
        view: What to show at first.
    """

    listening: socket.socket
    feed: str
    view: WebView


def run_web(assignment: WebAssignment, pulse: SharedPulse, orders: Connection) -> None:
    """Serve until told to stop; every `WebView` that the orders bring replaces the one before."""
    end_with_parent()
    # Imported here, in the one process that serves, so that no worker pays for a web server.
    from shipper.live.audience import Audience, take_lines
    from shipper.live.kept import Inquiries, kept_routes
    from shipper.live.server import keep_beating, serve, take_reports
    from shipper.live.updates import Updates
    from shipper.live.viewing import Viewing
    from shipper.live.web import web_app
    from shipper.wiring.kept import KeptJobs, KeptRuns, Tables

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setproctitle("shipper: web")
    view = assignment.view
    board = Board(__version__, view.metrics, SystemClock(), view.sections)
    audience, updates = Audience(board.clock), Updates(board)
    viewing = Viewing(board, audience, updates)
    doors, inquiries = view.doors, Inquiries()

    def app_for(shown: WebView) -> ASGIApp:
        tables = Tables(shown.store, shown.state_dir)
        runs = KeptRuns(tables) if shown.sections["runs"] else None
        jobs = KeptJobs(tables) if shown.sections["jobs"] else None
        kept = kept_routes(inquiries, runs, jobs)
        return web_app(board, exposition.page, shown.doors, viewing=viewing, kept=kept)

    exposition = Exposition(view.families)

    def take(report: Report) -> None:
        origin = report["origin"]
        if not board.expects(origin):
            return
        exposition.take(origin, report["pid"], report["tally"])
        totals = {key: exposition.total(origin, family) for key, family in TOTALS.items()}
        report["state"].update(totals)
        board.take(report)

    def follow(newer: WebView) -> ASGIApp:
        nonlocal doors
        board.follow(newer.metrics, newer.sections)
        exposition.follow(newer.families, {SUPERVISOR, *newer.metrics})
        # Who was let in by other rules, or looks at what is gone, has to come again.
        ours = doors == newer.doors
        viewing.dismiss(
            lambda metric: not ours or (metric is not None and metric not in newer.metrics)
        )
        doors = newer.doors
        return app_for(newer)

    serve(
        app_for(view),
        assignment.listening,
        follow=follow,
        orders=orders,
        background=[
            take_reports(assignment.feed, take),
            take_lines(lines_address(assignment.feed), audience),
            updates.run(),
            keep_beating(pulse.beat),
        ],
    )
