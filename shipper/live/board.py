"""What the web process knows: the newest report of every worker and of the supervisor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipper.core.clock import Clock
from shipper.live.feed import Report
from shipper.live.history import History

SUPERVISOR = "supervisor"
NOTHING_YET = {
    "result": "",
    "error": "",
    "sink_error": "",
    "rows_in_last_poll": 0,
    "last_poll_at": None,
    "next_poll_at": None,
    "last_poll_seconds": None,
    "lag_seconds": None,
    "lines_waiting": 0,
    "bytes_waiting": 0,
    "oldest_unsent_seconds": 0.0,
    "label_values": {},
    "streams": None,
    "rows_total": 0,
    "lines_delivered": 0,
    "lines_rejected": 0,
    "lines_dropped": 0,
}
"""What is shown of a worker that has not reported."""

NOT_SHOWN = ("polls",)
"""What reports hold that is only counted with."""

SILENT_SECONDS = 5.0
"""The supervisor reports twice a second; after so long a silence it no longer ticks."""

FINE = ("running", "ended")
"""Phases of a worker that nobody has to look after; the second is what somebody ordered."""

NS_PER_SECOND = 1_000_000_000


@dataclass(slots=True)
class Board:
    """The state of a run, gathered from reports.

    Attributes:
        version: Which Shipper this is.
        metrics: What is known beforehand of every metric: type, instance, period, whether it is required.
        clock: Tells how old reports are.
        sections: Which parts of the page have something to show in this run.
    """

    version: str
    metrics: Mapping[str, Mapping[str, Any]]
    clock: Clock
    sections: Mapping[str, bool] = field(default_factory=dict)
    _states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _histories: defaultdict[str, History] = field(default_factory=lambda: defaultdict(History))
    _supervised: Mapping[str, Any] = field(default_factory=dict)
    _ticked_seconds: float | None = None
    _touched: set[str] = field(default_factory=set)

    def follow(
        self, metrics: Mapping[str, Mapping[str, Any]], sections: Mapping[str, bool] | None = None
    ) -> None:
        """Show these metrics from now on; what was reported of others is forgotten."""
        self.metrics = metrics
        self.sections = self.sections if sections is None else sections
        self._states = {name: state for name, state in self._states.items() if name in metrics}
        for name in self._histories.keys() - metrics.keys():
            del self._histories[name]
        self._touched.update(metrics)

    def expects(self, origin: str) -> bool:
        """Tell whether it shows what reports from `origin` say; a metric that was removed may still report."""
        return origin == SUPERVISOR or origin in self.metrics

    def take(self, report: Report) -> None:
        """Remember a report instead of the one before it."""
        if report["origin"] == SUPERVISOR:
            self._take_supervised(report["state"])
            return
        name, state = report["origin"], report["state"]
        self._states[name] = state
        self._touched.add(name)
        history = self._histories[name]
        given: dict[str, Any] = {**NOTHING_YET, "polls": 0, **state}
        history.note_poll(report["pid"], given["polls"], given["last_poll_seconds"])
        history.note_total(self.clock.monotonic_seconds(), given["rows_total"])

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
        return {**self.head(), "metrics": list(self.rows(self.metrics))}

    def head(self) -> dict[str, Any]:
        """Return what the page shows above the metrics."""
        reasons = self.reasons_not_ready()
        return {
            "version": self.version,
            "ready": not reasons,
            "reasons": reasons,
            "at": self.clock.now_ns() / NS_PER_SECOND,
            "sections": dict(self.sections),
        }

    def rows(self, names: Iterable[str]) -> Iterable[dict[str, Any]]:
        """Yield what the page shows of some of the metrics, in full."""
        for name in names:
            yield {**self.row(name), "poll_seconds": self.durations(name)}

    def row(self, name: str) -> dict[str, Any]:
        """Return what the page shows of a metric, but for the durations of its polls."""
        supervised, history = self._worker(name), self._histories[name]
        row = {
            "metric": name,
            **self.metrics[name],
            "state": self._phase(name),
            "pid": supervised.get("pid", 0),
            "restarts": supervised.get("restarts", 0),
            "last_end": supervised.get("reason", ""),
            **(self._states.get(name) or NOTHING_YET),
            "rows_per_second": history.rows_per_second(self.clock.monotonic_seconds()),
        }
        for key in NOT_SHOWN:
            row.pop(key, None)
        return row

    def durations(self, name: str, since: int = 0) -> list[float]:
        """Return how long the newest polls of a metric took; only those after the first `since` of them."""
        return [round(seconds, 6) for seconds in self._histories[name].durations(since)]

    def noted(self, name: str) -> int:
        """Return how many durations of its polls were noted so far."""
        return self._histories[name].noted

    def touched(self) -> Collection[str]:
        """Return, once, the metrics of which something may have changed."""
        now = self.clock.monotonic_seconds()
        flowing = {name for name, each in self._histories.items() if each.rows_per_second(now)}
        touched = (self._touched | flowing) & self.metrics.keys()
        self._touched = set()
        return touched

    def _take_supervised(self, state: Mapping[str, Any]) -> None:
        before, now = self._supervised.get("workers", {}), state.get("workers", {})
        self._touched.update(name for name in now if now[name] != before.get(name))
        self._touched.update(before.keys() - now.keys())
        self._supervised = state
        self._ticked_seconds = self.clock.monotonic_seconds()

    def _worker(self, name: str) -> Mapping[str, Any]:
        worker: Mapping[str, Any] = self._supervised.get("workers", {}).get(name, {})
        return worker

    def _phase(self, name: str) -> str:
        return str(self._worker(name).get("phase", "waiting"))

    def _why(self, name: str) -> str:
        reason = self._worker(name).get("reason", "")
        return f" ({reason})" if reason else ""
