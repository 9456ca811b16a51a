"""Observes rows: gauges show the newest poll, counters add up or show what the far end counted, histograms observe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from logging import Logger

from shipper.config.column_metric import ColumnMetric
from shipper.core.clock import Clock, SystemClock
from shipper.core.record import Batch
from shipper.sinks.columns.family import column_family
from shipper.sinks.columns.values import ColumnValues
from shipper.telemetry.families import METRIC_SERIES_DROPPED
from shipper.telemetry.tally import Tally, Values

AGGREGATES: dict[str, Callable[[float, float], float]] = {
    "last": lambda _old, new: new,
    "sum": lambda old, new: old + new,
    "min": min,
    "max": max,
}


class ColumnMetrics:
    """Observes the rows of one entry.

    NULL and what is no number are left out, never taken for 0. Of a source that waits for what comes, which has no
    polls, gauges show the newest number of every series.
    """

    def __init__(
        self,
        metric: str,
        asked: Sequence[ColumnMetric],
        tally: Tally,
        *,
        log: Logger,
        source_waits: bool = False,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._items = [_Item(metric, each, tally, log, clock, source_waits) for each in asked]

    def observe(self, batch: Batch) -> None:
        """Take in the rows of one read; a poll may be several, and gauges change when the last of them is there."""
        for item in self._items:
            item.observe(batch)

    def forget_poll(self) -> None:
        """Forget what the reads of a poll brought that came to no end."""
        for item in self._items:
            item.forget_poll()


class _Item:
    """One item of `metrics` with its series."""

    def __init__(
        self,
        metric: str,
        asked: ColumnMetric,
        tally: Tally,
        log: Logger,
        clock: Clock,
        source_waits: bool,
    ) -> None:
        self._metric, self._asked, self._tally = metric, asked, tally
        self._log, self._clock, self._source_waits = log, clock, source_waits
        self._family = column_family(asked)
        self._values = ColumnValues(asked)
        self._aggregate = AGGREGATES["sum" if asked.value is None else asked.aggregate]
        self._poll: dict[Values, float] = {}
        self._shown: dict[Values, list[float]] = {}
        self._known: set[Values] = set()
        self._warned: set[str] = set()

    def observe(self, batch: Batch) -> None:
        if batch.rows and (missing := self._values.look_at(batch.rows)):
            self._warn_of(missing, batch)
        if self._asked.shows:
            self._gather(batch)
            if not batch.more:
                self._show()
        else:
            self._add(batch)

    def forget_poll(self) -> None:
        self._poll.clear()

    def _add(self, batch: Batch) -> None:
        counts = self._asked.type == "counter"
        for values, number in self._values.numbers(batch):
            if self._has_room(values, self._known):
                self._known.add(values)
                if counts:
                    self._tally.count(self._family, *values, by=max(0.0, number))
                else:
                    self._tally.observe(self._family, *values, value=number)

    def _gather(self, batch: Batch) -> None:
        poll, aggregate = self._poll, self._aggregate
        for values, number in self._values.numbers(batch):
            if values in poll:
                poll[values] = aggregate(poll[values], number)
            elif self._has_room(values, poll):
                poll[values] = number

    def _show(self) -> None:
        """Show what the poll brought, with the moment it was heard where that matters."""
        now = self._clock.monotonic_seconds()
        stale_seconds = self._asked.stale_after_seconds
        heard = [] if stale_seconds is None else [now]
        fresh = {values: [number, *heard] for values, number in self._poll.items()}
        self._poll.clear()
        if self._source_waits:
            self._keep(fresh, now)
        else:
            self._shown = fresh
        self._tally.show_series(self._family, self._shown)

    def _keep(self, fresh: dict[Values, list[float]], now: float) -> None:
        """Add what a message told to what earlier ones told, as far as that is not stale."""
        stale_seconds = self._asked.stale_after_seconds
        if stale_seconds is not None:
            self._shown = {
                values: numbers
                for values, numbers in self._shown.items()
                if now - numbers[1] < stale_seconds
            }
        for values, numbers in fresh.items():
            if self._has_room(values, self._shown):
                self._shown[values] = numbers

    def _has_room(self, values: Values, series: Collection[Values]) -> bool:
        if values in series or len(series) < self._asked.max_series:
            return True
        self._tally.count(METRIC_SERIES_DROPPED, self._metric, self._asked.name)
        self._warn_once(
            "%(name)s has more than %(most)d series (max_series); numbers of further ones are left out.",
            {"event": "too_many_series", "most": self._asked.max_series},
        )
        return False

    def _warn_of(self, missing: Sequence[str], batch: Batch) -> None:
        self._warn_once(
            "%(name)s: rows have no field %(missing)s; their fields are %(fields)s.",
            {
                "event": "fields_missing",
                "missing": " or ".join(missing),
                "fields": ", ".join(batch.rows[0]),
            },
        )

    def _warn_once(self, template: str, fields: Mapping[str, object]) -> None:
        if template not in self._warned:
            self._warned.add(template)
            self._log.warning(template, {"name": self._asked.name, **fields})
