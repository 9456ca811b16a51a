"""What happens to a query that takes too long, and when."""

from __future__ import annotations

from threading import Event

from shipper.sources.sql.deadline import Stages, Watch

LONG_SECONDS = 30.0


def test_the_steps_of_a_long_deadline_are_a_second_apart() -> None:
    assert Stages.within(30) == Stages(server=28, cancel=29, cut=30)


def test_the_steps_of_a_short_deadline_are_closer() -> None:
    assert Stages.within(1) == Stages(server=0.8, cancel=0.9, cut=1)


def test_steps_are_taken_in_their_order_while_the_block_lasts() -> None:
    cancelled, cut = Event(), Event()
    order: list[bool] = []

    def cut_it() -> None:
        order.append(cancelled.is_set())
        cut.set()

    with Watch((0.001, cancelled.set), (0.05, cut_it)) as watch:
        assert cut.wait(LONG_SECONDS)

    assert order == [True]
    assert watch.late


def test_a_step_that_hangs_or_fails_does_not_hold_up_the_next() -> None:
    hanging, cut = Event(), Event()

    def fail() -> None:
        raise RuntimeError("as drivers do")

    with Watch((0.001, lambda: hanging.wait(LONG_SECONDS)), (0.002, fail), (0.003, cut.set)):
        assert cut.wait(LONG_SECONDS)
    hanging.set()


def test_a_block_that_is_in_time_is_left_alone() -> None:
    taken = Event()
    with Watch((LONG_SECONDS, taken.set)) as watch:
        pass

    assert not watch.late
    assert not taken.is_set()
