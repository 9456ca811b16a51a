"""Prometheus metrics made from the columns of rows, as the `metrics` of an entry ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from shipper.config.models import ColumnMetric, label_name
from shipper.core.record import Batch, Row
from shipper.telemetry.families import Family
from shipper.telemetry.tally import Tally, Values

USUAL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets of Prometheus's own clients."""


def column_family(asked: ColumnMetric) -> Family:
    """Return the family that an item of `metrics` describes."""
    buckets: tuple[float, ...] = ()
    if asked.type == "histogram":
        given = asked.buckets if asked.buckets is not None else USUAL_BUCKETS
        buckets = tuple(bound for bound in given if math.isfinite(bound))
    labels = tuple(label_name(field) for field in asked.labels)
    sentence = (
        asked.help or f"From the field {asked.value}." if asked.value else asked.help or "Rows."
    )
    return Family(asked.name, asked.type, sentence, labels, buckets)


class ColumnMetrics:
    """Observes the rows of one entry: gauges show the newest poll, counters add up, histograms observe.

    NULL and what is no number are left out, never taken for 0. Of a source that waits for what comes, which has no
    polls, gauges show the newest number of every series.
    """

    def __init__(
        self, asked: Sequence[ColumnMetric], tally: Tally, *, source_waits: bool = False
    ) -> None:
        self._asked = [(metric, column_family(metric)) for metric in asked]
        self._tally = tally
        self._source_waits = source_waits
        self._gauges: dict[str, dict[Values, float]] = {}

    def observe(self, batch: Batch) -> None:
        """Take in the rows of one read; a poll may be several, and gauges change when the last of them is there."""
        rows = batch.rows
        for metric, family in self._asked:
            match metric.type:
                case "gauge":
                    series = self._gauges.setdefault(metric.name, {})
                    _add_newest(series, metric, rows)
                    if not batch.more:
                        self._show(family, series)
                case "counter":
                    for values, number in _numbers(metric, rows):
                        self._tally.count(family, *values, by=max(0.0, number))
                case "histogram":
                    for values, number in _numbers(metric, rows):
                        self._tally.observe(family, *values, value=number)

    def forget_poll(self) -> None:
        """Forget what the reads of a poll brought that came to no end."""
        self._gauges.clear()

    def _show(self, family: Family, series: dict[Values, float]) -> None:
        if self._source_waits:
            for values, number in series.items():
                self._tally.show(family, *values, value=number)
        else:
            self._tally.show_only(family, series)
        series.clear()


def _add_newest(series: dict[Values, float], metric: ColumnMetric, rows: Sequence[Row]) -> None:
    """Add one number per combination of labels: the last row's value, or how many rows there are."""
    for values, number in _numbers(metric, rows):
        series[values] = number if metric.value is not None else series.get(values, 0.0) + number


def _numbers(metric: ColumnMetric, rows: Sequence[Row]) -> list[tuple[Values, float]]:
    found = []
    for row in rows:
        number = 1.0 if metric.value is None else _number(row.get(metric.value))
        if number is not None:
            found.append((tuple(_label(row.get(name)) for name in metric.labels), number))
    return found


def _number(value: object) -> float | None:
    if not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = float(Decimal(value.strip()) if isinstance(value, str) else value)
    except (ValueError, ArithmeticError):
        return None
    return None if math.isnan(number) else number


def _label(value: object) -> str:
    if value is None:
        return ""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
