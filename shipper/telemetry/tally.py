"""Counts what happens in one process, cheaply enough to be reported after every poll.

`prometheus_client` needs about 0.4 ms to collect the families of one worker; taking a snapshot of a tally costs a
few microseconds. The web process turns snapshots into the page with `prometheus_client`
(`docs/decisions/0004-workers-keep-tallies.md`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from threading import Lock

from shipper.telemetry.families import Family

Values = tuple[str, ...]
"""Label values, in the order of the family's label names."""

Snapshot = dict[str, list[tuple[Values, list[float]]]]
"""Family name to its series: label values, and `[value]` or, for a histogram, `[*bucket counts, sum]`.

The bucket counts are not cumulative, and the last of them counts what lies above every bound. What can become stale is
`[value, moment]`, the moment it was heard, in seconds of the clock that all processes of a machine share.
"""


class Tally:
    """Counters, gauges and histograms of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._families: dict[str, dict[Values, list[float]]] = {}

    def count(self, family: Family, *values: str, by: float = 1) -> None:
        """Add `by` to a counter."""
        with self._lock:
            self._series(family, values, 1)[0] += by

    def show(self, family: Family, *values: str, value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._series(family, values, 1)[0] = value

    def show_only(self, family: Family, series: Mapping[Values, float]) -> None:
        """Set a gauge to exactly these series; others of it vanish."""
        self.show_series(family, {values: [value] for values, value in series.items()})

    def show_series(self, family: Family, series: Mapping[Values, Sequence[float]]) -> None:
        """Set what a family shows to exactly these series, each with all its numbers."""
        with self._lock:
            self._families[family.name] = {
                values: list(numbers) for values, numbers in series.items()
            }

    def observe(self, family: Family, *values: str, value: float) -> None:
        """Add one observation to a histogram."""
        with self._lock:
            series = self._series(family, values, len(family.buckets) + 2)
            series[bisect_left(family.buckets, value)] += 1
            series[-1] += value

    def snapshot(self) -> Snapshot:
        """Return everything counted so far, as lists that JSON can carry."""
        with self._lock:
            return {
                name: [(values, numbers.copy()) for values, numbers in family.items()]
                for name, family in self._families.items()
            }

    def _series(self, family: Family, values: Values, width: int) -> list[float]:
        series = self._families.setdefault(family.name, {})
        numbers = series.get(values)
        if numbers is None:
            numbers = series[values] = [0.0] * width
        return numbers
