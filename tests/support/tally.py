"""Reads single numbers out of a tally."""

from __future__ import annotations

from shipper.telemetry.families import Family
from shipper.telemetry.tally import Tally


def counted(tally: Tally, family: Family, *values: str) -> float:
    """Return a counter or a gauge: of one series, or summed over all whose labels begin with `values`."""
    series = tally.snapshot().get(family.name, [])
    return sum(numbers[0] for labels, numbers in series if labels[: len(values)] == values)


def observed(tally: Tally, family: Family, *values: str) -> tuple[int, float]:
    """Return how many observations a histogram's series has, and their sum."""
    series = dict(tally.snapshot().get(family.name, []))
    numbers = series.get(values, [0.0])
    return round(sum(numbers[:-1])), numbers[-1]
