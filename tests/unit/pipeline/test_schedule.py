"""Ticks on a fixed grid."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.pipeline.schedule import STARTING_SECONDS, Schedule, Tick, spread

PERIODS = st.floats(0.01, 86400)
OVERRUNS = st.lists(st.floats(0, 10), min_size=1, max_size=50)
"""How long polls take, in periods."""


@pytest.mark.parametrize(
    ("now_seconds", "due_seconds"),
    [
        pytest.param(0, 5, id="before it"),
        pytest.param(5, 5, id="in time"),
        pytest.param(5 + STARTING_SECONDS, 5, id="as late as a start may be"),
        pytest.param(5 + STARTING_SECONDS + 0.1, 15, id="started again: the next on the grid"),
        pytest.param(15, 15, id="started again at a tick"),
        pytest.param(86_000, 86_005, id="started again long after"),
    ],
)
def test_the_first_tick_is_on_the_grid_and_counts_none_as_missed(
    now_seconds: float, due_seconds: float
) -> None:
    assert Schedule(5.0, 10).first(now_seconds) == Tick(due_seconds, 0)


def test_a_daily_poll_is_not_done_again_because_a_process_died() -> None:
    assert Schedule(0.0, 86400).first(3600).due_seconds == 86400


@pytest.mark.parametrize(
    ("taken_seconds", "due_seconds", "missed"),
    [
        pytest.param(0, 10, 0, id="no time at all"),
        pytest.param(3.456, 10, 0, id="a part of the period"),
        pytest.param(10, 10, 0, id="exactly the period: at once"),
        pytest.param(10.001, 20, 1, id="a little more than the period"),
        pytest.param(20, 20, 1, id="exactly two periods: at once, not a period later"),
        pytest.param(30, 30, 2, id="exactly three periods: at once"),
        pytest.param(38, 40, 3, id="nearly four periods"),
        pytest.param(-1, 10, 0, id="a clock that reads a little earlier"),
    ],
)
def test_a_poll_that_overran_waits_for_the_next_tick_of_the_grid(
    taken_seconds: float, due_seconds: float, missed: int
) -> None:
    tick = Schedule(0.0, 10).after(Tick(0.0), taken_seconds)

    assert tick == Tick(due_seconds, missed)


def test_a_period_that_binary_numbers_cannot_write_does_not_lose_a_tick() -> None:
    schedule = Schedule(0.0, 0.1)
    tick = schedule.first(schedule.first_seconds)
    missed = 0
    for _ in range(1000):
        tick = schedule.after(tick, tick.due_seconds + 0.1)
        missed += tick.missed

    assert missed == 0
    assert tick.due_seconds == pytest.approx(100)


@given(first=st.floats(0, 1e6), every=PERIODS, overruns=OVERRUNS)
@example(first=0.0, every=10.0, overruns=[2.0])
def test_ticks_stay_on_the_grid_and_every_one_is_polled_or_missed(
    first: float, every: float, overruns: list[float]
) -> None:
    schedule = Schedule(first, every)
    tick = schedule.first(schedule.first_seconds)
    passed = 0
    for overrun in overruns:
        tick = schedule.after(tick, tick.due_seconds + overrun * every)
        passed += 1 + tick.missed

    assert tick.due_seconds == pytest.approx(first + passed * every, rel=1e-9)


@given(due=st.floats(0, 1e6), every=PERIODS, later=st.floats(-1, 50))
def test_the_next_tick_is_the_first_that_is_not_past(
    due: float, every: float, later: float
) -> None:
    now = due + later * every
    tick = Schedule(0.0, every).after(Tick(due), now)
    slack = 1e-6 * every + 1e-9 * now

    assert tick.missed >= 0
    assert tick.due_seconds > due
    assert tick.due_seconds >= now - slack
    assert tick.due_seconds <= max(now, due) + every + slack


@pytest.mark.parametrize(
    ("position", "count", "every_seconds", "seconds"),
    [(0, 1, 5, 0), (0, 4, 5, 0), (1, 4, 5, 0.25), (3, 4, 5, 0.75), (3, 4, 0.1, 0.075)],
)
def test_first_polls_are_spread_over_a_second_or_a_shorter_period(
    position: int, count: int, every_seconds: float, seconds: float
) -> None:
    assert spread(position, count, every_seconds) == pytest.approx(seconds)
