"""The Prometheus end: one page from the newest snapshot of every worker.

Counters never go back while the web process lives: when a worker is replaced by a new one, what the old one had
counted is carried over. Gauges of a process that is gone vanish with it; the lines that waited in it count as dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from shipper.core.clock import Clock, SystemClock
from shipper.telemetry.families import LINES_DROPPED, MEMORY_LINES, Family
from shipper.telemetry.tally import Snapshot, Values


@dataclass(slots=True)
class _Origin:
    """What one worker reported: the newest snapshot, and what its predecessors had counted.

    Attributes:
        outdated: Names that mean something else since this incarnation began to count.
    """

    incarnation: int
    newest: Snapshot = field(default_factory=dict)
    carried: Snapshot = field(default_factory=dict)
    outdated: set[str] = field(default_factory=set)

    def forget(self, names: Collection[str]) -> None:
        """Drop what was counted under these names, and take no more of it from this incarnation."""
        self.outdated.update(names)
        self.newest = {name: each for name, each in self.newest.items() if name not in names}
        self.carried = {name: each for name, each in self.carried.items() if name not in names}


class Exposition(Collector):
    """The metrics page: takes snapshots from many processes and shows them as one."""

    def __init__(self, families: Iterable[Family], clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._families = {family.name: family for family in families}
        self._origins: dict[str, _Origin] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def take(self, origin: str, incarnation: int, snapshot: Snapshot) -> None:
        """Replace what `origin` reported; a new `incarnation` (its pid) starts counting from 0 again."""
        known = self._origins.setdefault(origin, _Origin(incarnation))
        if known.incarnation != incarnation:
            parts = [known.carried, known.newest, _lost(known.newest)]
            known.carried = self._sum(parts, carried=True)
            known.incarnation, known.outdated = incarnation, set()
        known.newest = {
            name: series
            for name, series in snapshot.items()
            if name not in known.outdated and _fits(self._families.get(name), series)
        }

    def follow(self, families: Iterable[Family], origins: Collection[str]) -> None:
        """Show these families, and what these origins report, from now on.

        What was counted under a name that means something else now is forgotten.
        """
        before, self._families = self._families, {family.name: family for family in families}
        changed = {
            name
            for name, family in before.items()
            if name not in self._families or _meaning(self._families[name]) != _meaning(family)
        }
        self._origins = {name: known for name, known in self._origins.items() if name in origins}
        for known in self._origins.values():
            known.forget(changed)

    def total(self, origin: str, family: Family) -> float:
        """Return what a counter of one origin adds up to, over all its labels and predecessors."""
        known = self._origins[origin]
        return sum(
            numbers[0]
            for snapshot in (known.carried, known.newest)
            for _, numbers in snapshot.get(family.name, [])
        )

    def page(self) -> bytes:
        """Return the page in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield one family after the other, as `prometheus_client` asks for them."""
        parts = [part for each in self._origins.values() for part in (each.carried, each.newest)]
        total = self._sum(parts)
        for name, family in self._families.items():
            yield _metric(family, total.get(name, []))

    def _sum(self, snapshots: Iterable[Snapshot], *, carried: bool = False) -> Snapshot:
        """Add snapshots up: all that is fresh, or of it what outlives the process that told it."""
        now = self._clock.monotonic_seconds()
        summed: dict[str, dict[Values, list[float]]] = defaultdict(dict)
        for snapshot in snapshots:
            for name, series in snapshot.items():
                family = self._families.get(name)
                if family is not None and not (carried and family.vanishes):
                    _add(summed[name], _fresh(family, series, now))
        return {name: list(series.items()) for name, series in summed.items()}


def _meaning(family: Family) -> tuple[object, ...]:
    return family.kind, family.labels, family.buckets, family.absolute


def _fits(family: Family | None, series: Iterable[tuple[Values, list[float]]]) -> bool:
    """Tell whether series have the family's shape; for a moment a process may count by an older configuration."""
    if family is None:
        return False
    width = len(family.buckets) + 2 if family.kind == "histogram" else 1
    width += family.stale_after_seconds is not None
    return all(
        len(values) == len(family.labels) and len(numbers) == width for values, numbers in series
    )


def _lost(newest: Snapshot) -> Snapshot:
    """Return the lines that a process took along: they waited in its memory when it last reported."""
    waiting = newest.get(MEMORY_LINES.name, [])
    lost: list[tuple[Values, list[float]]] = [
        ((values[0], "worker_ended"), numbers) for values, numbers in waiting if numbers[0]
    ]
    return {LINES_DROPPED.name: lost}


def _fresh(
    family: Family, series: Iterable[tuple[Values, list[float]]], now: float
) -> Iterable[tuple[Values, list[float]]]:
    """Leave out what nothing was heard of for too long, and the moments with it."""
    stale_seconds = family.stale_after_seconds
    if stale_seconds is None:
        return series
    return [(values, [number]) for values, (number, heard) in series if now - heard < stale_seconds]


def _add(series: dict[Values, list[float]], more: Iterable[tuple[Values, list[float]]]) -> None:
    for listed, numbers in more:
        values = tuple(listed)
        known = series.get(values)
        if known is None:
            series[values] = numbers
        else:
            series[values] = [a + b for a, b in zip(known, numbers, strict=True)]


def _metric(family: Family, series: Iterable[tuple[Values, list[float]]]) -> Metric:
    match family.kind:
        case "counter":
            counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
            for values, numbers in series:
                counter.add_metric(values, numbers[0])
            return counter
        case "gauge":
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for values, numbers in series:
                gauge.add_metric(values, numbers[0])
            return gauge
        case "histogram":
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for values, numbers in series:
                histogram.add_metric(values, _buckets(family, numbers), sum_value=numbers[-1])
            return histogram


def _buckets(family: Family, numbers: list[float]) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in family.buckets), "+Inf"]
    return list(zip(bounds, accumulate(numbers[:-1]), strict=True))
