"""Reads the moment a row carries, in any of the notations that databases and brokers use."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal

NS_PER_SECOND = 1_000_000_000
DAY_FIRST = re.compile(r"(\d{2})-(\d{2})-(\d{4})(.*)", re.DOTALL)
"""`29-10-2023 14:20:08`, which SQreamDB writes beside ISO 8601."""

SMALLEST_MILLISECONDS = 10**11
SMALLEST_MICROSECONDS = 10**14
SMALLEST_NANOSECONDS = 10**17
"""A Unix time is told by its size: 10^11 s is the year 5138, 10^11 ms is 1973; likewise for us and ns."""

LARGEST_NS = 2**63 - 1
DIGITS_OF_LARGEST = 19


def moment_ns(value: object, zone: tzinfo = UTC) -> int | None:
    """Return nanoseconds since the Unix epoch, or `None` when `value` is no moment.

    Takes datetimes, dates, ISO 8601 text, day-first text, and Unix time in s, ms, us or ns as a number or as text.
    What has no zone is of `zone`.
    """
    match value:
        case bool() | None:
            return None
        case datetime():
            return _of_datetime(value, zone)
        case date():
            return _of_datetime(datetime.combine(value, time()), zone)
        case int() | float() | Decimal():
            return _of_unix(Decimal(value))
        case str():
            return _of_text(value.strip(), zone)
        case _:
            return None


def _of_datetime(moment: datetime, zone: tzinfo) -> int | None:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    # pandas.Timestamp, which pysqream 6 returns for datetime2, knows nanoseconds beside its microseconds.
    moment_ns = microseconds * 1000 + getattr(moment, "nanosecond", 0)
    return moment_ns if abs(moment_ns) <= LARGEST_NS else None


def _of_unix(number: Decimal) -> int | None:
    if not number.is_finite() or number.adjusted() > DIGITS_OF_LARGEST:
        return None
    size = abs(number)
    if size >= SMALLEST_NANOSECONDS:
        scale = 1
    elif size >= SMALLEST_MICROSECONDS:
        scale = 1_000
    elif size >= SMALLEST_MILLISECONDS:
        scale = 1_000_000
    else:
        scale = NS_PER_SECOND
    moment = int(number * scale)
    return moment if 0 <= moment <= LARGEST_NS else None


def _of_text(written: str, zone: tzinfo) -> int | None:
    day_first = DAY_FIRST.fullmatch(written)
    if day_first:
        day, month, year, rest = day_first.groups()
        written = f"{year}-{month}-{day}{rest}"
    # Digits alone are Unix time, also where ISO 8601 would read a compact date into them.
    if not written.isdigit():
        try:
            return _of_datetime(datetime.fromisoformat(written), zone)
        except ValueError:
            pass
    try:
        return _of_unix(Decimal(written))
    except ArithmeticError:
        return None
