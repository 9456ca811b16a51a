"""Rows in, binary result block out: the layout that a client expects after `fetch`.

Per column, in this order: a byte per row that is 1 for NULL (nullable columns), an int32 per row
with the length of what varies (text and arrays), the values. A NULL keeps its slot.
All numbers are little-endian. Source: pysqream 5.0.0 to 6.3.0, the unpacking of its column packers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

import numpy as np

from shipper.demo.sqream.columns import Column, Row, WireType

# SQream counts days from 0000-03-01, Python from 0001-01-01.
DAYS_BEFORE_PYTHON = 305
# What a NULL date holds: the oldest day SQream knows, because some clients convert before they look.
OLDEST_DAY = date(1900, 1, 1).toordinal() + DAYS_BEFORE_PYTHON

_ALIGNMENT_BYTES = 8
_DATETIME2 = struct.Struct("<4i")
# numeric(38) does not fit Python's default precision of 28 digits.
_WIDE = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one `fetch` brings: `colSzs`, the number of rows and the binary block."""

    row_count: int
    sizes_bytes: tuple[int, ...]
    block: bytes


@dataclass(frozen=True, slots=True)
class ResultSet:
    """The answer to a statement, packed once and sent as often as needed."""

    columns: tuple[Column, ...]
    rows: list[Row]
    chunks: tuple[Chunk, ...]

    @classmethod
    def packed(
        cls, columns: Sequence[Column], rows: Sequence[Row], *, chunk_rows: int | None = None
    ) -> ResultSet:
        """Pack `rows`, in one chunk or in chunks of at most `chunk_rows` rows.

        Raises:
            ValueError: A row has another length than `columns`, a value does not fit its column,
                or None stands in a column that is not nullable.
        """
        step = chunk_rows or max(len(rows), 1)
        chunks = (pack(columns, rows[i : i + step]) for i in range(0, len(rows), step))
        return cls(tuple(columns), [tuple(row) for row in rows], tuple(chunks))


def pack(columns: Sequence[Column], rows: Sequence[Row]) -> Chunk:
    """Pack `rows` into one binary block.

    Raises:
        ValueError: As for `ResultSet.packed`.
    """
    if not rows:
        return Chunk(0, (), b"")
    buffers = [
        buffer
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        for buffer in _column_buffers(column, values)
    ]
    return Chunk(len(rows), tuple(map(len, buffers)), b"".join(buffers))


def _column_buffers(column: Column, values: Sequence[Any]) -> Iterator[bytes]:
    nulls = _null_flags(values)
    if column.nullable:
        yield nulls
    elif 1 in nulls:
        raise ValueError(f"column {column.name!r} is not nullable, yet a row has None")
    if not column.array and column.wire_type is not WireType.TEXT:
        yield _fixed(column, values)
        return
    # pysqream 6 does not step over the block of a NULL array, so that block must be empty.
    block_of = _block_writer(column)
    blocks = [b"" if value is None else block_of(value) for value in values]
    yield np.fromiter(map(len, blocks), dtype="<i4", count=len(blocks)).tobytes()
    yield b"".join(blocks)


def _block_writer(column: Column) -> Callable[[Any], bytes]:
    if not column.array:
        return _text
    if column.wire_type is WireType.TEXT:
        return _text_array
    return lambda elements: _fixed_array(column, elements)


def _text(value: str) -> bytes:
    return value.encode()


def _fixed_array(column: Column, elements: Sequence[Any]) -> bytes:
    return _padded(_null_flags(elements)) + _fixed(column, elements)


def _text_array(elements: Sequence[str | None]) -> bytes:
    """Pack one text[]: count, null flags, where each string ends in the string area, the area."""
    if not elements:
        return b""
    area, ends = b"", []
    for element in elements:
        text = (element or "").encode()
        ends.append(len(area) + len(text))
        area += _padded(text)
    return (
        struct.pack("<q", len(elements))
        + _padded(_null_flags(elements))
        + _padded(struct.pack(f"<{len(ends)}i", *ends))
        + area
    )


def _null_flags(values: Sequence[Any]) -> bytes:
    return bytes(value is None for value in values)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _ALIGNMENT_BYTES)


def _fixed(column: Column, values: Sequence[Any]) -> bytes:
    """Pack values that all take `column.size_bytes`."""
    if column.wire_type in _NUMPY_TYPES:
        filled = [0 if value is None else value for value in values]
        try:
            return np.array(filled, dtype=_NUMPY_TYPES[column.wire_type]).tobytes()
        except (OverflowError, TypeError) as error:
            raise ValueError(f"column {column.name!r}: {error}") from error
    return _FIXED_PACKERS[column.wire_type](column, values)


def _dates(_column: Column, values: Sequence[date | None]) -> bytes:
    days = [OLDEST_DAY if value is None else _day(value) for value in values]
    return np.array(days, dtype="<i4").tobytes()


def _datetimes(_column: Column, values: Sequence[datetime | None]) -> bytes:
    moments = [
        OLDEST_DAY << 32 if value is None else (_day(value) << 32) + _milliseconds_of_day(value)
        for value in values
    ]
    return np.array(moments, dtype="<i8").tobytes()


def _datetimes2(_column: Column, values: Sequence[datetime | None]) -> bytes:
    return b"".join(
        _DATETIME2.pack(0, 0, 0, OLDEST_DAY) if value is None else _datetime2(value)
        for value in values
    )


def _datetime2(value: datetime) -> bytes:
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"datetime2 needs a time zone: {value}")
    utc = value.astimezone(UTC)
    # pandas.Timestamp is a datetime that carries three more digits.
    below_ms_ns = utc.microsecond % 1000 * 1000 + int(getattr(value, "nanosecond", 0))
    offset_seconds = int(offset.total_seconds())
    return _DATETIME2.pack(offset_seconds, below_ms_ns, _milliseconds_of_day(utc), _day(utc))


def _day(value: date) -> int:
    return value.toordinal() + DAYS_BEFORE_PYTHON


def _milliseconds_of_day(value: datetime) -> int:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return seconds * 1000 + value.microsecond // 1000


def _numerics(column: Column, values: Sequence[Decimal | None]) -> bytes:
    """Pack value * 10**scale as signed 128 bits; digits beyond the scale are cut."""
    try:
        return b"".join(
            int(_WIDE.scaleb(value or Decimal(0), column.scale)).to_bytes(16, "little", signed=True)
            for value in values
        )
    except OverflowError as error:
        raise ValueError(f"column {column.name!r}: {error}") from error


def _varchars(column: Column, values: Sequence[str | None]) -> bytes:
    encoded = [(value or "").encode("ascii").ljust(column.length_bytes) for value in values]
    if any(len(text) > column.length_bytes for text in encoded):
        raise ValueError(f"column {column.name!r}: longer than varchar({column.length_bytes})")
    return b"".join(encoded)


_NUMPY_TYPES: Mapping[WireType, str] = {
    WireType.BOOL: "?",
    WireType.TINYINT: "u1",
    WireType.SMALLINT: "<i2",
    WireType.INT: "<i4",
    WireType.BIGINT: "<i8",
    WireType.REAL: "<f4",
    WireType.DOUBLE: "<f8",
}
_FIXED_PACKERS: Mapping[WireType, Callable[[Column, Sequence[Any]], bytes]] = {
    WireType.DATE: _dates,
    WireType.DATETIME: _datetimes,
    WireType.DATETIME2: _datetimes2,
    WireType.NUMERIC: _numerics,
    WireType.VARCHAR: _varchars,
}
