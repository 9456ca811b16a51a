"""Rows as CSV (RFC 4180): a header, lines that end with CR LF, UTF-8.

NULL is a field with nothing in it, an empty text is a field with two quotes: `a,,b` and `a,"",b`. Python's own reader
(3.11) does not tell one from the other, so it could not give back what was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from shipper.core.errors import ConfigError
from shipper.store.exchange.columns import (
    Column,
    Value,
    Values,
    as_text,
    see_that_columns_fit,
    values_of,
)

NEEDS_QUOTES = re.compile(r'[",\r\n]|^$')
_FIELD = re.compile(r'(?:"(?P<quoted>(?:[^"]+|"")*)"|(?P<plain>[^",]*))(?=,|\Z)')

MOST_RECORD_BYTES = 64 * 1024 * 1024
"""A record that is longer has a quote that nobody closed."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CsvWriter:
    """Writes rows as CSV; the header comes first."""

    def __init__(self, stream: BinaryIO, columns: Sequence[Column]) -> None:
        self._stream = stream
        self.write([tuple(column.name for column in columns)])

    def write(self, rows: Sequence[Values]) -> None:
        """Write some rows."""
        lines = [",".join([_field(value) for value in row]) for row in rows]
        self._stream.write("".join(f"{line}\r\n" for line in lines).encode())

    def close(self) -> None:
        """Nothing is left to write; the stream stays open."""


def read_csv(
    stream: BinaryIO, columns: Sequence[Column], where: str
) -> Iterator[tuple[int, Values]]:
    """Yield every row with the number of the line it begins at, its values in the order of `columns`.

    Raises:
        ConfigError: Something in the file is wrong; the text names the line.
    """
    records = _records(stream, where)
    _, header = next(records, (0, None))
    if header is None:
        raise ConfigError(f"{where}: the file is empty")
    names = [name or "" for name in header]
    see_that_columns_fit(names, columns, f"{where}: line 1")
    for number, fields in records:
        place = f"{where}: line {number}"
        if len(fields) != len(names):
            raise ConfigError(f"{place}: has {len(fields)} fields instead of {len(names)}")
        yield number, values_of(dict(zip(names, fields, strict=True)), columns, place)


def _field(value: Value) -> str:
    if value is None:
        return ""
    text = as_text(value)
    if not NEEDS_QUOTES.search(text):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _records(stream: BinaryIO, where: str) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the fields of every record; `None` is a field with nothing in it, not even quotes."""
    for number, content in _whole_records(stream, where):
        line = content.removesuffix(b"\n").removesuffix(b"\r")
        if not line:
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{where}: line {number}: this is not UTF-8: {error.reason}"
            ) from None
        yield number, _fields(text, f"{where}: line {number}")


def _whole_records(lines: Iterable[bytes], where: str) -> Iterator[tuple[int, bytes]]:
    """Join the lines between which a quoted field goes on: up to there the number of quotes is odd."""
    parts: list[bytes] = []
    begins, length, quotes = 1, 0, 0
    for number, content in enumerate(lines, start=1):
        line = content.removeprefix(BYTE_ORDER_MARK) if number == 1 else content
        if not parts:
            begins, length, quotes = number, 0, 0
        parts.append(line)
        length += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield begins, b"".join(parts)
            parts = []
        elif length > MOST_RECORD_BYTES:
            break
    if parts:
        raise ConfigError(f"{where}: line {begins}: a quote is opened here and never closed")


def _fields(text: str, place: str) -> list[str | None]:
    fields: list[str | None] = []
    position = 0
    while (found := _FIELD.match(text, position)) is not None:
        quoted = found["quoted"]
        fields.append((found["plain"] or None) if quoted is None else quoted.replace('""', '"'))
        if found.end() == len(text):
            return fields
        position = found.end() + 1
    raise ConfigError(f"{place}: a quote stands in the middle of field {len(fields) + 1}")
