"""Cursors as text: every value comes back with its type, and what an operator typed is checked."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.record import Cursor, CursorValue
from shipper.pipeline.cursors import (
    CursorUnreadable,
    cursor_text,
    read_cursor,
    shown,
    typed_cursor,
    types_of,
)

OFFSETS = st.integers(-23 * 3600, 23 * 3600).map(lambda s: timezone(timedelta(seconds=s)))
ZONES = st.none() | st.just(UTC) | OFFSETS
VALUES: st.SearchStrategy[CursorValue] = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.text(st.characters()),
    st.binary(),
    st.datetimes(timezones=ZONES, allow_imaginary=False),
    st.dates(),
    st.times(),
    st.uuids(),
)
CURSORS = st.lists(VALUES, max_size=4).map(tuple)


@given(CURSORS)
def test_a_cursor_comes_back_with_its_types(cursor: Cursor) -> None:
    back = read_cursor(cursor_text(cursor))

    assert back == cursor
    assert types_of(back) == types_of(cursor)


@given(CURSORS)
def test_what_is_shown_can_be_typed(cursor: Cursor) -> None:
    words = [shown(value) for value in cursor]

    assert typed_cursor(words, types_of(cursor)) == cursor


@given(CURSORS)
def test_text_of_a_cursor_is_ascii(cursor: Cursor) -> None:
    assert cursor_text(cursor).isascii()


def test_lone_surrogates_come_back() -> None:
    assert read_cursor(cursor_text(("a\ud800",))) == ("a\ud800",)


def test_a_decimal_keeps_its_zeros() -> None:
    (back,) = read_cursor(cursor_text((Decimal("1.500"),)))

    assert str(back) == "1.500"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "-0.0"])
def test_numbers_that_are_none_come_back(number: str) -> None:
    back = read_cursor(cursor_text((float(number), Decimal(number))))

    assert [str(value).lower() for value in back] == [
        str(value).lower() for value in (float(number), Decimal(number))
    ]


def test_the_text_is_as_the_docstring_says() -> None:
    cursor = (datetime(2026, 11, 22, 4, tzinfo=UTC), 17)

    assert cursor_text(cursor) == '[["datetime","2026-11-22T04:00:00+00:00"],["int","17"]]'


class Level(IntEnum):
    HIGH = 3


class Stamp(datetime):
    """As pandas.Timestamp, which has nanoseconds."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return f"{super().isoformat(sep, 'microseconds')}789"


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        (True, "bool", True),
        (Level.HIGH, "int", 3),
        (
            Stamp(2026, 1, 2, 3, 4, 5, 6),
            "datetime",
            datetime.fromisoformat("2026-01-02T03:04:05.000006"),
        ),
        (date(2026, 1, 2), "date", date(2026, 1, 2)),
        (time(1, 2), "time", time(1, 2)),
        (UUID(int=5), "UUID", UUID(int=5)),
    ],
)
def test_the_nearest_plain_type_is_kept(value: CursorValue, kind: str, plain: CursorValue) -> None:
    back = read_cursor(cursor_text((value,)))

    assert types_of((value,)) == (kind,)
    assert back == (plain,)
    assert type(back[0]) is type(plain)


def test_a_value_of_no_type_is_refused() -> None:
    with pytest.raises(TypeError, match="list is no type of a cursor"):
        cursor_text(([],))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "7",
        "null",
        '{"ab": 1}',
        '[["int"]]',
        '[["int","x"]]',
        '[["int",null]]',
        '[["bool","maybe"]]',
        '[["datetime",5]]',
        '[["bytes","a!"]]',
        '[["Decimal","x"]]',
        '[[["int"],"1"]]',
        '[["integer","1"]]',
        "[" * 100_000,
    ],
)
def test_text_that_is_no_cursor_is_told(text: str) -> None:
    with pytest.raises(CursorUnreadable, match="is no cursor"):
        read_cursor(text)


@given(st.text())
def test_any_text_is_a_cursor_or_told(text: str) -> None:
    try:
        cursor = read_cursor(text)
    except CursorUnreadable:
        return

    assert read_cursor(cursor_text(cursor)) == cursor


@pytest.mark.parametrize(
    ("words", "types", "complaint"),
    [
        (["1"], ["int", "str"], r"2 values are wanted \(int, str\), not 1"),
        (["1", "2"], ["int"], r"1 values are wanted \(int\), not 2"),
        (["x"], ["int"], "'x' is no int"),
        (["x"], ["number"], "number is no type; the types are bool, int"),
        (["x"], ["Decimal"], "'x' is no Decimal"),
        (["maybe"], ["bool"], "'maybe' is no bool"),
        (["aGk=!"], ["bytes"], "'aGk=!' is no bytes"),
        (["2026-13-01"], ["date"], "is no date"),
    ],
)
def test_words_of_another_type_are_told(words: list[str], types: list[str], complaint: str) -> None:
    with pytest.raises(CursorUnreadable, match=complaint):
        typed_cursor(words, types)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("17", 17),
        ("-17", -17),
        ("2026-11-22T04:00:00+00:00", datetime(2026, 11, 22, 4, tzinfo=UTC)),
        ("2026-11-22", datetime.fromisoformat("2026-11-22T00:00")),
        ("1.5", "1.5"),
        ("abc", "abc"),
        ("", ""),
    ],
)
def test_types_are_guessed_where_none_are_known(word: str, value: CursorValue) -> None:
    assert typed_cursor([word], ()) == (value,)
