"""Writes values that drivers give in a form that a line cannot show well."""

from __future__ import annotations

import json
from datetime import timedelta


def clock_text(value: object) -> object:
    """Return a span as databases write it: `-26:03:04.5` is minus 26 hours, 3 minutes and 4.5 seconds."""
    if not isinstance(value, timedelta):
        return value
    microseconds = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < timedelta() else ""
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{tail}"


def number_of_bits(value: object) -> object:
    """Return a bit field as the number it is."""
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def parsed_json(value: object) -> object:
    """Return what JSON text means; text that is none stays what it is."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
