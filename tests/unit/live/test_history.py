"""What is remembered of one metric."""

from __future__ import annotations

import pytest

from shipper.live.history import POLLS_KEPT, History


def test_the_newest_durations_are_kept_oldest_first() -> None:
    history = History()
    for number in range(POLLS_KEPT + 5):
        history.note_poll(7, number + 1, float(number))

    assert history.durations() == [float(number) for number in range(5, POLLS_KEPT + 5)]


def test_a_poll_that_is_reported_twice_is_noted_once() -> None:
    history = History()
    for polls in (1, 1, 2):
        history.note_poll(7, polls, 0.5)

    assert history.durations() == [0.5, 0.5]


def test_a_new_process_counts_from_the_beginning() -> None:
    history = History()
    history.note_poll(7, 1, 0.1)
    history.note_poll(8, 1, 0.2)

    assert history.durations() == [0.1, 0.2]


def test_a_source_that_waits_has_no_durations() -> None:
    history = History()
    history.note_poll(7, 1, None)

    assert history.durations() == []


@pytest.mark.parametrize(("since", "new"), [(0, [0.1, 0.2]), (1, [0.2]), (2, []), (9, [])])
def test_only_what_is_new_can_be_asked_for(since: int, new: list[float]) -> None:
    history = History()
    history.note_poll(7, 1, 0.1)
    history.note_poll(7, 2, 0.2)

    assert history.durations(since) == new


def test_rows_per_second_are_those_of_the_last_ten_seconds() -> None:
    history = History()
    for second in range(60):
        history.note_total(second, 0 if second < 30 else (second - 29) * 7)

    assert history.rows_per_second(59) == 7


def test_rows_per_second_fade_when_nothing_comes_any_more() -> None:
    history = History()
    history.note_total(0, 0)
    history.note_total(1, 100)

    assert history.rows_per_second(1) == 100
    assert history.rows_per_second(10) == 10
    assert history.rows_per_second(20) == 0


def test_a_total_that_was_just_seen_first_says_nothing_about_speed() -> None:
    history = History()
    history.note_total(5, 1_000_000)

    assert history.rows_per_second(5) == 0
