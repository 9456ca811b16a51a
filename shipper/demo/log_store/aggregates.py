"""Makes numbers of numbers: functions over a range of time, and operations over series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from statistics import fmean
from typing import Final

from shipper.demo.log_store.expressions import Aggregation, Grouping

SeriesKey = tuple[tuple[str, str], ...]
"""The labels of a series, by name."""
Series = dict[SeriesKey, dict[int, float]]
"""The values of every series by instant, in ns."""

_OPERATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "avg": fmean,
    "count": lambda values: float(len(values)),
}


def series_key(labels: Mapping[str, str], grouping: Grouping) -> SeriesKey:
    """Return the labels that a grouping keeps."""
    return tuple(sorted(pair for pair in labels.items() if grouping.keeps(pair[0])))


def over_time(function: str, values: Sequence[float], seconds: float) -> float:
    """Return what a function such as `max_over_time` makes of the values in a range."""
    match function:
        case "rate":
            return sum(values) / seconds
        case "count_over_time":
            return float(len(values))
        case "bytes_over_time":
            return sum(values)
    return _OPERATIONS[function.removesuffix("_over_time")](values)


def aggregated(series: Series, asked: Aggregation) -> Series:
    """Return the series of an operation such as `sum`, instant by instant."""
    if asked.operation == "topk":
        return _largest(series, asked)
    groups: dict[SeriesKey, dict[int, list[float]]] = {}
    for key, values in series.items():
        group = groups.setdefault(series_key(dict(key), asked.grouping), {})
        for instant_ns, value in values.items():
            group.setdefault(instant_ns, []).append(value)
    operation = _OPERATIONS[asked.operation]
    return {
        key: {instant_ns: operation(values) for instant_ns, values in group.items()}
        for key, group in groups.items()
    }


def _largest(series: Series, asked: Aggregation) -> Series:
    """Keep the largest at each instant, in each group; they keep their labels."""
    found: dict[tuple[SeriesKey, int], list[tuple[SeriesKey, float]]] = {}
    for key, values in series.items():
        group = series_key(dict(key), asked.grouping)
        for instant_ns, value in values.items():
            found.setdefault((group, instant_ns), []).append((key, value))
    kept: Series = {}
    for (_, instant_ns), candidates in found.items():
        for key, value in sorted(candidates, key=itemgetter(1), reverse=True)[: asked.most]:
            kept.setdefault(key, {})[instant_ns] = value
    return kept
