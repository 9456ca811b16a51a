"""The ingester's side of a push: active streams, order, duplicates and the rates of single streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from shipper.demo.log_store.catalog import Catalog, KnownStream
from shipper.demo.log_store.counters import Counters
from shipper.demo.log_store.golang import NS_PER_SECOND, byte_size, rfc3339, time_string
from shipper.demo.log_store.labels import Labels
from shipper.demo.log_store.limits import Limits, TokenBucket
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.storage import Storage, StoredEntry

# Loki's max_returned_stream_errors: how many entries a refusal names.
_NAMED_ENTRIES = 10


@dataclass(slots=True)
class _ActiveStream:
    known: KnownStream
    bucket: TokenBucket
    used_at_ns: int
    highest_ns: int | None = None
    last: tuple[int, str] | None = None
    head: set[tuple[int, str]] = field(default_factory=set)
    head_bytes: int = 0

    def append(self, entry: AcceptedEntry, *, head_block_bytes: int) -> bool:
        """Put the entry into the head block; False when the block already holds it."""
        key = (entry.time_ns, entry.line)
        if key in self.head:
            return False
        self.head.add(key)
        self.head_bytes += entry.size_bytes
        if self.head_bytes >= head_block_bytes:
            # The block is cut, and with it goes the memory of duplicates.
            self.head.clear()
            self.head_bytes = 0
        self.known.first_ns = min(self.known.first_ns, entry.time_ns)
        self.known.last_ns = max(self.known.last_ns, entry.time_ns)
        return True


@dataclass(slots=True)
class _Sorted:
    """The entries of one push to one stream, sorted into good ones and ones too far behind."""

    highest_ns: int | None
    last: tuple[int, str] | None
    good: list[AcceptedEntry] = field(default_factory=list)
    behind: list[tuple[AcceptedEntry, str]] = field(default_factory=list)


class ActiveStreams:
    """The streams that got entries lately, with what their order and rates are judged by."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        *,
        limits: Limits,
        counters: Counters,
        clock: Callable[[], int],
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._limits = limits
        self._counters = counters
        self._clock = clock
        self._active: dict[tuple[str, Labels], _ActiveStream] = {}
        self._recall()

    def append(
        self, tenant: str, stream: AcceptedStream
    ) -> tuple[list[AcceptedEntry], Refused | None]:
        """Store what may be stored of a stream; return that, and the refusal of the rest."""
        active = self._open(tenant, stream)
        if active is None:
            self._counters.discarded["stream_limit", tenant] += len(stream.entries)
            return [], _stream_limit_refusal(tenant, stream.text)
        in_order = self._sort(active, stream.entries)
        if not active.bucket.take(sum(entry.size_bytes for entry in in_order.good)):
            self._counters.discarded["per_stream_rate_limit", tenant] += len(in_order.good)
            return [], self._rate_refusal(tenant, stream, in_order.good)
        kept = self._keep(active, in_order)
        if not in_order.behind:
            return kept, None
        self._counters.discarded["too_far_behind", tenant] += len(in_order.behind)
        return kept, _entries_refusal(400, tenant, stream, in_order.behind)

    def _sort(self, active: _ActiveStream, entries: list[AcceptedEntry]) -> _Sorted:
        in_order = _Sorted(active.highest_ns, active.last)
        for entry in entries:
            # Metadata is not compared: same time and line as the last entry is a duplicate.
            if in_order.last == (entry.time_ns, entry.line):
                continue
            highest_ns = in_order.highest_ns
            if highest_ns is not None:
                oldest_ns = highest_ns - self._limits.behind_seconds * NS_PER_SECOND
                if entry.time_ns < oldest_ns:
                    in_order.behind.append((entry, _too_far_behind(entry.time_ns, oldest_ns)))
                    continue
            in_order.last = (entry.time_ns, entry.line)
            in_order.highest_ns = max(highest_ns or entry.time_ns, entry.time_ns)
            in_order.good.append(entry)
        return in_order

    def _keep(self, active: _ActiveStream, in_order: _Sorted) -> list[AcceptedEntry]:
        block_bytes = self._limits.head_block_bytes
        kept = [
            entry for entry in in_order.good if active.append(entry, head_block_bytes=block_bytes)
        ]
        active.highest_ns = in_order.highest_ns
        active.last = in_order.last
        self._storage.add_entries(
            [
                StoredEntry(
                    active.known.stream_id,
                    entry.time_ns,
                    entry.line,
                    orjson.dumps(dict(entry.metadata)).decode(),
                )
                for entry in kept
            ]
        )
        return kept

    def _open(self, tenant: str, stream: AcceptedStream) -> _ActiveStream | None:
        now_ns = self._clock()
        key = (tenant, stream.labels)
        active = self._active.get(key)
        if active is not None and self._idle(active, now_ns):
            self._forget(key)
            active = None
        if active is None:
            if self._at_limit(tenant):
                self._forget_idle(now_ns)
            if self._at_limit(tenant):
                return None
            active = self._activate(key, self._known(tenant, stream), now_ns)
        active.used_at_ns = now_ns
        return active

    def _at_limit(self, tenant: str) -> bool:
        return self._counters.active_streams[tenant] >= self._limits.max_active_streams

    def _known(self, tenant: str, stream: AcceptedStream) -> KnownStream:
        known = self._catalog.find(tenant, stream.labels)
        if known is not None:
            return known
        first_ns = stream.entries[0].time_ns
        stream_id = self._storage.add_stream(tenant, stream.labels)
        known = KnownStream(stream_id, tenant, stream.labels, first_ns, first_ns)
        self._catalog.add(known)
        return known

    def _activate(self, key: tuple[str, Labels], known: KnownStream, now_ns: int) -> _ActiveStream:
        limits = self._limits
        bucket = TokenBucket(limits.stream_rate_bytes, limits.stream_burst_bytes, self._clock)
        self._active[key] = active = _ActiveStream(known, bucket, now_ns)
        self._counters.active_streams[known.tenant] += 1
        return active

    def _idle(self, active: _ActiveStream, now_ns: int) -> bool:
        return now_ns - active.used_at_ns > self._limits.stream_idle_seconds * NS_PER_SECOND

    def _forget_idle(self, now_ns: int) -> None:
        idle = [key for key, active in self._active.items() if self._idle(active, now_ns)]
        for key in idle:
            self._forget(key)

    def _forget(self, key: tuple[str, Labels]) -> None:
        del self._active[key]
        self._counters.active_streams[key[0]] -= 1

    def _recall(self) -> None:
        """Take up the streams of a file that was written before, as Loki replays its WAL."""
        last_lines = self._storage.last_lines()
        now_ns = self._clock()
        for known in self._storage.streams():
            stored = self._catalog.find(known.tenant, known.labels) or known
            active = self._activate((known.tenant, known.labels), stored, now_ns)
            active.highest_ns = known.last_ns
            active.last = last_lines.get(known.stream_id)

    def _rate_refusal(
        self, tenant: str, stream: AcceptedStream, entries: list[AcceptedEntry]
    ) -> Refused:
        rate = byte_size(self._limits.stream_rate_bytes)
        named = [
            (
                entry,
                (
                    f"Per stream rate limit exceeded (limit: {rate}/sec) while attempting to ingest for "
                    f"stream '{stream.text}' totaling {byte_size(entry.line_bytes)}, consider splitting "
                    "a stream via additional labels or contact your Loki administrator to see if the "
                    "limit can be increased"
                ),
            )
            for entry in entries
        ]
        return _entries_refusal(429, tenant, stream, named)


def _too_far_behind(time_ns: int, oldest_ns: int) -> str:
    return (
        f"entry too far behind, entry timestamp is: {rfc3339(time_ns)}, "
        f"oldest acceptable timestamp is: {rfc3339(oldest_ns)}"
    )


def _entries_refusal(
    status: int, tenant: str, stream: AcceptedStream, refused: list[tuple[AcceptedEntry, str]]
) -> Refused:
    named = "".join(
        f"entry with timestamp {time_string(entry.time_ns)} ignored, reason: '{reason}',\n"
        for entry, reason in refused[:_NAMED_ENTRIES]
    )
    totals = f"total ignored: {len(refused)} out of {len(stream.entries)}"
    return Refused(status, f"{named}user '{tenant}', {totals} for stream: {stream.text}")


def _stream_limit_refusal(tenant: str, text: str) -> Refused:
    return Refused(
        429,
        f"maximum active stream limit exceeded when trying to create stream {text}, reduce the "
        "number of active streams (reduce labels or reduce label values), or contact your Loki "
        f"administrator to see if the limit can be increased, user: '{tenant}'",
    )
