"""Where to go on reading, and whether that fits what is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from shipper.config.secret import Secret
from shipper.core.errors import SourceRefused
from shipper.core.record import Cursor
from shipper.sources.sql.engines import Column, Values
from shipper.sources.sql.place import BEFORE_EVERYTHING, Age, first_place, see_that_it_fits
from shipper.sources.sql.reading import Reading
from shipper.sources.sql.selection import Selection
from shipper.sources.sql.session import Turn
from tests.support.sql_link import FakeEngine, FakeLink

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 1_000_000_000


def reading(*cursor: str, lag_seconds: float = 0, time_field: str | None = None) -> Reading:
    return Reading(
        metric="events",
        url=Secret("literal", "sqlite:///app.db"),
        selection=Selection(query=None, table="events", cursor=cursor),
        start="now",
        page_rows=2,
        lag_seconds=lag_seconds,
        time_field=time_field,
    )


def turn_with(*rows: Values, columns: Sequence[str] = ("id",)) -> Turn:
    link = FakeLink([Column(name) for name in columns], rows)
    return Turn(link, lambda _statement, _values: ("", ()))


def fits(cursor: Cursor | None, *rows: Values, engine: FakeEngine | None = None) -> None:
    see_that_it_fits(turn_with(*rows), reading("id"), engine or FakeEngine(), cursor)


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (1, 2.5),
        (1.5, Decimal(2)),
        ("a", "b"),
        (b"a", b"b"),
        (date(2026, 1, 1), date(2026, 1, 2)),
        (NOON, NOON),
        ("infinity", NOON),
        ("24:00:00", NOON.time()),
        (True, False),
    ],
    ids=repr,
)
def test_a_cursor_of_the_same_kind_fits(kept: object, found: object) -> None:
    fits((kept,), (found,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kept", "found", "why"),
    [
        ("1", 1, "holds numbers, not text"),
        (1, "1", "holds text, not numbers"),
        (NOON, "2026", "holds text, not times with a zone"),
        (NOON.replace(tzinfo=None), NOON, "times with a zone, not times without a zone"),
        (True, 1, "holds numbers, not true and false"),
        (date(2026, 1, 1), NOON, "holds times with a zone, not dates"),
    ],
    ids=repr,
)
def test_a_cursor_of_another_kind_is_refused(kept: object, found: object, why: str) -> None:
    with pytest.raises(SourceRefused, match=f'column "id" .*{why}.*cursor reset events'):
        fits((kept,), (found,))  # type: ignore[arg-type]


@pytest.mark.parametrize("cursor", [None, BEFORE_EVERYTHING, (1,), ("a",)], ids=repr)
def test_any_cursor_of_the_right_length_fits_an_empty_table(cursor: Cursor | None) -> None:
    fits(cursor)


def test_it_is_enough_that_one_row_is_of_the_same_kind() -> None:
    fits((NOON,), ("infinity",), (NOON,))


def test_where_types_are_mixed_the_row_at_the_place_tells() -> None:
    engine = FakeEngine()
    engine.mixes_types = True

    fits(("a",), (1,), engine=engine)


def test_a_start_from_now_is_behind_the_newest_row() -> None:
    place = first_place(turn_with((7,)), reading("id"), FakeEngine(), now_ns=NOON_NS)

    assert place == (7,)


@pytest.mark.parametrize(
    ("ages_seconds", "place"),
    [
        ([], BEFORE_EVERYTHING),
        ([5], BEFORE_EVERYTHING),
        ([5, 40], (NOON - timedelta(seconds=40),)),
        ([5, 6], (NOON - timedelta(seconds=6),)),
        ([31, 40], (NOON - timedelta(seconds=31),)),
    ],
    ids=["empty", "young", "old", "a page of young ones", "both old"],
)
def test_with_a_lag_it_is_behind_the_last_that_is_old_enough(
    ages_seconds: list[float], place: Cursor
) -> None:
    turn = turn_with(*((NOON - timedelta(seconds=age),) for age in ages_seconds), columns=["at"])
    what = reading("at", lag_seconds=30)

    assert first_place(turn, what, FakeEngine(), now_ns=NOON_NS) == place


def test_a_row_without_a_time_does_not_wait() -> None:
    age = Age(reading("id", lag_seconds=30, time_field="at"), NOON_NS)

    assert age.old_enough([{"id": 1, "at": None}, {"id": 2}]) == [{"id": 1, "at": None}, {"id": 2}]


def test_the_age_is_found_whatever_the_capitals_of_its_column_are() -> None:
    age = Age(reading("id", lag_seconds=30, time_field="at"), NOON_NS)

    assert age.old_enough([{"id": 1, "AT": NOON}]) == []


def test_without_a_lag_no_row_waits() -> None:
    assert Age(reading("id"), NOON_NS).is_enough({"id": NOON + timedelta(days=1)})


@pytest.mark.parametrize(
    "values", [[], [None], ["infinity", NOON], ["2026-11-22"], [1_700_000_000]], ids=repr
)
def test_an_age_can_be_told_when_one_value_is_a_time(values: list[object]) -> None:
    age = Age(reading("at", lag_seconds=30), NOON_NS)

    age.see_that_it_can_be_told([{"at": value} for value in values])


def test_an_age_that_no_row_tells_is_refused() -> None:
    age = Age(reading("at", lag_seconds=30), NOON_NS)

    with pytest.raises(SourceRefused, match='column "at" holds no time, but str values'):
        age.see_that_it_can_be_told([{"at": "soon"}, {"at": None}])
