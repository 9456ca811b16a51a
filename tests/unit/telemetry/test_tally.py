"""Counting in one process."""

from __future__ import annotations

import json
from threading import Thread

import pytest

from shipper.telemetry.families import Family
from shipper.telemetry.tally import Tally

COUNTER = Family("polls_total", "counter", "Polls.", ("metric", "result"))
GAUGE = Family("waiting", "gauge", "Lines.")
HISTOGRAM = Family("seconds", "histogram", "Seconds.", ("metric",), (1, 2.5, 5))


def test_a_new_tally_has_counted_nothing() -> None:
    assert Tally().snapshot() == {}


def test_a_counter_adds_up_for_every_combination_of_labels() -> None:
    tally = Tally()
    tally.count(COUNTER, "a", "ok")
    tally.count(COUNTER, "a", "ok", by=2)
    tally.count(COUNTER, "a", "error")

    assert tally.snapshot() == {"polls_total": [(("a", "ok"), [3.0]), (("a", "error"), [1.0])]}


def test_a_gauge_shows_the_newest_value() -> None:
    tally = Tally()
    tally.show(GAUGE, "a", value=7)
    tally.show(GAUGE, "a", value=3)

    assert tally.snapshot() == {"waiting": [(("a",), [3])]}


def test_a_gauge_can_be_set_to_exactly_some_series() -> None:
    tally = Tally()
    tally.show(GAUGE, "gone", value=1)
    tally.show_only(GAUGE, {("a",): 1.0, ("b",): 2.0})
    tally.show_only(GAUGE, {("b",): 3.0})

    assert tally.snapshot() == {"waiting": [(("b",), [3.0])]}


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (0.5, [1, 0, 0, 0]),
        (1, [1, 0, 0, 0]),
        (1.5, [0, 1, 0, 0]),
        (2.5, [0, 1, 0, 0]),
        (5, [0, 0, 1, 0]),
        (5.1, [0, 0, 0, 1]),
        (float("inf"), [0, 0, 0, 1]),
    ],
)
def test_an_observation_falls_into_the_bucket_whose_bound_it_does_not_exceed(
    value: float, counts: list[int]
) -> None:
    tally = Tally()
    tally.observe(HISTOGRAM, "a", value=value)

    assert tally.snapshot() == {"seconds": [(("a",), [*counts, value])]}


def test_observations_add_up() -> None:
    tally = Tally()
    for value in (0.5, 2, 9):
        tally.observe(HISTOGRAM, "a", value=value)

    assert tally.snapshot() == {"seconds": [(("a",), [1, 1, 0, 1, 11.5])]}


def test_a_snapshot_does_not_change_afterwards() -> None:
    tally = Tally()
    tally.count(COUNTER, "a", "ok")
    snapshot = tally.snapshot()
    tally.count(COUNTER, "a", "ok")

    assert snapshot == {"polls_total": [(("a", "ok"), [1.0])]}


def test_a_snapshot_can_travel_as_json() -> None:
    tally = Tally()
    tally.count(COUNTER, "a", "ok")

    assert json.loads(json.dumps(tally.snapshot())) == {"polls_total": [[["a", "ok"], [1.0]]]}


def test_nothing_is_lost_between_threads() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(1000):
            tally.count(COUNTER, "a", "ok")

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.snapshot() == {"polls_total": [(("a", "ok"), [4000.0])]}
