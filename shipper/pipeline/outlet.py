"""The way from a worker's rows to sinks that want the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shipper.core.record import Batch, Row
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing


@dataclass(frozen=True, slots=True)
class Outlet:
    """Sinks of a worker: which rows they want, how these are filed, once for all, and how they are delivered.

    Attributes:
        deliveries: The sinks, each with its queue.
        filing: Makes records of rows.
        wants: Tells whether a row is meant for the sinks; `None`: all are.
    """

    deliveries: Sequence[Delivery]
    filing: Filing
    wants: Callable[[Row], bool] | None = None

    def put(self, batch: Batch) -> bool:
        """Queue what the sinks want of a batch; False when that is nothing."""
        streams = self.filing.streams(self._wanted(batch))
        if streams:
            for delivery in self.deliveries:
                delivery.queue.put_together(streams)
        return bool(streams)

    def _wanted(self, batch: Batch) -> Batch:
        if self.wants is None:
            return batch
        places = [place for place, row in enumerate(batch.rows) if self.wants(row)]
        if len(places) == len(batch.rows):
            return batch
        return replace(
            batch,
            rows=[batch.rows[place] for place in places],
            metadata=[batch.metadata[place] for place in places] if batch.metadata else (),
        )
