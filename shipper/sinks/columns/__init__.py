"""Prometheus metrics made from the columns of rows, as the `metrics` of an entry ask for."""

from shipper.sinks.columns.family import column_family
from shipper.sinks.columns.metrics import ColumnMetrics

__all__ = ["ColumnMetrics", "column_family"]
