"""Queries that dashboards ask again and again."""

from __future__ import annotations

from tools.dashboards.shapes import Prom


def quantile(share: float, family: str, labels: str, by: str) -> Prom:
    """Return a quantile of a histogram, for each set of the labels `by`."""
    buckets = f"sum by (le, {by}) (rate({family}_bucket{{{labels}}}[$__rate_interval]))"
    return Prom(f"histogram_quantile({share}, {buckets})", f"{_legend(by)} p{share * 100:.0f}")


def rate(family: str, labels: str, by: str) -> Prom:
    """Return how fast a counter goes up, for each set of the labels `by`."""
    return Prom(f"sum by ({by}) (rate({family}{{{labels}}}[$__rate_interval]))", _legend(by))


def gone_up(family: str, labels: str, by: str, *, called: str = "") -> Prom:
    """Return by how much a counter went up at each step, for each set of the labels `by` where it did."""
    expr = f"sum by ({by}) ({risen(family, labels, '$__rate_interval')}) > 0"
    return Prom(expr, f"{_legend(by)} {called}".strip())


def in_range(family: str, labels: str) -> Prom:
    """Return by how much a counter went up in the time shown, as one number."""
    return total(f"sum({risen(family, labels, '$__range')})")


def risen(family: str, labels: str, span: str) -> str:
    """Return an expression: by how much each counter went up within a span of time.

    `increase` does not see the first value of a counter that was not there, and a counter of losses is not there before
    the first loss. So what was not there before counts with all it has.
    """
    counter = f"{family}{{{labels}}}"
    before = f"{counter} offset {span}"
    return f"(increase({counter}[{span}]) and {before}) or ({counter} unless {before})"


def total(expr: str) -> Prom:
    """Return one number, 0 where there is nothing."""
    return Prom(f"({expr}) or vector(0)", instant=True)


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
