"""Rows made of what a driver gives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from zoneinfo import ZoneInfo

import pytest

from shipper.core.errors import SourceRefused
from shipper.sources.sql.engines import Change, Column
from shipper.sources.sql.rows import Shape, cursor_of
from tests.support.sql_link import FakeEngine

PRAGUE = ZoneInfo("Europe/Prague")


class Doubling(FakeEngine):
    """An engine that shows numbers of one type twice as large."""

    def change(self, column: Column) -> Change | None:
        return (lambda value: int(str(value)) * 2) if column.code == 1 else None


def shape_of(*names: str, **more: object) -> Shape:
    return Shape([Column(name) for name in names], FakeEngine(), **{"zone": PRAGUE, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
        (["a", "A"], ["a", "A"]),
        ([], []),
    ],
    ids=["three", "taken", "capitals", "none"],
)
def test_every_column_has_a_name_of_its_own(names: Sequence[str], unique: Sequence[str]) -> None:
    assert shape_of(*names).names == unique


def test_rows_have_the_columns_in_their_order() -> None:
    rows = shape_of("b", "a").rows([(1, None), (2, "x")])

    assert [list(row.items()) for row in rows] == [
        [("b", 1), ("a", None)],
        [("b", 2), ("a", "x")],
    ]


@pytest.mark.parametrize(
    "name", ['quo"te', "back\\slash", "{x}", "new\nline", "value_0", "name_0", "é ☃", "lambda"]
)
def test_any_name_of_a_column_will_do(name: str) -> None:
    assert shape_of(name, "b").rows([(1, 2)]) == [{name: 1, "b": 2}]


def test_a_table_may_have_as_many_columns_as_postgresql_allows() -> None:
    names = [f"c{number}" for number in range(1664)]

    assert shape_of(*names).rows([tuple(range(1664))]) == [
        dict(zip(names, range(1664), strict=True))
    ]


def test_values_are_changed_as_their_type_asks_for_and_null_stays() -> None:
    shape = Shape([Column("a", 1), Column("b", 2)], Doubling(), zone=PRAGUE)

    assert shape.rows([(1, 1), (None, None)]) == [{"a": 2, "b": 1}, {"a": None, "b": None}]


def test_json_is_parsed_in_the_columns_that_hold_it() -> None:
    rows = shape_of("a", "b", json_columns={"a"}).rows([("[1]", "[1]")])

    assert rows == [{"a": [1], "b": "[1]"}]


def test_the_time_gets_its_zone_where_that_is_not_utc() -> None:
    prague = shape_of("at", time_field="at").rows([("2026-07-01",)])
    utc = shape_of("at", time_field="at", zone=ZoneInfo("UTC")).rows([("2026-07-01",)])

    assert prague == [{"at": datetime(2026, 7, 1, tzinfo=PRAGUE)}]
    assert utc == [{"at": "2026-07-01"}]


def test_a_column_is_found_by_its_name_and_else_whatever_its_capitals_are() -> None:
    shape = shape_of("ID", "id", "At")

    assert [shape.place(name) for name in ("id", "ID", "AT")] == [1, 0, 2]


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(SourceRefused, match='no column "when"; there are: id, at'):
        shape_of("id", "at").place("when")


def test_a_cursor_is_what_the_driver_gave() -> None:
    assert cursor_of(["a", 1.5, b""], ["x", "y", "z"]) == ("a", 1.5, b"")


@pytest.mark.parametrize("value", [None, [1], ip_address("10.0.0.1")], ids=repr)
def test_what_a_cursor_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(SourceRefused, match=f'column "x" .* type {type(value).__name__}'):
        cursor_of([value], ["x"])
