"""The moment a row carries."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.moment import moment_ns

SECONDS = 1_709_121_510
NS = SECONDS * 10**9
"""28 February 2024, 11:58:30 UTC."""


class Stamp(datetime):
    """A datetime that knows nanoseconds beside its microseconds, like pandas.Timestamp."""

    nanosecond = 789


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        pytest.param(datetime(2024, 2, 28, 11, 58, 30, tzinfo=UTC), NS, id="aware"),
        pytest.param(datetime(2024, 2, 28, 11, 58, 30), NS, id="naive is UTC"),  # noqa: DTZ001
        pytest.param(
            datetime(2024, 2, 28, 13, 58, 30, tzinfo=timezone(timedelta(hours=2))), NS, id="zone"
        ),
        pytest.param(
            Stamp(2024, 2, 28, 11, 58, 30, 123456, UTC), NS + 123_456_789, id="with nanoseconds"
        ),
        pytest.param(date(2024, 2, 28), 1_709_078_400 * 10**9, id="date"),
        pytest.param("2024-02-28 11:58:30", NS, id="ISO with a blank"),
        pytest.param(" 2024-02-28T11:58:30Z\n", NS, id="ISO in UTC, blanks around"),
        pytest.param("2024-02-28T13:58:30.5+02:00", NS + 5 * 10**8, id="ISO with a zone"),
        pytest.param("28-02-2024 11:58:30", NS, id="day first"),
        pytest.param("28-02-2024", 1_709_078_400 * 10**9, id="day first, no time"),
        pytest.param(SECONDS, NS, id="s"),
        pytest.param(SECONDS + 0.5, NS + 5 * 10**8, id="s with a fraction"),
        pytest.param(Decimal("1709121510.123456789"), NS + 123_456_789, id="s as decimal"),
        pytest.param(SECONDS * 10**3 + 1, NS + 10**6, id="ms"),
        pytest.param(SECONDS * 10**6 + 1, NS + 10**3, id="us"),
        pytest.param(NS + 1, NS + 1, id="ns"),
        pytest.param(str(SECONDS), NS, id="s as text"),
        pytest.param(f"{SECONDS}.5", NS + 5 * 10**8, id="s with a fraction as text"),
        pytest.param(str(SECONDS * 10**3), NS, id="ms as text"),
        pytest.param(str(SECONDS * 10**6), NS, id="us as text"),
        pytest.param(str(NS), NS, id="ns as text"),
        pytest.param(0, 0, id="the epoch"),
    ],
)
def test_a_moment_is_read_in_any_notation(value: object, ns: int) -> None:
    assert moment_ns(value) == ns


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        "",
        "soon",
        "nan",
        "inf",
        "31-02-2024",
        "2024-02-30",
        math.nan,
        math.inf,
        -1,
        "-1",
        10**30,
        "1e999999999",
        Decimal("NaN"),
        Decimal("1e9999999"),
        datetime(9999, 12, 31, tzinfo=UTC),
        "9999-12-31",
        "1500-01-01",
        [SECONDS],
        {},
        b"1709121510",
    ],
    ids=repr,
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert moment_ns(value) is None


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
@given(seconds=st.integers(200_000_000, 4_000_000_000))
def test_a_unix_time_is_the_same_as_a_number_and_as_text(scale: int, seconds: int) -> None:
    assert moment_ns(seconds * scale) == moment_ns(str(seconds * scale)) == seconds * 10**9


@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2261, 1, 1)))  # noqa: DTZ001 - rows have them
def test_a_datetime_is_the_same_as_its_text(moment: datetime) -> None:
    assert moment_ns(moment) == moment_ns(moment.isoformat(" ")) == moment_ns(moment.isoformat())


@given(value=st.text(max_size=20) | st.floats() | st.integers() | st.decimals() | st.datetimes())
def test_no_value_upsets_it_and_every_moment_fits_into_64_bits(value: object) -> None:
    ns = moment_ns(value)

    assert ns is None or abs(ns) < 2**63
