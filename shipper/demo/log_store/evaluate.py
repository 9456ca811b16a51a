"""Answers LogQL queries from catalog and storage: lines for log queries, samples for metric ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from shipper.demo.log_store.aggregates import SeriesKey, aggregated, over_time, series_key
from shipper.demo.log_store.catalog import Catalog, KnownStream
from shipper.demo.log_store.expressions import (
    Aggregation,
    LogQuery,
    MetricQuery,
    RangeFunction,
    Vector,
)
from shipper.demo.log_store.golang import NS_PER_SECOND
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.stages import ERROR, Line
from shipper.demo.log_store.storage import Storage, StoredEntry, StoredLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start_ns` to `end_ns`; log queries leave the end out."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line of an answer; `parsed` are labels that the query made of it."""

    time_ns: int
    text: str
    metadata: Mapping[str, str]
    parsed: Mapping[str, str]


@dataclass(slots=True)
class FoundStream:
    """One stream of an answer: its labels and what was found in it."""

    labels: Mapping[str, str]
    lines: list[FoundLine] = field(default_factory=list)


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
        found: dict[SeriesKey, FoundStream] = {}
        seen: set[tuple[int, str]] = set()
        seen_at_ns: int | None = None
        left = max_entries
        for stream, entry, line in self._staged(tenant, query, window, newest_first=newest_first):
            if entry.time_ns != seen_at_ns:
                seen.clear()
                seen_at_ns = entry.time_ns
            if (entry.stream_id, entry.line) in seen:
                continue
            if left == 0:
                break
            left -= 1
            seen.add((entry.stream_id, entry.line))
            own, metadata, parsed = _categorized(stream, entry, line)
            labels = line.labels if fold_metadata else own
            key = tuple(sorted(labels.items()))
            found.setdefault(key, FoundStream(dict(key))).lines.append(
                FoundLine(entry.time_ns, line.text, metadata, parsed)
            )
        return list(found.values())

    def samples(
        self, tenant: str, metric: MetricQuery, instants_ns: range
    ) -> dict[SeriesKey, dict[int, float]]:
        """Return each series' value by instant (ns); an instant without entries has no value."""
        match metric:
            case Vector():
                return {(): dict.fromkeys(instants_ns, metric.value)}
            case RangeFunction():
                return self._over_ranges(tenant, metric, instants_ns)
            case Aggregation():
                return aggregated(self.samples(tenant, metric.metric, instants_ns), metric)

    def _over_ranges(
        self, tenant: str, asked: RangeFunction, instants_ns: range
    ) -> dict[SeriesKey, dict[int, float]]:
        # A range leaves its start out and takes its end in.
        window = Window(start_ns=instants_ns[0] - asked.range_ns + 1, end_ns=instants_ns[-1] + 1)
        seconds = asked.range_ns / NS_PER_SECOND
        series: dict[SeriesKey, dict[int, float]] = {}
        for key, points in self._points(tenant, asked, window).items():
            series[key] = {}
            for instant_ns in instants_ns:
                first = bisect_right(points.times_ns, instant_ns - asked.range_ns)
                end = bisect_right(points.times_ns, instant_ns)
                if first < end:
                    values = points.values[first:end]
                    series[key][instant_ns] = over_time(asked.function, values, seconds)
        return series

    def _points(
        self, tenant: str, asked: RangeFunction, window: Window
    ) -> dict[SeriesKey, _Points]:
        series: dict[SeriesKey, _Points] = {}
        for _, entry, line in self._staged(tenant, asked.log, window):
            if ERROR in line.labels:
                raise _pipeline_error(line)
            points = series.setdefault(series_key(line.labels, asked.grouping), _Points())
            points.times_ns.append(entry.time_ns)
            counts_bytes = asked.function == "bytes_over_time"
            points.values.append(float(len(line.text.encode())) if counts_bytes else line.value)
        return series

    def _staged(
        self, tenant: str, query: LogQuery, window: Window, *, newest_first: bool = False
    ) -> Iterator[tuple[KnownStream, StoredEntry, Line]]:
        """Yield the entries with what the query makes of them; metadata are labels for it."""
        folded: dict[tuple[int, str], Mapping[str, str]] = {}
        for stream, entry in self._entries(tenant, query, window, newest_first=newest_first):
            source = (entry.stream_id, entry.metadata)
            if source not in folded:
                folded[source] = folded_labels(stream.label_map, orjson.loads(entry.metadata))
            if (line := query.staged(entry.line, folded[source])) is not None:
                yield stream, entry, line

    def _entries(
        self, tenant: str, query: LogQuery, window: Window, *, newest_first: bool = False
    ) -> Iterator[tuple[KnownStream, StoredEntry]]:
        streams = {stream.stream_id: stream for stream in self.streams(tenant, query, window)}
        for entry in self._storage.entries(
            streams, start_ns=window.start_ns, end_ns=window.end_ns, newest_first=newest_first
        ):
            if query.accepts_line(entry.line):
                yield streams[entry.stream_id], entry


@dataclass(slots=True)
class _Points:
    times_ns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def folded_labels(labels: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return labels and metadata as one set; metadata named as a label gets `_extracted`."""
    folded = dict(labels)
    for name, value in metadata.items():
        folded[f"{name}_extracted" if name in labels else name] = value
    return {name: folded[name] for name in sorted(folded)}


def _categorized(
    stream: KnownStream, entry: StoredEntry, line: Line
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the labels of a line apart: the stream's, its metadata, and what was parsed."""
    of_stream = stream.label_map
    own, metadata, parsed = dict[str, str](), dict[str, str](), dict[str, str]()
    pushed = folded_labels(of_stream, orjson.loads(entry.metadata))
    for name, value in line.labels.items():
        group = own if name in of_stream else metadata if name in pushed else parsed
        group[name] = value
    return own, metadata, parsed


def _pipeline_error(line: Line) -> Refused:
    error = line.labels[ERROR]
    shown = ", ".join(f'{name}="{value}"' for name, value in sorted(line.labels.items()))
    return Refused(
        400,
        f"pipeline error: '{error}' for series: '{{{shown}}}'.\nUse a label filter to intentionally skip this error. "
        f'(e.g | {ERROR}!="{error}").\n'
        f'To skip all potential errors you can match empty errors.(e.g {ERROR}="")',
    )
