"""What the web process knows: the newest report of every worker and of the supervisor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipper.core.clock import Clock
from shipper.live.feed import Report

SUPERVISOR = "supervisor"
NOTHING_YET = {
    "result": "",
    "error": "",
    "sink_error": "",
    "rows_in_last_poll": 0,
    "last_poll_at": None,
    "next_poll_at": None,
    "lines_waiting": 0,
    "rows_total": 0,
    "lines_delivered": 0,
    "lines_rejected": 0,
    "lines_dropped": 0,
}
"""What is shown of a worker that has not reported."""

SILENT_SECONDS = 5.0
"""The supervisor reports twice a second; after so long a silence it no longer ticks."""

FINE = ("running", "ended")
"""Phases of a worker that nobody has to look after; the second is what somebody ordered."""


@dataclass(slots=True)
class Board:
    """The state of a run, gathered from reports.

    Attributes:
        version: Which Shipper this is.
        metrics: What is known beforehand of every metric: type, instance, period, whether it is required.
        clock: Tells how old reports are.
    """

    version: str
    metrics: Mapping[str, Mapping[str, Any]]
    clock: Clock
    _states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _supervised: Mapping[str, Any] = field(default_factory=dict)
    _ticked_seconds: float | None = None

    def follow(self, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        """Show these metrics from now on; what was reported of others is forgotten."""
        self.metrics = metrics
        self._states = {name: state for name, state in self._states.items() if name in metrics}

    def expects(self, origin: str) -> bool:
        """Tell whether it shows what reports from `origin` say; a metric that was removed may still report."""
        return origin == SUPERVISOR or origin in self.metrics

    def take(self, report: Report) -> None:
        """Remember a report instead of the one before it."""
        if report["origin"] == SUPERVISOR:
            self._supervised = report["state"]
            self._ticked_seconds = self.clock.monotonic_seconds()
        else:
            self._states[report["origin"]] = report["state"]

    def healthy(self) -> bool:
        """Tell whether the supervisor ticks."""
        if self._ticked_seconds is None:
            return False
        return self.clock.monotonic_seconds() - self._ticked_seconds < SILENT_SECONDS

    def reasons_not_ready(self) -> list[str]:
        """Return a sentence for every required worker that neither beats nor ended as ordered; empty means ready."""
        if not self.healthy():
            return ["the supervisor has not reported for some seconds"]
        return [
            f"{name}: {self._phase(name)}{self._why(name)}"
            for name, known in self.metrics.items()
            if known["required"] and self._phase(name) not in FINE
        ]

    def state(self) -> dict[str, Any]:
        """Return what the page shows, ready for JSON."""
        return {
            "version": self.version,
            "ready": not self.reasons_not_ready(),
            "reasons": self.reasons_not_ready(),
            "metrics": list(self._rows()),
        }

    def _rows(self) -> Iterable[dict[str, Any]]:
        for name, known in self.metrics.items():
            supervised = self._worker(name)
            yield {
                "metric": name,
                **known,
                "state": self._phase(name),
                "pid": supervised.get("pid", 0),
                "restarts": supervised.get("restarts", 0),
                "last_end": supervised.get("reason", ""),
                **(self._states.get(name) or NOTHING_YET),
            }

    def _worker(self, name: str) -> Mapping[str, Any]:
        worker: Mapping[str, Any] = self._supervised.get("workers", {}).get(name, {})
        return worker

    def _phase(self, name: str) -> str:
        return str(self._worker(name).get("phase", "waiting"))

    def _why(self, name: str) -> str:
        reason = self._worker(name).get("reason", "")
        return f" ({reason})" if reason else ""
