"""The columns of a table as they travel: what kind of values they hold, and how these are written as text.

| kind | in Python | in CSV and JSON |
| --- | --- | --- |
| `integer` | `int`, 64 bits | its digits; in JSON a number |
| `truth` | `bool` | `true`, `false` |
| `text` | `str` | itself |
| `time` | `datetime` with zone | ISO 8601 in UTC, like `2025-07-31T12:00:00.25Z` |
| `bytes` | `bytes` | two hexadecimal digits a byte |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shipper.config.complaint import nearest
from shipper.core.errors import ConfigError

Kind = Literal["integer", "truth", "text", "time", "bytes"]

Value = int | bool | str | datetime | bytes | None

Values = tuple[Value, ...]
"""One row, in the order of its columns."""

INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name in the table and in the file.
        kind: What its values are.
        required: Whether it must have one.
    """

    name: str
    kind: Kind
    required: bool = False


class Unfit(Exception):
    """A value cannot be what its column holds; the text says why."""


def as_text(value: Value) -> str:
    """Return a value that is not NULL as text."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case bytes():
            return value.hex()
        case _:
            return str(value)


def of_text(text: str, kind: Kind) -> Value:
    """Return the value that a text stands for.

    Raises:
        Unfit: It stands for none.
    """
    return _READERS[kind](text)


def fitting(value: object, column: Column) -> Value:
    """Return a value as its column holds it.

    Raises:
        Unfit: The column cannot hold it.
    """
    match value, column.kind:
        case None, _ if column.required:
            raise Unfit("must not be empty")
        case (None, _) | (bool(), "truth") | (bytes(), "bytes"):
            return value  # type: ignore[return-value] # mypy 1.19 does not narrow a tuple's parts here
        case datetime() as moment, "time":
            return in_utc(moment)
        case bool(), "integer":
            raise Unfit("must be a whole number")
        case int() as number, "integer":
            return _in_64_bits(number)
        case str() as text, _:
            return of_text(text, column.kind)
        case _:
            raise Unfit(f"must be {_WORDS[column.kind]}, not {str(value)[:40]}")


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is in UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def see_that_columns_fit(names: Sequence[str], columns: Sequence[Column], where: str) -> None:
    """See that a file has the columns of a table.

    Raises:
        ConfigError: One is not known, named twice, or missing although every row must have a value in it.
    """
    known = {column.name for column in columns}
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: there is no column {name[:60]}{nearest(name, known)}")
        if list(names).count(name) > 1:
            raise ConfigError(f"{where}: the column {name} is there twice")
    for column in columns:
        if column.required and column.name not in names:
            raise ConfigError(f"{where}: the column {column.name} is missing")


def values_of(content: Mapping[str, object], columns: Sequence[Column], place: str) -> Values:
    """Return what a file holds for every column, in their order; NULL for a column that is not in it.

    Raises:
        ConfigError: A value does not fit its column.
    """
    values: list[Value] = []
    for column in columns:
        try:
            values.append(fitting(content.get(column.name), column))
        except Unfit as unfit:
            raise ConfigError(f"{place}: {column.name}: {unfit}") from None
    return tuple(values)


def _integer(text: str) -> Value:
    if not INTEGER.fullmatch(text):
        raise Unfit(f"must be a whole number, not {text[:40]}")
    return _in_64_bits(int(text))


def _in_64_bits(number: int) -> int:
    if not LEAST_INTEGER <= number <= MOST_INTEGER:
        raise Unfit(f"must have at most 64 bits, unlike {str(number)[:40]}")
    return number


def _truth(text: str) -> Value:
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise Unfit(f"must be true or false, not {text[:40]}")


def _time(text: str) -> Value:
    try:
        return in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise Unfit(f"must be a time like 2025-07-31T12:00:00Z, not {text[:40]}") from None


def _bytes(text: str) -> Value:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Unfit(f"must be hexadecimal digits, two a byte, not {text[:40]}") from None


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    "integer": _integer,
    "truth": _truth,
    "text": str,
    "time": _time,
    "bytes": _bytes,
}

_WORDS: Mapping[Kind, str] = {
    "integer": "a whole number",
    "truth": "true or false",
    "text": "text",
    "time": "a time like 2025-07-31T12:00:00Z",
    "bytes": "hexadecimal digits",
}
