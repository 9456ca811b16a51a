"""The part of a spool that belongs to one sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipper.pipeline.spool.parcel import Parcel
from shipper.pipeline.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Shelf:
    """What waits on disk for one sink: put at the end, taken at the front.

    Attributes:
        spool: Where it lies.
        sink: The sink's name.
        max_bytes: How much may lie here, as it is on the disk.
    """

    spool: Spool
    sink: str
    max_bytes: int

    @property
    def lines(self) -> int:
        """How many lines lie here."""
        return self.spool.lines(self.sink)

    @property
    def weight_bytes(self) -> int:
        """How many bytes they take."""
        return self.spool.size_bytes(self.sink)

    @property
    def full(self) -> bool:
        """Whether no more may be put here."""
        return self.weight_bytes >= self.max_bytes

    def keep(self, parcels: Sequence[Parcel]) -> Sequence[Parcel] | None:
        """Put parcels at the end and return them with their numbers, once the disk has them; `None` if it cannot."""
        return self.spool.keep(self.sink, parcels)

    def oldest(self, *, max_weight_bytes: int) -> Sequence[Parcel]:
        """Return the oldest parcel and others of the same stream that fit into one push with it, in their order."""
        return self.spool.oldest(self.sink, max_weight_bytes=max_weight_bytes)

    def oldest_put_ns(self) -> int | None:
        """Return since when the oldest waits."""
        return self.spool.oldest_put_ns(self.sink)

    def forget(self, parcels: Sequence[Parcel], *, left: Parcel | None = None) -> None:
        """Take parcels away; what is `left` of them stays in their place."""
        self.spool.forget(self.sink, parcels, left=left)

    def pass_over(self, labels: Mapping[str, str]) -> None:
        """Let another stream go first, once."""
        self.spool.pass_over(self.sink, labels)

    def make_room(self, *, spared: Sequence[Parcel]) -> int:
        """Drop the oldest that are not `spared` until the rest is within `max_bytes`; return how many lines."""
        return self.spool.make_room(self.sink, self.max_bytes, spared=spared)
