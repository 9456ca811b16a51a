"""Files rows under their labels: rows in, streams of records out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shipper.core.record import Batch, Row, Stream
from shipper.pipeline.lines import json_lines, logfmt_lines, text
from shipper.pipeline.moment import moment_ns

MOST_STREAMS_COUNTED = 10_000
"""Far more than any Loki likes to have of one metric."""


@dataclass(frozen=True, slots=True)
class FilingRules:
    """How the rows of one metric become records.

    Attributes:
        labels: The labels every line gets.
        label_fields: Fields lifted into labels.
        metadata_fields: Fields lifted into structured metadata.
        max_label_values: How many distinct values of one label field become labels.
        time_field: Field that holds the line's own time; `None` for the moment of the poll.
        line: How the fields are written.
        known_fields: Fields that rows may have although those of the first batch do not.
    """

    labels: Mapping[str, str]
    label_fields: Sequence[str] = ()
    metadata_fields: Sequence[str] = ()
    max_label_values: int = 100
    time_field: str | None = None
    line: Literal["json", "logfmt"] = "json"
    known_fields: Collection[str] = ()


class Filing:
    """Turns batches of rows into streams.

    It remembers the distinct values of every label field: those beyond `max_label_values` go to structured
    metadata, and `overflowed` is told the field, once for every such record. `unknown` is told the fields that are
    asked for and stand in no row of the first batch, and those that do.
    """

    def __init__(
        self,
        rules: FilingRules,
        overflowed: Callable[[str], None],
        unknown: Callable[[Sequence[str], Sequence[str]], None] = lambda _wanted, _there: None,
    ) -> None:
        self._rules = rules
        self._overflowed = overflowed
        self._unknown = unknown
        time_field = [rules.time_field] if rules.time_field is not None else []
        wanted = [*rules.label_fields, *rules.metadata_fields, *time_field]
        self._unseen = [name for name in wanted if name not in rules.known_fields]
        self._filed: set[int] = set()
        self._seen: dict[str, set[str]] = {name: set() for name in rules.label_fields}

    @property
    def label_values(self) -> Mapping[str, int]:
        """How many distinct values of every label field were seen and became labels."""
        return {name: len(values) for name, values in self._seen.items()}

    @property
    def streams_filed(self) -> int:
        """How many distinct streams there were; counted up to `MOST_STREAMS_COUNTED`."""
        return len(self._filed)

    def streams(self, batch: Batch) -> list[Stream]:
        """Return the rows of a batch as streams, the records of each in the order of the rows.

        Rows without a time of their own get the moment of the poll, a nanosecond apart, so that their order
        stands and equal rows are not taken for duplicates.
        """
        rows = batch.rows
        if not rows:
            return []
        if self._unseen:
            self._look_for_fields(rows)
        lines = json_lines(rows) if self._rules.line == "json" else logfmt_lines(rows)
        times_ns = self._times_ns(batch)
        if not self._rules.label_fields and not self._rules.metadata_fields:
            self._filed.add(0)
            return [Stream(self._rules.labels, times_ns, lines, batch.metadata or None)]
        return self._grouped(batch, times_ns, lines)

    def _look_for_fields(self, rows: Sequence[Row]) -> None:
        """Find out, once, whether a field that is asked for is misspelt."""
        there = dict.fromkeys(name for row in rows for name in row)
        missing = [name for name in dict.fromkeys(self._unseen) if name not in there]
        self._unseen = []
        if missing:
            self._unknown(missing, list(there))

    def _times_ns(self, batch: Batch) -> Sequence[int]:
        moments = range(batch.read_at_ns, batch.read_at_ns + len(batch.rows))
        field = self._rules.time_field
        if field is None:
            return moments
        return [
            moment if own is None else own
            for moment, own in zip(
                moments, (moment_ns(row.get(field)) for row in batch.rows), strict=True
            )
        ]

    def _grouped(
        self, batch: Batch, times_ns: Sequence[int], lines: Sequence[bytes]
    ) -> list[Stream]:
        groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
        metadata = []
        for index, row in enumerate(batch.rows):
            aside = dict(batch.metadata[index]) if batch.metadata else {}
            for name in self._rules.metadata_fields:
                if row.get(name) is not None:
                    aside[name] = text(row[name])
            groups.setdefault(self._own_labels(row, aside), []).append(index)
            metadata.append(aside)
        if len(self._filed) < MOST_STREAMS_COUNTED:
            self._filed.update(map(hash, groups))
        return [
            Stream(
                {**self._rules.labels, **dict(own_labels)},
                [times_ns[index] for index in members],
                [lines[index] for index in members],
                _or_none([metadata[index] for index in members]),
            )
            for own_labels, members in groups.items()
        ]

    def _own_labels(self, row: Row, aside: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the labels lifted from `row`; what is beyond the allowance goes into `aside`."""
        lifted = []
        for name in self._rules.label_fields:
            value = text(row.get(name))
            if not value:
                continue
            if self._allowed(name, value):
                lifted.append((name, value))
            else:
                aside[name] = value
                self._overflowed(name)
        return tuple(lifted)

    def _allowed(self, name: str, value: str) -> bool:
        seen = self._seen[name]
        if value in seen:
            return True
        if len(seen) >= self._rules.max_label_values:
            return False
        seen.add(value)
        return True


def _or_none(metadata: list[dict[str, str]]) -> list[dict[str, str]] | None:
    return metadata if any(metadata) else None
