"""Turns a stream into one that Loki takes: legal labels and metadata, times in order, lines that are not too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.sinks.loki.labels import LabelBook
from shipper.sinks.loki.metadata import LegalPairs, MetadataRules

MAX_LINE_BYTES = 262_144
"""Loki's default `max_line_size`."""

RECORD_OVERHEAD_BYTES = 24
"""What a record weighs before compression besides its line and metadata."""

MAX_TIME_NS = 2**63 - 1
"""The year 2262, where Loki's own count of nanoseconds ends."""


@dataclass(frozen=True, slots=True)
class Push:
    """One stream, ready to be encoded.

    Attributes:
        selector: The labels as text.
        stream: The records as Loki will get them.
        places: Where each of them stood in the stream that was asked for; `None` when nothing moved.
        size_bytes: What it weighs before compression, estimated.
        lines_cut: How many lines were too long.
        pairs_cut: How many pairs of structured metadata did not fit.
    """

    selector: str
    stream: Stream
    places: Sequence[int] | None
    size_bytes: int
    lines_cut: int
    pairs_cut: int

    def in_asked_order(self, rejections: Sequence[Rejection]) -> Sequence[Rejection]:
        """Number rejections by the stream that was asked for, in ascending order."""
        if self.places is None:
            return rejections
        moved = (replace(one, index=self.places[one.index]) for one in rejections)
        return sorted(moved, key=lambda one: one.index)


class Preparer:
    """Prepares one stream after the other."""

    def __init__(self) -> None:
        self._labels = LabelBook()
        self._metadata = MetadataRules()

    def prepare(self, stream: Stream) -> Push:
        """Return the push that delivers `stream`."""
        places = _places_in_time(stream.times_ns)
        ordered = stream if places is None else _reordered(stream, places)
        legal = self._labels.look_up(stream.labels)
        lines, lines_cut = _cut_lines(ordered.lines)
        applied = self._legal_metadata(ordered, legal.moved)
        metadata = None if applied is None else [one.pairs for one in applied]
        size_bytes = RECORD_OVERHEAD_BYTES * len(lines) + sum(map(len, lines))
        return Push(
            selector=legal.selector,
            stream=Stream(legal.labels, _clamped(ordered.times_ns), lines, metadata),
            places=places,
            size_bytes=size_bytes + sum(one.size_bytes for one in applied or ()),
            lines_cut=lines_cut,
            pairs_cut=sum(one.cut for one in applied or ()),
        )

    def _legal_metadata(
        self, stream: Stream, moved: Mapping[str, str]
    ) -> Sequence[LegalPairs] | None:
        if stream.metadata is None and not moved:
            return None
        given = stream.metadata if stream.metadata is not None else [{}] * len(stream)
        return [self._metadata.apply(pairs, moved) for pairs in given]


def cut_line(line: bytes) -> bytes:
    """Shorten a line to 262144 bytes, with a mark that says how many bytes were lost.

    Loki can cut by itself (`max_line_size_truncate`), but does so in the middle of characters and is not told to by
    default: then it refuses the record.
    """
    end = MAX_LINE_BYTES - len(_cut_mark(len(line)))
    first = end - _MAX_CONTINUATION_BYTES
    while end > first and line[end] & 0xC0 == 0x80:
        end -= 1
    return line[:end] + _cut_mark(len(line) - end)


_MAX_CONTINUATION_BYTES = 3


def _cut_mark(lost_bytes: int) -> bytes:
    return f" ...[cut {lost_bytes} bytes]".encode()


def _cut_lines(lines: Sequence[bytes]) -> tuple[Sequence[bytes], int]:
    if max(map(len, lines), default=0) <= MAX_LINE_BYTES:
        return lines, 0
    cut = sum(len(line) > MAX_LINE_BYTES for line in lines)
    return [cut_line(line) if len(line) > MAX_LINE_BYTES else line for line in lines], cut


def _places_in_time(times_ns: Sequence[int]) -> Sequence[int] | None:
    """Return the places from the oldest record to the newest; `None` when they are in order already.

    Loki refuses an entry an hour older than the newest of its stream, even within one push.
    """
    if isinstance(times_ns, range) or sorted(times_ns) == list(times_ns):
        return None
    return sorted(range(len(times_ns)), key=times_ns.__getitem__)


def _reordered(stream: Stream, places: Sequence[int]) -> Stream:
    return Stream(
        stream.labels,
        [stream.times_ns[place] for place in places],
        [stream.lines[place] for place in places],
        None if stream.metadata is None else [stream.metadata[place] for place in places],
    )


def _clamped(times_ns: Sequence[int]) -> Sequence[int]:
    """Keep times within what can be written; Loki refuses those at both ends, as it should."""
    if not times_ns or (times_ns[0] >= 0 and times_ns[-1] <= MAX_TIME_NS):
        return times_ns
    return [min(max(time_ns, 0), MAX_TIME_NS) for time_ns in times_ns]
