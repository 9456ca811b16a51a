"""Prometheus metrics made from the columns of rows, as the `metrics` of an entry ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from shipper.config.models import ColumnMetric, label_name
from shipper.core.record import Row
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

    NULL and what is no number are left out, never taken for 0.
    """

    def __init__(self, asked: Sequence[ColumnMetric], tally: Tally) -> None:
        self._asked = [(metric, column_family(metric)) for metric in asked]
        self._tally = tally

    def observe(self, rows: Sequence[Row]) -> None:
        """Take in the rows of one poll."""
        for metric, family in self._asked:
            match metric.type:
                case "gauge":
                    self._tally.show_only(family, _newest(metric, rows))
                case "counter":
                    for values, number in _numbers(metric, rows):
                        self._tally.count(family, *values, by=max(0.0, number))
                case "histogram":
                    for values, number in _numbers(metric, rows):
                        self._tally.observe(family, *values, value=number)


def _newest(metric: ColumnMetric, rows: Sequence[Row]) -> Mapping[Values, float]:
    """Return one number per combination of labels: the last row's value, or how many rows there are."""
    series: dict[Values, float] = {}
    for values, number in _numbers(metric, rows):
        series[values] = number if metric.value is not None else series.get(values, 0.0) + number
    return series


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
