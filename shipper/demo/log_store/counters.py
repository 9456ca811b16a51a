"""What the store counts about itself, under the names of Loki's own metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True, eq=False)
class Counters(Collector):
    """Counts by tenant, and refusals by reason and tenant; read by Prometheus's text format."""

    lines_received: Counter[str] = field(default_factory=Counter)
    bytes_received: Counter[str] = field(default_factory=Counter)
    discarded: Counter[tuple[str, str]] = field(default_factory=Counter)
    active_streams: Counter[str] = field(default_factory=Counter)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        lines = CounterMetricFamily(
            "loki_distributor_lines_received", "Lines received by tenant.", labels=["tenant"]
        )
        for tenant, count in list(self.lines_received.items()):
            lines.add_metric([tenant], count)
        yield lines
        received = CounterMetricFamily(
            "loki_distributor_bytes_received", "Uncompressed bytes by tenant.", labels=["tenant"]
        )
        for tenant, count in list(self.bytes_received.items()):
            received.add_metric([tenant], count)
        yield received
        discarded = CounterMetricFamily(
            "loki_discarded_samples", "Discarded samples by reason.", labels=["reason", "tenant"]
        )
        for (reason, tenant), count in list(self.discarded.items()):
            discarded.add_metric([reason, tenant], count)
        yield discarded
        streams = GaugeMetricFamily(
            "loki_ingester_memory_streams", "Active streams by tenant.", labels=["tenant"]
        )
        for tenant, count in list(self.active_streams.items()):
            streams.add_metric([tenant], count)
        yield streams
