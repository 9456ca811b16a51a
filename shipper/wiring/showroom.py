"""What the web process shows, put together: reports come in, the application goes out, and a reload changes both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper import __version__
from shipper.core.clock import SystemClock
from shipper.live.audience import Audience
from shipper.live.board import SUPERVISOR, Board
from shipper.live.feed import Report
from shipper.live.kept import Inquiries, kept_routes
from shipper.live.updates import Updates
from shipper.live.viewing import Viewing
from shipper.live.web import web_app
from shipper.sinks.prometheus import Exposition
from shipper.telemetry import families
from shipper.wiring.kept import KeptJobs, KeptRuns, Tables
from shipper.wiring.web import WebView

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOTALS = {
    "rows_total": families.ROWS,
    "lines_delivered": families.LINES_DELIVERED,
    "lines_rejected": families.LINES_REJECTED,
    "lines_dropped": families.LINES_DROPPED,
}
"""Counters that the page shows beside the state of a metric."""


class Showroom:
    """Everything there is to see, and who looks at it."""

    def __init__(self, view: WebView) -> None:
        self._view = view
        self._board = Board(__version__, view.metrics, SystemClock(), view.sections)
        self._exposition = Exposition(view.families)
        self._inquiries = Inquiries()
        self.audience = Audience(self._board.clock)
        self.updates = Updates(self._board)
        self._viewing = Viewing(self._board, self.audience, self.updates)

    def app(self) -> ASGIApp:
        """Return the application that answers from now on."""
        view = self._view
        tables = Tables(view.store, view.state_dir)
        runs = KeptRuns(tables) if view.sections["runs"] else None
        jobs = KeptJobs(tables) if view.sections["jobs"] else None
        return web_app(
            self._board,
            self._exposition.page,
            view.doors,
            viewing=self._viewing,
            kept=kept_routes(self._inquiries, runs, jobs),
        )

    def take(self, report: Report) -> None:
        """Show what a process says about itself."""
        origin = report["origin"]
        if not self._board.expects(origin):
            return
        self._exposition.take(origin, report["pid"], report["tally"])
        totals = {key: self._exposition.total(origin, family) for key, family in TOTALS.items()}
        report["state"].update(totals)
        self._board.take(report)

    def follow(self, newer: WebView) -> ASGIApp:
        """Show this from now on; who was let in by other rules, or looks at what is gone, has to come again."""
        self._board.follow(newer.metrics, newer.sections)
        self._exposition.follow(newer.families, {SUPERVISOR, *newer.metrics})
        ours = self._view.doors == newer.doors
        self._viewing.dismiss(
            lambda metric: not ours or (metric is not None and metric not in newer.metrics)
        )
        self._view = newer
        return self.app()
