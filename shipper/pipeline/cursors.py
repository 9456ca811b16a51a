"""Writes a cursor as text and reads it back with the types it had, and reads one that an operator typed.

A cursor of `(datetime, int)` is kept as `[["datetime","2026-11-22T04:00:00+00:00"],["int","17"]]`: a value that comes
back as another type than the driver's own would compare differently in the database.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import cast
from uuid import UUID

from shipper.core.record import Cursor, CursorValue

_READERS: dict[str, Callable[[str], CursorValue]] = {
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "str": str,
    "bytes": partial(base64.b64decode, validate=True),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "UUID": UUID,
}
_GUESSED = ("int", "datetime", "str")


class CursorUnreadable(ValueError):
    """This text is no cursor of the types that are wanted."""


def types_of(cursor: Cursor) -> tuple[str, ...]:
    """Return the name of every value's type, like `("datetime", "int")`."""
    return tuple(_type_of(value) for value in cursor)


def cursor_text(cursor: Cursor) -> str:
    """Return a cursor as it is kept."""
    # The standard library, because orjson refuses text with lone surrogates, which drivers may return.
    pairs = [(_type_of(value), shown(value)) for value in cursor]
    return json.dumps(pairs, separators=(",", ":"))


def read_cursor(text: str) -> Cursor:
    """Return the cursor that `cursor_text` wrote.

    Raises:
        CursorUnreadable: It is something else.
    """
    try:
        pairs = cast("list[tuple[str, str]]", json.loads(text))
        return tuple(_READERS[kind](value) for kind, value in pairs)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise CursorUnreadable(f"{text[:80]!r} is no cursor: {error}") from None


def typed_cursor(words: Sequence[str], types: Sequence[str]) -> Cursor:
    """Return the cursor that an operator typed, one word for each value.

    Args:
        words: The values as text.
        types: Their types; none: a whole number or a time in ISO 8601 where it looks like one, else text.

    Raises:
        CursorUnreadable: A word is no value of its type, or there are too many or too few.
    """
    if types and len(types) != len(words):
        raise CursorUnreadable(
            f"{len(types)} values are wanted ({', '.join(types)}), not {len(words)}"
        )
    return tuple(
        _typed(word, types[place]) if types else _guessed(word) for place, word in enumerate(words)
    )


def shown(value: CursorValue) -> str:
    """Return a value as text that `read_cursor` and `typed_cursor` take."""
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime() | date() | time():
            return value.isoformat()
        case float():
            return repr(value)
        case _:
            return str(value)


def _type_of(value: CursorValue) -> str:
    # Drivers have subclasses of their own, like pandas.Timestamp; their nearest plain type is what comes back.
    for kind in (bool, int, float, Decimal, str, bytes, datetime, date, time, UUID):
        if isinstance(value, kind):
            return kind.__name__
    raise TypeError(f"{type(value).__name__} is no type of a cursor")


def _typed(word: str, kind: str) -> CursorValue:
    if kind not in _READERS:
        raise CursorUnreadable(f"{kind} is no type; the types are {', '.join(_READERS)}")
    try:
        return _READERS[kind](word)
    except (ValueError, KeyError, ArithmeticError):
        raise CursorUnreadable(f"{word!r} is no {kind}") from None


def _guessed(word: str) -> CursorValue:
    for kind in _GUESSED:
        try:
            return _READERS[kind](word)
        except ValueError:
            continue
    return word
