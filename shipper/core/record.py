"""What travels through Shipper: rows as they were read, and records as they are shipped.

A source returns a `Batch` of rows; the pipeline files every row under its labels and makes it a record.
Records travel as a `Stream`, which holds them in columns: a column is encoded five times faster than as many
objects (`docs/decisions/0003-records-travel-in-columns.md`). `Record` is the same thing seen one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

Row = Mapping[str, object]
"""One outside thing before it is a record: the fields of a row, a message or a datagram, in column order."""

CursorValue = bool | int | float | str | bytes | Decimal | datetime | date | time | UUID

Cursor = tuple[CursorValue, ...]
"""How far a source was read: the values of its cursor columns, typed as the driver gave them."""

Measured = Mapping[str, Mapping[tuple[str, ...], float]]
"""Numbers by the name of their family and the values of its labels, without the metric."""


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """Something that came in and is no row: it becomes a dead letter.

    Attributes:
        reason: One word or two for a counter's label, like `not_json`.
        content: What came, as it came.
        metadata: What is known about it, like the message's id.
        fault: What exactly is wrong with it; empty when the reason says it all.
    """

    reason: str
    content: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read returned, and the place to resume from once it is safe.

    An empty batch is normal: there was nothing to report.

    Attributes:
        rows: The fields of every row, in the order the far end gave them.
        read_at_ns: The moment of the poll, nanoseconds since the Unix epoch, UTC.
        cursor: Where to resume; `None` for a source that has no memory.
        refused: What came with the rows and is none.
        metadata: Structured metadata of each row, like a message's id; none: no row has any.
        more: Whether there is more to read at once, so that the next read need not wait for the next poll.
        lost: How many were sent and never reached us since the last batch, by reason, like `kernel`.
        sequence_gaps: How many numbers of senders that number their messages were passed over since the last batch.
        counted: What to add to counters of our own: name of the family, then values of its labels behind `metric`.
        shown: Gauges of our own in the same form; each family shows exactly these series from now on.
    """

    rows: Sequence[Row] = ()
    read_at_ns: int = 0
    cursor: Cursor | None = None
    refused: Sequence[RefusedInput] = ()
    metadata: Sequence[Mapping[str, str]] = ()
    more: bool = False
    lost: Mapping[str, int] = field(default_factory=dict)
    sequence_gaps: int = 0
    counted: Measured = field(default_factory=dict)
    shown: Measured = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One line, the moment it happened, and the labels it is filed under.

    Attributes:
        time_ns: Nanoseconds since the Unix epoch, UTC.
        line: UTF-8 text without a trailing newline.
        labels: Few values per name; together they name the stream.
        metadata: Structured metadata: many values per name, sent along, never indexed.
    """

    time_ns: int
    line: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """Records with the same labels, in the order they were read, held in columns of equal length.

    Attributes:
        labels: The labels of all of them.
        times_ns: Nanoseconds since the Unix epoch, UTC; a sink that needs them ascending sorts.
        lines: UTF-8 text without trailing newlines.
        metadata: Structured metadata of each record; `None` when no record has any.
    """

    labels: Mapping[str, str]
    times_ns: Sequence[int]
    lines: Sequence[bytes]
    metadata: Sequence[Mapping[str, str]] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def part(self, start: int, stop: int) -> Stream:
        """Return the records from `start` up to, not including, `stop`."""
        metadata = None if self.metadata is None else self.metadata[start:stop]
        return Stream(self.labels, self.times_ns[start:stop], self.lines[start:stop], metadata)

    def records(self) -> Iterator[Record]:
        """Yield the records one at a time, for readers that are in no hurry."""
        for index, (time_ns, line) in enumerate(zip(self.times_ns, self.lines, strict=True)):
            metadata = {} if self.metadata is None else self.metadata[index]
            yield Record(time_ns, line, self.labels, metadata)
