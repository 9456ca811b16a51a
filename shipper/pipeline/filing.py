"""Files rows under their labels: rows in, streams of records out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shipper.core.json_lines import json_lines
from shipper.core.json_rows import JsonRows
from shipper.core.moment import moment_ns
from shipper.core.record import Batch, Row, Stream
from shipper.pipeline.lines import logfmt_lines, text
from shipper.pipeline.trimming import cut, without

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
        omit_fields: Fields that are left out of the line.
        cut_fields: Fields whose text is cut, and after how many characters.
    """

    labels: Mapping[str, str]
    label_fields: Sequence[str] = ()
    metadata_fields: Sequence[str] = ()
    max_label_values: int = 100
    time_field: str | None = None
    line: Literal["json", "logfmt"] = "json"
    known_fields: Collection[str] = ()
    omit_fields: Sequence[str] = ()
    cut_fields: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Lifted:
    """The labels that a row gets of its fields, and what is beyond the allowance."""

    labels: tuple[tuple[str, str], ...]
    beyond: dict[str, str]


class Filing:
    """Turns batches of rows into streams.

    It remembers the distinct values of every label field: those beyond `max_label_values` go to structured
    metadata, and `overflowed` is told the field, once for every such record. `unknown` is told the fields that are
    asked for and stand in no row of the first batch, and those that do. `untimed` is told, once, the time field and a
    value of it, when no row of a batch that has the field holds a time in it.
    """

    def __init__(
        self,
        rules: FilingRules,
        overflowed: Callable[[str], None],
        unknown: Callable[[Sequence[str], Sequence[str]], None] = lambda _wanted, _there: None,
        untimed: Callable[[str, object], None] = lambda _field, _value: None,
    ) -> None:
        self._rules = rules
        self._overflowed = overflowed
        self._unknown = unknown
        self._untimed = untimed
        self._told_untimed = False
        time_field = [rules.time_field] if rules.time_field is not None else []
        trimmed = [*rules.omit_fields, *rules.cut_fields]
        wanted = [*rules.label_fields, *rules.metadata_fields, *time_field, *trimmed]
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
        if not batch.rows:
            return []
        if self._unseen:
            self._look_for_fields(batch.rows)
        times_ns = self._times_ns(batch)
        rows = cut(batch.rows, self._rules.cut_fields)
        lines = self._lines(without(rows, self._rules.omit_fields))
        if not self._rules.label_fields and not self._rules.metadata_fields:
            self._filed.add(0)
            return [Stream(self._rules.labels, times_ns, lines, batch.metadata or None)]
        return self._grouped(batch, rows, times_ns, lines)

    def _lines(self, rows: Sequence[Row]) -> Sequence[bytes]:
        if self._rules.line == "logfmt":
            return logfmt_lines(rows)
        return rows.lines if isinstance(rows, JsonRows) else json_lines(rows)

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
        values = [row.get(field) for row in batch.rows]
        owns_ns = [moment_ns(value) for value in values]
        if not self._told_untimed and not any(own is not None for own in owns_ns):
            self._tell_untimed(field, values)
        return [
            moment if own is None else own for moment, own in zip(moments, owns_ns, strict=True)
        ]

    def _tell_untimed(self, field: str, values: Sequence[object]) -> None:
        """Tell, once, that what the time field holds is no time; NULL may become one."""
        value = next((value for value in values if value is not None), None)
        if value is not None:
            self._told_untimed = True
            self._untimed(field, value)

    def _grouped(
        self,
        batch: Batch,
        rows: Sequence[Row],
        times_ns: Sequence[int],
        lines: Sequence[bytes],
    ) -> list[Stream]:
        groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
        metadata = []
        # Few values have many rows: what they become is found out once a batch.
        filed: dict[tuple[str, ...], _Lifted] = {}
        label_fields = self._rules.label_fields
        for index, row in enumerate(rows):
            values = tuple([text(row.get(name)) for name in label_fields])
            lifted = filed.get(values)
            if lifted is None:
                lifted = filed[values] = self._lifted(values)
            metadata.append(self._aside(batch, index, row) | lifted.beyond)
            for name in lifted.beyond:
                self._overflowed(name)
            groups.setdefault(lifted.labels, []).append(index)
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

    def _aside(self, batch: Batch, index: int, row: Row) -> dict[str, str]:
        """Return the structured metadata that a row has and that is lifted from it."""
        aside = dict(batch.metadata[index]) if batch.metadata else {}
        for name in self._rules.metadata_fields:
            if row.get(name) is not None:
                aside[name] = text(row[name])
        return aside

    def _lifted(self, values: tuple[str, ...]) -> _Lifted:
        """Return what becomes of the values of the label fields; an empty one is no label."""
        labels: list[tuple[str, str]] = []
        beyond: dict[str, str] = {}
        for name, value in zip(self._rules.label_fields, values, strict=True):
            if not value:
                continue
            if self._allowed(name, value):
                labels.append((name, value))
            else:
                beyond[name] = value
        return _Lifted(tuple(labels), beyond)

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
