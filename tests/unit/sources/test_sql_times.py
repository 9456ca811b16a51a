"""Moments in every notation that a column may have."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from shipper.sources.sql.times import in_zone, moment, own_time

PRAGUE = ZoneInfo("Europe/Prague")
NOON = datetime(2026, 7, 1, 12, tzinfo=PRAGUE)
LOCAL = NOON.replace(tzinfo=None)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        LOCAL,
        NOON.astimezone(UTC),
        "2026-07-01 12:00:00",
        " 2026-07-01T12:00:00.000 ",
        "2026-07-01T10:00:00Z",
        1782900000,
        1782900000.0,
        Decimal("1782900000.000"),
        "1782900000",
        "1782900000.0",
        1782900000_000,
        1782900000_000_000,
        1782900000_000_000_000,
    ],
    ids=repr,
)
def test_a_moment_in_any_notation(value: object) -> None:
    assert moment(value, PRAGUE) == NOON


def test_a_date_begins_in_its_zone() -> None:
    assert moment(date(2026, 7, 1), PRAGUE) == NOON.replace(hour=0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "infinity",
        "",
        "noon",
        b"2026-07-01",
        time(12),
        10**40,
        Decimal("NaN"),
        float("inf"),
    ],
    ids=repr,
)
def test_what_is_no_moment(value: object) -> None:
    assert moment(value, UTC) is None


@pytest.mark.parametrize(
    "value", [None, "text", 5, date(2026, 7, 1), NOON.astimezone(UTC)], ids=repr
)
def test_only_times_without_a_zone_get_one(value: object) -> None:
    assert in_zone(value, zone=PRAGUE) is value


def test_times_without_a_zone_get_the_one_they_are_of() -> None:
    got = in_zone(LOCAL, zone=PRAGUE)

    assert isinstance(got, datetime)
    assert got.isoformat() == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-07-01 12:00:00", NOON),
        (date(2026, 7, 1), NOON.replace(hour=0)),
        (LOCAL, NOON),
        ("1782900000", "1782900000"),
        (1782900000, 1782900000),
        ("soon", "soon"),
    ],
    ids=repr,
)
def test_the_line_s_own_time_gets_its_zone_whatever_it_is_written_in(
    value: object, expected: object
) -> None:
    assert own_time(value, zone=PRAGUE) == expected
