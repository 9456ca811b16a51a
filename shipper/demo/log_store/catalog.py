"""The streams the store has ever seen, kept in memory: their labels, and the time they span."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shipper.demo.log_store.labels import Labels


@dataclass(slots=True)
class KnownStream:
    """A stored stream; `first_ns` and `last_ns` grow with its entries."""

    stream_id: int
    tenant: str
    labels: Labels
    first_ns: int
    last_ns: int
    label_map: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.label_map = dict(self.labels)

    def spans(self, start_ns: int, end_ns: int) -> bool:
        """Return whether the stream may have entries from `start_ns` to `end_ns`."""
        return self.first_ns <= end_ns and self.last_ns >= start_ns


class Catalog:
    """Finds streams by tenant and labels, and by what a selector accepts."""

    def __init__(self, streams: Iterable[KnownStream]) -> None:
        self._streams = {(stream.tenant, stream.labels): stream for stream in streams}

    def find(self, tenant: str, labels: Labels) -> KnownStream | None:
        """Return the stream of exactly these labels."""
        return self._streams.get((tenant, labels))

    def add(self, stream: KnownStream) -> None:
        """Remember a stream that was just created."""
        self._streams[stream.tenant, stream.labels] = stream

    def matching(
        self, tenant: str, accepts: Callable[[Mapping[str, str]], bool]
    ) -> list[KnownStream]:
        """Return the tenant's streams whose labels are accepted."""
        # A copy first: queries run beside the pushes that add streams.
        return [
            stream
            for stream in list(self._streams.values())
            if stream.tenant == tenant and accepts(stream.label_map)
        ]
