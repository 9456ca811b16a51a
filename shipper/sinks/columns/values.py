"""Reads the numbers and the labels of a metric out of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from shipper.config.column_metric import ColumnMetric
from shipper.core.moment import NS_PER_SECOND, moment_ns
from shipper.core.record import Batch, Row
from shipper.telemetry.tally import Values

Read = Callable[[Row], float | None]
"""Returns the number of a row; `None` when it has none."""


class ColumnValues:
    """Finds what one item of `metrics` asks for in the rows of batches."""

    def __init__(self, asked: ColumnMetric) -> None:
        self._asked = asked
        self._places = {field: field for field in asked.fields}
        labels = asked.label_fields.keys() | asked.fixed_labels.keys()
        self._labels = [
            (asked.label_fields.get(label), asked.fixed_labels.get(label, ""))
            for label in sorted(labels)
        ]
        self._where = {
            field: {texts} if isinstance(texts, str) else set(texts)
            for field, texts in asked.where.items()
        }

    def look_at(self, rows: Sequence[Row]) -> Sequence[str]:
        """Find the fields among those that rows have, and return those that are needed and that no row has."""
        if self._asked.any_spelling:
            there = {_spelt_alike(field): field for field in rows[0]}
            self._places = {
                field: there.get(_spelt_alike(field), field) for field in self._asked.fields
            }
        needed = (self._asked.value, self._asked.since, *self._where)
        places = {field: self._places[field] for field in needed if field is not None}
        return [
            field
            for field, place in places.items()
            if place not in rows[0] and not any(place in row for row in rows)
        ]

    def numbers(self, batch: Batch) -> Iterator[tuple[Values, float]]:
        """Yield the labels and the number of every row that has one."""
        read, labels = self._reader(batch.read_at_ns), self._label_reader()
        where = {self._places[field]: texts for field, texts in self._where.items()}
        for row in batch.rows:
            if where and not _holds(row, where):
                continue
            number = read(row)
            if number is not None:
                yield labels(row), number

    def _label_reader(self) -> Callable[[Row], Values]:
        places = [(field and self._places[field], text) for field, text in self._labels]
        return lambda row: tuple(
            text if field is None else label_text(row.get(field)) for field, text in places
        )

    def _reader(self, read_at_ns: int) -> Read:
        asked = self._asked
        if asked.value is None:
            return lambda _row: asked.scale
        value, zone = self._places[asked.value], asked.zone
        match asked.value_is:
            case "number":
                return lambda row: _scaled(_number(row.get(value)), asked.scale)
            case "timestamp":
                return lambda row: _seconds(moment_ns(row.get(value), zone), 0, asked.scale)
            case "age":
                return lambda row: _span(moment_ns(row.get(value), zone), read_at_ns, asked.scale)
            case "duration":
                since = self._places[asked.since or ""]
                return lambda row: _span(
                    moment_ns(row.get(since), zone), moment_ns(row.get(value), zone), asked.scale
                )


def label_text(value: object) -> str:
    """Return what a field's value is as a label; NULL is an empty one."""
    if value is None:
        return ""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _spelt_alike(field: str) -> str:
    """Return a field's name without what releases of SQreamDB spell differently (`stmt_id`, `statement id`)."""
    return field.lower().replace("_", "").replace(" ", "").replace("stmt", "statement")


def _holds(row: Row, where: Mapping[str, Collection[str]]) -> bool:
    return all(label_text(row.get(field)) in texts for field, texts in where.items())


def _number(value: object) -> float | None:
    if not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = float(Decimal(value.strip()) if isinstance(value, str) else value)
    except (ValueError, ArithmeticError):
        return None
    return None if math.isnan(number) else number


def _scaled(number: float | None, scale: float) -> float | None:
    return None if number is None else number * scale


def _seconds(moment: int | None, since: int, scale: float) -> float | None:
    return None if moment is None else (moment - since) / NS_PER_SECOND * scale


def _span(begin: int | None, end: int | None, scale: float) -> float | None:
    """Return the seconds between two moments; clocks of two machines may differ, so it is never less than 0."""
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin) / NS_PER_SECOND * scale)
