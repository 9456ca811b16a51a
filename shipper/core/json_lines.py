"""Writes rows as compact JSON, whatever the far end put into them."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time

import orjson

from shipper.core.record import Row

BOUNDARY = orjson.Fragment(b"\n")
RECURSIONS_PER_LEVEL = 8


def json_lines(rows: Sequence[Row]) -> list[bytes]:
    """Return every row as compact JSON in column order.

    NULL becomes null, dates ISO 8601, decimals text, bytes base64; NaN and infinity, which JSON does not know,
    become null. Lone surrogates become escapes like `d800` behind a backslash and a u. A line is the same whatever
    stands beside it.
    """
    if not rows:
        return []
    # One call for all rows: a call per row costs ten times as much (3 us against 0.4 us a row of 200 bytes).
    # The raw newline between rows cannot be part of a row: JSON strings escape it and nothing is indented.
    alternating: list[object] = [BOUNDARY] * (2 * len(rows) - 1)
    alternating[::2] = rows
    try:
        return orjson.dumps(alternating, default=plain)[1:-1].split(b",\n,")
    except TypeError:
        if len(rows) == 1:
            return [_careful_json(rows[0])]
        return [line for row in rows for line in json_lines([row])]


def plain(value: object) -> object:
    """Return what JSON can hold for a value it cannot: ISO 8601 for times, base64 for bytes, else text."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case set() | frozenset():
            return sorted(value, key=str)
        case _:
            return str(value)


def _careful_json(row: Row) -> bytes:
    """Return one row that orjson refuses through the standard library.

    That are lone surrogates, integers beyond 64 bits, and more than 254 containers in each other (orjson 3.11).
    """
    with _deep_recursion():
        content = json.dumps(
            _without_nan(dict(row)), default=plain, separators=(",", ":"), skipkeys=False
        )
    return content.encode("ascii")


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Let what was parsed within Python's usual limit be written as well, which takes a few calls a level."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSIONS_PER_LEVEL * usual)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def _without_nan(value: object) -> object:
    match value:
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None
        case dict():
            return {str(key): _without_nan(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_without_nan(inner) for inner in value]
        case _:
            return value
