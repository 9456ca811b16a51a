"""Values that a line could not show well."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shipper.sources.sql.values import clock_text, number_of_bits, parsed_json


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "00:00:00"),
        (timedelta(hours=26, minutes=3, seconds=4), "26:03:04"),
        (-timedelta(hours=26, minutes=3, seconds=4.5), "-26:03:04.5"),
        (timedelta(microseconds=1), "00:00:00.000001"),
        (timedelta(days=100), "2400:00:00"),
    ],
    ids=str,
)
def test_a_span_is_written_as_on_a_clock(span: timedelta, text: str) -> None:
    assert clock_text(span) == text


def test_bits_are_a_number() -> None:
    assert number_of_bits(b"\x02\x01") == 513


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("1", 1),
        (b"[]", []),
        ("{", "{"),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=["object", "number", "bytes", "no json", "too deep"],
)
def test_json_is_what_it_means_and_the_rest_stays_text(written: object, meant: object) -> None:
    assert parsed_json(written) == meant


@pytest.mark.parametrize("change", [clock_text, number_of_bits, parsed_json])
def test_what_is_something_else_stays_what_it_is(change: object) -> None:
    assert callable(change)
    assert change(5.5) == 5.5
