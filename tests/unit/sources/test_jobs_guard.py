from __future__ import annotations

import pytest

from shipper.sources.jobs.guard import MOST_ADDRESSES, Pace
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def taken(pace: Pace, address: str, times: int) -> int:
    return sum(pace.allows(address) for _ in range(times))


def test_a_second_s_worth_may_come_at_once_and_no_more(clock: FakeClock) -> None:
    assert taken(Pace(10, clock), "a", 20) == 10


def test_what_was_taken_comes_back_with_time(clock: FakeClock) -> None:
    pace = Pace(10, clock)
    taken(pace, "a", 10)
    clock.pass_seconds(0.5)

    assert taken(pace, "a", 20) == 5


def test_one_address_does_not_spend_what_another_may(clock: FakeClock) -> None:
    pace = Pace(10, clock)
    taken(pace, "a", 10)

    assert taken(pace, "b", 20) == 10


def test_of_too_many_addresses_the_one_silent_for_longest_is_forgotten(clock: FakeClock) -> None:
    pace = Pace(1, clock)
    taken(pace, "first", 1)
    for number in range(MOST_ADDRESSES):
        pace.allows(str(number))

    assert pace.allows("first")
