"""What is known of the front of a spool, and which parcels go together."""

from __future__ import annotations

import pytest

from shipper.pipeline.spool import ahead as module
from shipper.pipeline.spool.ahead import Ahead, Head


def head(number: int, labels: str = "a", weight_bytes: int = 10) -> Head:
    return Head(number, labels, weight_bytes)


def filled(*heads: Head) -> Ahead:
    ahead = Ahead()
    ahead.fill(heads, ())
    return ahead


def test_parcels_of_the_oldest_stream_go_together() -> None:
    ahead = filled(head(1), head(2, "b"), head(3), head(4, "b"), head(5))

    assert ahead.next_numbers(1000) == [1, 3, 5]


def test_a_push_is_not_exceeded() -> None:
    assert filled(head(1), head(2), head(3)).next_numbers(20) == [1, 2]


def test_a_parcel_larger_than_a_push_goes_alone() -> None:
    assert filled(head(1, weight_bytes=99), head(2)).next_numbers(20) == [1]


def test_a_large_one_is_not_overtaken_by_a_small_one_of_its_stream() -> None:
    assert filled(head(1), head(2, weight_bytes=15), head(3)).next_numbers(20) == [1]


def test_what_was_dropped_is_not_given_again() -> None:
    ahead = filled(head(1), head(2))
    ahead.drop([1, 7])

    assert ahead.next_numbers(1000) == [2]


def test_what_is_settled_is_left_out() -> None:
    ahead = Ahead()
    ahead.fill([head(1), head(2)], {1})

    assert ahead.next_numbers(1000) == [2]


def test_it_asks_to_be_filled_at_first_and_whenever_there_is_more() -> None:
    ahead = Ahead()
    at_first = ahead.runs_short
    ahead.fill([head(1)], ())
    complete = ahead.runs_short
    ahead.grew()

    assert (at_first, complete, ahead.runs_short) == (True, False, True)


def test_it_asks_to_be_filled_when_half_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARCELS_LOOKED_AT", 4)
    ahead = filled(head(1), head(2), head(3), head(4))
    ahead.drop([1, 2])
    with_half = ahead.runs_short
    ahead.drop([3])

    assert (with_half, ahead.runs_short) == (False, True)
