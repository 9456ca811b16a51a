"""Rows as lines."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.json_lines import json_lines
from shipper.pipeline.lines import logfmt_lines, text


def test_no_rows_make_no_lines() -> None:
    assert (json_lines([]), logfmt_lines([])) == ([], [])


def test_a_row_is_compact_json_in_column_order() -> None:
    assert json_lines([{"b": 1, "a": "x y", "c": None}]) == [b'{"b":1,"a":"x y","c":null}']


def test_every_row_has_a_line_of_its_own() -> None:
    rows = [{"a": "},\n,{"}, {"a": ",\n,"}, {}]

    assert [json.loads(line) for line in json_lines(rows)] == rows


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (2**63, 2**63),
        (-(2**64), -(2**64)),
        (10**50, 10**50),
        ("\ud800x", "\ud800x"),
        ("\x00\x1f\x7f\u2028\n", "\x00\x1f\x7f\u2028\n"),
        (Decimal("1.10"), "1.10"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, 2, 3, 4), "2024-02-29T01:02:03.000004"),  # noqa: DTZ001 - rows have them
        (datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "2024-02-29T01:02:03+00:00"),
        (time(1, 2, 3), "01:02:03"),
        (time(1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "01:02:03+02:00"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"a"), "YQ=="),
        ({"a": [1, math.nan]}, {"a": [1, None]}),
        ((1, "b"), [1, "b"]),
        ({3, 1, 2}, [1, 2, 3]),
        (1 + 2j, "(1+2j)"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("beside", [0, 2**70], ids=["plain", "beside a huge number"])
def test_a_value_is_shown_as_json_can_hold_it(value: object, shown: object, beside: int) -> None:
    (line,) = json_lines([{"value": value, "beside": beside}])

    assert json.loads(line) == {"value": shown, "beside": beside}


def test_names_that_are_no_text_become_text() -> None:
    rows: list[Any] = [{1: "a", None: "b"}]

    assert json_lines(rows) == [b'{"1":"a","None":"b"}']


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63, 2**80)
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(["\ud800", "\x00", ",\n,", "\n", '"', "\\", "\u2028", "\x85"])
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.times()
    | st.binary(max_size=5)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)
NAMES = st.text(st.characters(), max_size=5)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=5)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_any_rows_make_as_many_json_lines_with_the_same_names(rows: list[dict[str, Any]]) -> None:
    lines = json_lines(rows)

    assert not [line for line in lines if b"\n" in line]
    assert [list(json.loads(line)) for line in lines] == [list(row) for row in rows]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(
            NAMES,
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(), max_size=10),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_what_json_knows_comes_back_as_it_was(rows: list[dict[str, Any]]) -> None:
    assert [json.loads(line) for line in json_lines(rows)] == rows


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_any_rows_make_as_many_logfmt_lines(rows: list[dict[str, Any]]) -> None:
    lines = logfmt_lines(rows)

    assert len(lines) == len(rows)
    assert not [line for line in lines if b"\n" in line or b"\r" in line]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"b": 1, "a": "x"}, b"b=1 a=x"),
        ({"a": None, "b": 1}, b"b=1"),
        ({"a": "x y"}, b'a="x y"'),
        ({"a": ""}, b'a=""'),
        ({"a": 'say "x"'}, b'a="say \\"x\\""'),
        ({"a": "x=y"}, b'a="x=y"'),
        ({"a": "two\nlines"}, b'a="two\\nlines"'),
        ({"a b=c": 1}, b"a_b_c=1"),
        ({"a": True, "b": 1.5}, b"a=true b=1.5"),
        ({"a": "ü"}, "a=ü".encode()),
        ({"a": "\ud800"}, b"a=\\ud800"),
        ({"a": Decimal("1.10")}, b"a=1.10"),
        ({"a": {"b": [1]}}, b'a="{\\"b\\":[1]}"'),
        ({}, b""),
    ],
    ids=repr,
)
def test_a_row_is_pairs_in_column_order(row: dict[str, object], line: bytes) -> None:
    assert logfmt_lines([row]) == [line]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "x"),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.1, "0.1"),
        (date(2024, 2, 29), "2024-02-29"),
        (Decimal("1.10"), "1.10"),
        (b"a", "YQ=="),
        ([1, "ü"], '[1,"ü"]'),
    ],
)
def test_a_value_as_a_label_shows_it(value: object, shown: str) -> None:
    assert text(value) == shown


@pytest.mark.parametrize("depth", [250, 300, 800])
def test_a_value_nested_as_deep_as_python_parses_is_written(depth: int) -> None:
    content = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    (line,) = json_lines([json.loads(content)])

    assert line == content
