"""One page from the snapshots of many processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shipper.sinks.prometheus import Exposition
from shipper.telemetry.families import FAMILIES, LINES_DROPPED, MEMORY_LINES, Family
from shipper.telemetry.tally import Snapshot, Tally
from tests.support.clock import FakeClock

COUNTER = Family("polls_total", "counter", "Polls.", ("metric",))
GAUGE = Family("waiting", "gauge", "Lines.", ("metric",))
HISTOGRAM = Family("seconds", "histogram", "Seconds.", ("metric",), (0.5, 1))
FRESH = Family("fresh", "gauge", "New.", ("metric",))
GAUGE_INSTEAD = replace(COUNTER, kind="gauge")
OTHER_LABELS = replace(COUNTER, labels=("metric", "result"))
OTHER_BUCKETS = replace(HISTOGRAM, buckets=(0.5, 2))


@pytest.fixture
def exposition() -> Exposition:
    return Exposition([COUNTER, GAUGE, HISTOGRAM])


def samples(exposition: Exposition) -> dict[str, float]:
    lines = exposition.page().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def counts(number: float, metric: str = "a") -> Snapshot:
    return {"polls_total": [((metric,), [number])]}


def test_every_family_is_on_the_page_before_anything_was_counted(exposition: Exposition) -> None:
    page = exposition.page().decode()

    assert "# HELP polls_total Polls.\n# TYPE polls_total counter\n" in page
    assert samples(exposition) == {}


def test_the_newest_snapshot_counts(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(1))
    exposition.take("a", 7, counts(5))

    assert samples(exposition) == {'polls_total{metric="a"}': 5}


def test_snapshots_of_different_workers_stand_side_by_side(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(1, "a"))
    exposition.take("b", 8, counts(2, "b"))

    assert samples(exposition) == {'polls_total{metric="a"}': 1, 'polls_total{metric="b"}': 2}


def test_what_several_processes_count_for_one_metric_is_added(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(1))
    exposition.take("supervisor", 0, counts(2))

    assert samples(exposition) == {'polls_total{metric="a"}': 3}


def test_a_counter_does_not_go_back_when_its_worker_is_replaced(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(5))
    exposition.take("a", 8, {})
    just_after = samples(exposition)
    exposition.take("a", 8, counts(2))
    exposition.take("a", 9, counts(1))

    assert just_after == {'polls_total{metric="a"}': 5}
    assert samples(exposition) == {'polls_total{metric="a"}': 8}


def test_a_histogram_does_not_go_back_either(exposition: Exposition) -> None:
    exposition.take("a", 7, {"seconds": [(("a",), [1, 0, 2, 9.5])]})
    exposition.take("a", 8, {"seconds": [(("a",), [0, 1, 0, 0.75])]})

    assert samples(exposition) == {
        'seconds_bucket{le="0.5",metric="a"}': 1,
        'seconds_bucket{le="1.0",metric="a"}': 2,
        'seconds_bucket{le="+Inf",metric="a"}': 4,
        'seconds_count{metric="a"}': 4,
        'seconds_sum{metric="a"}': 10.25,
    }


def test_gauges_of_a_worker_that_is_gone_vanish_with_it(exposition: Exposition) -> None:
    exposition.take("a", 7, {"waiting": [(("a",), [3])]})
    exposition.take("a", 8, {})

    assert samples(exposition) == {}


def test_a_gauge_that_is_no_longer_reported_vanishes(exposition: Exposition) -> None:
    exposition.take("a", 7, {"waiting": [(("a",), [3]), (("b",), [4])]})
    exposition.take("a", 7, {"waiting": [(("b",), [4])]})

    assert samples(exposition) == {'waiting{metric="b"}': 4}


def test_lines_that_waited_in_a_worker_that_ended_count_as_dropped() -> None:
    exposition = Exposition([LINES_DROPPED, MEMORY_LINES])
    waiting: Snapshot = {MEMORY_LINES.name: [(("a", "loki"), [3]), (("a", "other"), [2])]}
    exposition.take("a", 7, waiting)
    exposition.take("a", 8, {MEMORY_LINES.name: [(("a", "loki"), [0])]})
    exposition.take("a", 9, {})

    assert samples(exposition) == {
        'shipper_lines_dropped_total{metric="a",reason="worker_ended"}': 5
    }


def test_what_nobody_announced_is_left_out(exposition: Exposition) -> None:
    exposition.take("a", 7, {"unknown": [(("a",), [3])]})

    assert samples(exposition) == {}


def test_label_values_are_escaped(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(1, 'say "x"\n\\'))

    assert 'polls_total{metric="say \\"x\\"\\n\\\\"} 1.0' in exposition.page().decode()


def test_lists_that_came_as_json_do_as_well(exposition: Exposition) -> None:
    from_json: Any = {"polls_total": [[["a"], [1.0]]]}
    exposition.take("a", 7, from_json)
    exposition.take("b", 8, counts(1))

    assert samples(exposition) == {'polls_total{metric="a"}': 2}


def test_the_page_of_our_own_families_can_be_parsed() -> None:
    tally = Tally()
    for family in FAMILIES:
        values = ["x"] * len(family.labels)
        if family.kind == "counter":
            tally.count(family, *values)
        elif family.kind == "gauge":
            tally.show(family, *values, value=1)
        else:
            tally.observe(family, *values, value=0.3)
    exposition = Exposition(FAMILIES)
    exposition.take("x", 1, tally.snapshot())

    parsed = list(text_string_to_metric_families(exposition.page().decode()))
    assert len(parsed) == len(FAMILIES)
    assert all(family.samples for family in parsed)


@settings(max_examples=50, deadline=None)
@given(reports=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 100)), max_size=20))
def test_a_counter_never_goes_back_while_processes_count_up(
    reports: list[tuple[int, int]],
) -> None:
    exposition = Exposition([COUNTER])
    pid, counted, before = 0, 0, 0.0
    for restart, more in reports:
        if restart == 3:
            pid, counted = pid + 1, 0
        counted += more
        exposition.take("a", pid, counts(counted))
        now = samples(exposition)['polls_total{metric="a"}']

        assert now >= before
        before = now
    assert before == sum(more for _, more in reports)


def test_a_total_adds_all_labels_and_predecessors_of_one_worker() -> None:
    exposition, tally = Exposition(FAMILIES), Tally()
    tally.count(LINES_DROPPED, "m", "spool_full", by=2)
    tally.count(LINES_DROPPED, "m", "shutdown", by=3)
    exposition.take("m", 1, tally.snapshot())
    exposition.take("m", 2, tally.snapshot())
    exposition.take("other", 3, tally.snapshot())

    assert exposition.total("m", LINES_DROPPED) == 10
    assert exposition.total("other", MEMORY_LINES) == 0


# Other families, other origins


def test_counters_of_what_stays_go_on_and_those_of_what_went_vanish(
    exposition: Exposition,
) -> None:
    exposition.take("a", 7, counts(5, "a"))
    exposition.take("b", 8, counts(3, "b"))
    exposition.follow([COUNTER], {"a"})
    exposition.take("a", 9, counts(1, "a"))

    assert samples(exposition) == {'polls_total{metric="a"}': 6}


def test_a_family_that_is_new_is_shown(exposition: Exposition) -> None:
    exposition.follow([COUNTER, FRESH], {"a"})
    exposition.take("a", 7, {"fresh": [(("a",), [4])]})

    assert samples(exposition) == {'fresh{metric="a"}': 4}


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        pytest.param(COUNTER, GAUGE_INSTEAD, [5], id="another kind"),
        pytest.param(HISTOGRAM, OTHER_BUCKETS, [1, 0, 2, 9.5], id="other buckets"),
        pytest.param(COUNTER, OTHER_LABELS, [5], id="other labels"),
    ],
)
def test_what_was_counted_under_a_name_that_means_something_else_now_is_forgotten(
    before: Family, after: Family, counted: list[float]
) -> None:
    exposition = Exposition([before])
    old: Snapshot = {before.name: [(("a",), counted)]}
    exposition.take("a", 6, old)
    exposition.take("a", 7, old)
    exposition.follow([after], {"a"})
    exposition.take("a", 7, old)
    exposition.take("a", 8, {})

    assert samples(exposition) == {}


def test_what_a_new_process_counts_under_the_new_meaning_is_shown() -> None:
    exposition = Exposition([COUNTER])
    exposition.take("a", 7, counts(5))
    exposition.follow([GAUGE_INSTEAD], {"a"})
    exposition.take("a", 8, counts(2))

    assert samples(exposition) == {'polls_total{metric="a"}': 2}


def test_another_sentence_beside_a_name_forgets_nothing(exposition: Exposition) -> None:
    exposition.take("a", 7, counts(5))
    exposition.follow([replace(COUNTER, help="Looks.")], {"a"})

    assert samples(exposition) == {'polls_total{metric="a"}': 5}


@pytest.mark.parametrize(
    "series",
    [
        pytest.param((("a",), [1, 0, 2]), id="too few numbers"),
        pytest.param((("a", "b"), [1, 0, 2, 9.5]), id="too many labels"),
    ],
)
def test_series_that_do_not_fit_the_family_are_not_taken(
    exposition: Exposition, series: tuple[tuple[str, ...], list[float]]
) -> None:
    exposition.take("a", 7, {"seconds": [series], **counts(5)})

    assert samples(exposition) == {'polls_total{metric="a"}': 5}


# What is shown as the far end tells it


def test_a_counter_of_the_far_end_is_not_carried_over() -> None:
    exposition = Exposition([replace(COUNTER, absolute=True)])
    exposition.take("a", 7, counts(41))
    exposition.take("a", 8, {})
    meanwhile = samples(exposition)
    exposition.take("a", 8, counts(42))

    assert meanwhile == {}
    assert samples(exposition) == {'polls_total{metric="a"}': 42}


def test_a_series_vanishes_when_it_is_stale() -> None:
    clock = FakeClock()
    exposition = Exposition([replace(GAUGE, stale_after_seconds=30)], clock)
    exposition.take("a", 7, {"waiting": [(("a",), [3, clock.seconds])]})
    clock.pass_seconds(29)
    fresh = samples(exposition)
    clock.pass_seconds(1)

    assert fresh == {'waiting{metric="a"}': 3}
    assert samples(exposition) == {}
