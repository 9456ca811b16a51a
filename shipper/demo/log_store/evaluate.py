"""Answers LogQL queries from catalog and storage: lines for log queries, samples for metric ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from shipper.demo.log_store.catalog import Catalog, KnownStream
from shipper.demo.log_store.golang import NS_PER_SECOND
from shipper.demo.log_store.logql import LogQuery, MetricQuery, RangeCount, Sum, Vector
from shipper.demo.log_store.storage import Storage, StoredEntry, StoredLine

SeriesKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start_ns` to `end_ns`; log queries leave the end out."""

    start_ns: int
    end_ns: int


@dataclass(slots=True)
class FoundStream:
    """One stream of an answer: its labels and the (time, line, metadata) found in it."""

    labels: Mapping[str, str]
    lines: list[tuple[int, str, Mapping[str, str]]] = field(default_factory=list)


class Evaluator:
    """Reads what was stored; safe to use beside the pushes, from any thread."""

    def __init__(self, catalog: Catalog, storage: Storage) -> None:
        self._catalog = catalog
        self._storage = storage

    def streams(self, tenant: str, query: LogQuery, window: Window) -> list[KnownStream]:
        """Return the selected streams that may have entries in the window."""
        return [
            stream
            for stream in self._catalog.matching(tenant, query.accepts_labels)
            if stream.spans(window.start_ns, window.end_ns)
        ]

    def stored_lines(self, tenant: str, query: LogQuery) -> list[StoredLine]:
        """Return every stored entry by time, duplicates of cut blocks included."""
        everything = Window(start_ns=-(1 << 63), end_ns=(1 << 63) - 1)
        return [
            StoredLine(entry.time_ns, entry.line, stream.label_map, orjson.loads(entry.metadata))
            for stream, entry in self._entries(tenant, query, everything)
        ]

    def totals(self, tenant: str, query: LogQuery, window: Window) -> tuple[int, int, int]:
        """Return the number of streams, of entries and of line bytes in the window."""
        stream_ids = [stream.stream_id for stream in self.streams(tenant, query, window)]
        entries, size_bytes = self._storage.totals(
            stream_ids, start_ns=window.start_ns, end_ns=window.end_ns
        )
        return len(stream_ids), entries, size_bytes

    def lines(
        self,
        tenant: str,
        query: LogQuery,
        window: Window,
        *,
        max_entries: int,
        newest_first: bool,
        fold_metadata: bool,
    ) -> list[FoundStream]:
        """Return the first `max_entries` lines, by stream.

        With `fold_metadata` the metadata is part of the labels, and a pushed stream can come back
        as several. Duplicates that were stored twice are shown once, as Loki shows them.
        """
        found: dict[object, FoundStream] = {}
        seen: set[tuple[int, str]] = set()
        seen_at_ns: int | None = None
        left = max_entries
        for stream, entry in self._entries(tenant, query, window, newest_first=newest_first):
            if entry.time_ns != seen_at_ns:
                seen.clear()
                seen_at_ns = entry.time_ns
            if (entry.stream_id, entry.line) in seen:
                continue
            if left == 0:
                break
            left -= 1
            seen.add((entry.stream_id, entry.line))
            key = (entry.stream_id, entry.metadata if fold_metadata else "")
            metadata = orjson.loads(entry.metadata)
            if key not in found:
                folded = metadata if fold_metadata else {}
                found[key] = FoundStream(folded_labels(stream.label_map, folded, query.dropped))
            found[key].lines.append((entry.time_ns, entry.line, metadata))
        return list(found.values())

    def samples(
        self, tenant: str, metric: MetricQuery, instants_ns: range
    ) -> dict[SeriesKey, dict[int, float]]:
        """Return each series' value by instant (ns); an instant without entries has no value."""
        match metric:
            case Vector():
                return {(): dict.fromkeys(instants_ns, metric.value)}
            case RangeCount():
                return self._counts(tenant, metric, instants_ns)
            case Sum():
                return _summed(self.samples(tenant, metric.metric, instants_ns), metric)

    def _counts(
        self, tenant: str, count: RangeCount, instants_ns: range
    ) -> dict[SeriesKey, dict[int, float]]:
        # A range leaves its start out and takes its end in.
        window = Window(start_ns=instants_ns[0] - count.range_ns + 1, end_ns=instants_ns[-1] + 1)
        divisor = count.range_ns / NS_PER_SECOND if count.per_second else 1
        return {
            key: {
                instant_ns: entries / divisor
                for instant_ns in instants_ns
                if (
                    entries := bisect_right(times_ns, instant_ns)
                    - bisect_right(times_ns, instant_ns - count.range_ns)
                )
            }
            for key, times_ns in self._times(tenant, count.log, window).items()
        }

    def _times(self, tenant: str, query: LogQuery, window: Window) -> dict[SeriesKey, list[int]]:
        times: dict[SeriesKey, list[int]] = {}
        keys: dict[tuple[int, str], SeriesKey] = {}
        for stream, entry in self._entries(tenant, query, window):
            source = (entry.stream_id, entry.metadata)
            if source not in keys:
                metadata = orjson.loads(entry.metadata)
                labels = folded_labels(stream.label_map, metadata, query.dropped)
                keys[source] = tuple(sorted(labels.items()))
            times.setdefault(keys[source], []).append(entry.time_ns)
        return times

    def _entries(
        self, tenant: str, query: LogQuery, window: Window, *, newest_first: bool = False
    ) -> Iterator[tuple[KnownStream, StoredEntry]]:
        streams = {stream.stream_id: stream for stream in self.streams(tenant, query, window)}
        for entry in self._storage.entries(
            streams, start_ns=window.start_ns, end_ns=window.end_ns, newest_first=newest_first
        ):
            if query.accepts_line(entry.line):
                yield streams[entry.stream_id], entry


def folded_labels(
    labels: Mapping[str, str], metadata: Mapping[str, str], dropped: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Return labels and metadata as one set; metadata named as a label gets `_extracted`."""
    folded = dict(labels)
    for name, value in metadata.items():
        folded[f"{name}_extracted" if name in labels else name] = value
    return {name: folded[name] for name in sorted(folded) if name not in dropped}


def _summed(
    series: Mapping[SeriesKey, Mapping[int, float]], by: Sum
) -> dict[SeriesKey, dict[int, float]]:
    totals: dict[SeriesKey, dict[int, float]] = {}
    for key, values in series.items():
        group = tuple(pair for pair in key if (pair[0] in by.labels) != by.without)
        total = totals.setdefault(group, {})
        for instant_ns, value in values.items():
            total[instant_ns] = total.get(instant_ns, 0.0) + value
    return totals
