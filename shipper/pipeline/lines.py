"""Writes rows as lines of logfmt, and values as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime, time

from shipper.core.json_lines import plain
from shipper.core.record import Row

NEEDS_QUOTES = re.compile(r'[\s"=\\]|^$')
KEY_BREAKERS = re.compile(r'[\s"=]')


def logfmt_lines(rows: Sequence[Row]) -> list[bytes]:
    """Return every row as `key=value` pairs in column order; NULL is left out, as logfmt has no word for it."""
    return [
        b" ".join(_pair(key, value) for key, value in row.items() if value is not None)
        for row in rows
    ]


def text(value: object) -> str:
    """Return a value as a label or logfmt shows it: text as it is, true and false as in JSON."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime() | date() | time():
            return value.isoformat()
        case int() | float():
            return repr(value)
        case None:
            return ""
        case dict() | list() | tuple():
            return json.dumps(value, default=plain, ensure_ascii=False, separators=(",", ":"))
        case _:
            return str(plain(value))


def _pair(key: str, value: object) -> bytes:
    shown = text(value)
    if NEEDS_QUOTES.search(shown):
        shown = json.dumps(shown, ensure_ascii=False)
    pair = f"{KEY_BREAKERS.sub('_', key)}={shown}"
    return pair.encode("utf-8", errors="backslashreplace")
