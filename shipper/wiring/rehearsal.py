"""Asks a stand-in what Loki would say to streams, so that nothing has to be delivered to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shipper.core.errors import BatchRefused, BatchToSplit, SinkUnavailable
from shipper.core.ports import Rejection, Sink
from shipper.core.record import Stream
from shipper.sinks.loki.limits import LokiLimits
from shipper.sinks.loki.settings import LokiSettings

if TYPE_CHECKING:
    from shipper.demo.log_store import Limits

_NO_LIMIT = 1 << 50
_NO_LIMIT_SECONDS = 1 << 32


@dataclass(frozen=True, slots=True)
class Opinion:
    """What became of one stream.

    Attributes:
        stream: The stream.
        refused: The records that would be refused, by their place in the stream.
        waits: Why it would not be taken at once; empty when it would.
    """

    stream: Stream
    refused: Sequence[Rejection] = ()
    waits: str = ""


def opinions(loki: LokiSettings, limits: LokiLimits, streams: Sequence[Stream]) -> list[Opinion]:
    """Push the streams to a log store in this process, the way they would be pushed to Loki."""
    # The demo's far ends are a third of all imports; nothing else waits for them.
    from shipper.demo.log_store import LogStore

    with LogStore(limits=_limits(limits)) as store:
        sink = loki.rehearsal(store.url).build()
        try:
            return [opinion(sink, stream) for stream in streams]
        finally:
            sink.close()


def opinion(sink: Sink, stream: Stream) -> Opinion:
    """Write one stream, in parts where it has to be."""
    try:
        return Opinion(stream, list(sink.write(stream)))
    except SinkUnavailable as error:
        return Opinion(stream, waits=str(error))
    except BatchRefused as error:
        every = [Rejection(index, error.reason, str(error)) for index in range(len(stream))]
        return Opinion(stream, every)
    except BatchToSplit as error:
        if len(stream) == 1:
            return Opinion(stream, [Rejection(0, error.reason, str(error))])
    middle = len(stream) // 2
    first = opinion(sink, stream.part(0, middle))
    second = opinion(sink, stream.part(middle, len(stream)))
    moved = [replace(each, index=each.index + middle) for each in second.refused]
    return Opinion(stream, [*first.refused, *moved], first.waits or second.waits)


def _limits(limits: LokiLimits) -> Limits:
    """Return the limits as the log store knows them."""
    from shipper.demo.log_store import Limits

    uncut = 0 if limits.cuts_lines else limits.max_line_bytes
    return Limits(
        max_line_bytes=uncut or _NO_LIMIT,
        max_label_names=limits.max_label_names,
        max_label_name_bytes=limits.max_label_name_bytes,
        max_label_value_bytes=limits.max_label_value_bytes,
        max_metadata_entries=limits.max_metadata_pairs or _NO_LIMIT,
        max_metadata_bytes=limits.max_metadata_bytes or _NO_LIMIT,
        allow_metadata=limits.takes_metadata,
        old_seconds=limits.old_seconds if limits.refuses_old else _NO_LIMIT_SECONDS,
        new_seconds=limits.new_seconds,
        tenant_rate_bytes=limits.rate_bytes,
        tenant_burst_bytes=limits.burst_bytes,
        stream_rate_bytes=limits.stream_rate_bytes,
        stream_burst_bytes=limits.stream_burst_bytes,
        max_active_streams=limits.max_streams or _NO_LIMIT,
    )
