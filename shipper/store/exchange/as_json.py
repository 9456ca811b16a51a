"""Rows as JSON lines: one object a line, UTF-8; numbers stay numbers, and NULL is `null`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import orjson

from shipper.config.document import describe
from shipper.core.errors import ConfigError
from shipper.store.exchange.columns import (
    Column,
    Value,
    Values,
    as_text,
    see_that_columns_fit,
    values_of,
)


class JsonWriter:
    """Writes rows as JSON lines."""

    def __init__(self, stream: BinaryIO, columns: Sequence[Column]) -> None:
        self._stream = stream
        self._names = [column.name for column in columns]

    def write(self, rows: Sequence[Values]) -> None:
        """Write some rows."""
        lines = [
            orjson.dumps(dict(zip(self._names, map(_plain, row), strict=True))) for row in rows
        ]
        self._stream.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        """Nothing is left to write; the stream stays open."""


def read_json(
    stream: BinaryIO, columns: Sequence[Column], where: str
) -> Iterator[tuple[int, Values]]:
    """Yield every row with the number of its line, its values in the order of `columns`.

    Raises:
        ConfigError: Something in the file is wrong; the text names the line.
    """
    for number, line in enumerate(stream, start=1):
        if line.strip():
            yield number, _row(line, columns, f"{where}: line {number}")


def _row(line: bytes, columns: Sequence[Column], place: str) -> Values:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ConfigError(
            f"{place}: this is not JSON: {error.msg} at column {error.colno}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{place}: must be an object, not {describe(content)}")
    see_that_columns_fit(list(content), columns, place)
    return values_of(content, columns, place)


def _plain(value: Value) -> Value:
    return value if value is None or isinstance(value, int | str) else as_text(value)
