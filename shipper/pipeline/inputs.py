"""What becomes of what came in and is no row: counted, told and kept as dead letters, like what a sink refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shipper.core.ports import Rejection
from shipper.core.record import Batch, Stream
from shipper.pipeline.refusals import Refusals

SOURCE = "source"
"""Stands where a dead letter names the sink that refused it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Takes what a source could make no row of.

    Attributes:
        refusals: Where it is counted and kept.
        labels: The labels of the metric's lines.
    """

    refusals: Refusals
    labels: Mapping[str, str]

    @property
    def safe(self) -> bool:
        """Whether all of it is on disk; tries again where it is not."""
        self.refusals.write_waiting()
        return self.refusals.all_written

    def take(self, batch: Batch) -> None:
        """Set aside what is no row."""
        if not batch.refused:
            return
        stream = Stream(
            self.labels,
            [batch.read_at_ns] * len(batch.refused),
            [each.content for each in batch.refused],
            [each.metadata for each in batch.refused],
        )
        rejections = [
            Rejection(index, each.reason, each.fault) for index, each in enumerate(batch.refused)
        ]
        self.refusals.received = len(batch.rows) + len(batch.refused)
        self.refusals.take(stream, rejections, again=False)
