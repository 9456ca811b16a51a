"""What a metric from columns looks like on the page."""

from __future__ import annotations

import math

from shipper.config.column_metric import ColumnMetric
from shipper.telemetry.families import Family

USUAL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets of Prometheus's own clients."""


def column_family(asked: ColumnMetric) -> Family:
    """Return the family that an item of `metrics` describes."""
    buckets: tuple[float, ...] = ()
    if asked.type == "histogram":
        given = asked.buckets if asked.buckets is not None else USUAL_BUCKETS
        buckets = tuple(bound for bound in given if math.isfinite(bound))
    sentence = asked.help or (f"From the field {asked.value}." if asked.value else "Rows.")
    return Family(
        asked.name,
        asked.type,
        sentence,
        tuple(sorted((*asked.label_fields, *asked.fixed_labels))),
        buckets,
        absolute=asked.type == "counter" and not asked.increment,
        stale_after_seconds=asked.stale_after_seconds,
    )
