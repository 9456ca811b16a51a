"""Reads the moment that a column holds, whatever type the database has for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UNITS_PER_SECOND = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))
"""Unix time is told by its size: from 10^17 it is nanoseconds, from 10^14 microseconds, from 10^11 milliseconds."""


def moment(value: object, zone: tzinfo) -> datetime | None:
    """Return the moment that a value means, or `None` when it means none; what has no zone is of `zone`.

    Takes datetimes, dates, ISO 8601 text, and Unix time in s, ms, us or ns as a number or as text.
    """
    match value:
        case bool():
            return None
        case datetime():
            return _aware(value, zone)
        case date():
            return datetime.combine(value, time(), zone)
        case int() | float() | Decimal():
            return _of_unix(Decimal(value))
        case str():
            return _of_text(value.strip(), zone)
        case _:
            return None


def in_zone(value: object, *, zone: tzinfo) -> object:
    """Give a time without a zone the one it is of; anything else stays what it is."""
    return _aware(value, zone) if isinstance(value, datetime) else value


def own_time(value: object, *, zone: tzinfo) -> object:
    """Give text and dates that mean a moment their zone as well; Unix time, which has one, stays what it is."""
    if isinstance(value, date) or (isinstance(value, str) and not _is_number(value.strip())):
        return moment(value, zone) or value
    return value


def _of_unix(number: Decimal) -> datetime | None:
    if not number.is_finite():
        return None
    units = next((units for least, units in UNITS_PER_SECOND if abs(number) >= least), 1)
    try:
        return EPOCH + timedelta(microseconds=int(number * 1_000_000 / units))
    except (ValueError, ArithmeticError):
        return None


def _of_text(written: str, zone: tzinfo) -> datetime | None:
    # Digits alone are Unix time, also where ISO 8601 would read a compact date into them.
    if _is_number(written):
        return _of_unix(Decimal(written))
    try:
        return _aware(datetime.fromisoformat(written), zone)
    except ValueError:
        return None


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def _is_number(written: str) -> bool:
    return written.replace(".", "", 1).isdecimal()
