"""A decoded push is checked, measured and stored, or refused as Loki 3.6 refuses it.

The distributor's rules come first (validate, block, tenant rate, message size); what passes goes to
the ingester's streams (`streams.py`). Good entries are stored although the push is then refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shipper.demo.log_store.catalog import Catalog
from shipper.demo.log_store.counters import Counters
from shipper.demo.log_store.limits import Limits, TokenBucket
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream, PushedStream
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.storage import Storage
from shipper.demo.log_store.streams import ActiveStreams
from shipper.demo.log_store.validate import Faults, checked_stream
from shipper.demo.log_store.wire_size import message_bytes

_NO_STREAMS = "error at least one valid stream is required for ingestion"
_TO_FEWER_BYTES = (
    "reduce log volume or contact your Loki administrator to see if the limit can be increased"
)


class Listener(Protocol):
    """Hears of each stream of a push that was stored, for live tailing."""

    def __call__(self, tenant: str, stream: AcceptedStream, kept: list[AcceptedEntry]) -> None:
        """Take the entries that were stored just now."""


class Ingester:
    """Takes pushes one at a time."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        *,
        limits: Limits,
        counters: Counters,
        clock: Callable[[], int],
        listener: Listener,
    ) -> None:
        self._storage = storage
        self._limits = limits
        self._counters = counters
        self._clock = clock
        self._listener = listener
        self._streams = ActiveStreams(
            storage, catalog, limits=limits, counters=counters, clock=clock
        )
        self._buckets: dict[str, TokenBucket] = {}

    def push(self, tenant: str, streams: list[PushedStream]) -> None:
        """Store a push.

        Raises:
            Refused: All of it or a part is not stored; section by section as Loki decides.
        """
        if not streams:
            raise Refused(422, _NO_STREAMS)
        self._count_received(tenant, streams)
        faults = Faults()
        accepted = self._checked(streams, faults)
        self._count_discarded(tenant, faults)
        if accepted:
            self._admit(tenant, accepted)
            self._store(tenant, accepted)
        if faults.texts:
            raise Refused(400, faults.sentence())

    def _checked(self, streams: list[PushedStream], faults: Faults) -> list[AcceptedStream]:
        now_ns = self._clock()
        checked = (
            checked_stream(stream, limits=self._limits, now_ns=now_ns, faults=faults)
            for stream in streams
            if stream.entries
        )
        return [stream for stream in checked if stream is not None]

    def _admit(self, tenant: str, accepted: list[AcceptedStream]) -> None:
        lines = sum(len(stream.entries) for stream in accepted)
        size_bytes = sum(entry.size_bytes for stream in accepted for entry in stream.entries)
        if (until := self._limits.blocked_until) is not None and self._clock() < (
            until.timestamp() * 1_000_000_000
        ):
            self._counters.discarded["blocked_ingestion", tenant] += lines
            when = until.strftime("%Y-%m-%dT%H:%M:%SZ")
            text = f"ingestion blocked for user {tenant} until '{when}' with status code '260'"
            raise Refused(260, text)
        if not self._bucket(tenant).take(size_bytes):
            self._counters.discarded["rate_limited", tenant] += lines
            rate = f"(limit: {self._limits.tenant_rate_bytes} bytes/sec)"
            attempt = f"attempting to ingest '{lines}' lines totaling '{size_bytes}' bytes"
            text = f"ingestion rate limit exceeded for user {tenant} {rate} while {attempt}"
            raise Refused(429, f"{text}, {_TO_FEWER_BYTES}")
        self._admit_message(accepted)

    def _admit_message(self, accepted: list[AcceptedStream]) -> None:
        largest_bytes = self._limits.max_message_bytes
        if (size_bytes := message_bytes(accepted)) > largest_bytes:
            sizes = f"({size_bytes} vs. {largest_bytes})"
            trouble = f"desc = grpc: received message larger than max {sizes}"
            raise Refused(500, f"rpc error: code = ResourceExhausted {trouble}")

    def _store(self, tenant: str, accepted: list[AcceptedStream]) -> None:
        refusal: Refused | None = None
        for stream in accepted:
            # Only the last stream's refusal is told: pkg/ingester/instance.go overwrites the
            # error in its loop, so others are lost behind a 204 (Loki 2.9 to 3.7).
            kept, refusal = self._streams.append(tenant, stream)
            if kept:
                self._listener(tenant, stream, kept)
        self._storage.commit()
        if refusal is not None:
            raise refusal

    def _bucket(self, tenant: str) -> TokenBucket:
        if tenant not in self._buckets:
            limits = self._limits
            self._buckets[tenant] = TokenBucket(
                limits.tenant_rate_bytes, limits.tenant_burst_bytes, self._clock
            )
        return self._buckets[tenant]

    def _count_received(self, tenant: str, streams: list[PushedStream]) -> None:
        self._counters.lines_received[tenant] += sum(len(stream.entries) for stream in streams)
        self._counters.bytes_received[tenant] += sum(
            len(entry.line) for stream in streams for entry in stream.entries
        )

    def _count_discarded(self, tenant: str, faults: Faults) -> None:
        for reason, entries in faults.reasons.items():
            self._counters.discarded[reason, tenant] += entries
