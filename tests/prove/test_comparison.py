"""The proof can fail: whatever goes wrong with a line is seen."""

from __future__ import annotations

from dataclasses import replace

from tests.prove.comparison import Arrival, compare
from tests.prove.events import TWINS_EVERY, Event, Happenings

HAPPENINGS = Happenings(
    metric="m",
    seed=7,
    begin_ns=1_700_000_000_000_000_000,
    period_ns=1_000,
    label_fields=("area",),
    metadata_fields=("trace",),
)
EVENTS = [HAPPENINGS.event(number) for number in range(2 * TWINS_EVERY)]


def arrived(event: Event) -> Arrival:
    labels = {"job": event.metric, **event.labels}
    return Arrival(event.metric, labels, event.time_ns, event.line, event.metadata)


ARRIVALS = [arrived(event) for event in EVENTS]
SAME_STREAM = [index for index, event in enumerate(EVENTS) if event.labels == EVENTS[0].labels]


def test_everything_stored_once_and_in_order_is_in_order() -> None:
    found = compare(EVENTS, [], ARRIVALS)

    assert (found.lost, found.altered, found.reordered, found.copies) == ([], [], [], 0)


def test_a_confirmed_event_that_is_not_stored_is_lost() -> None:
    found = compare(EVENTS, [], ARRIVALS[:5] + ARRIVALS[6:])

    assert found.lost == [EVENTS[5]]
    assert (found.altered, found.reordered, found.copies) == ([], [], 0)


def test_an_event_left_with_the_source_may_be_stored_or_not() -> None:
    found = compare(EVENTS[:10], EVENTS[10:], ARRIVALS[:12])

    assert (found.lost, found.altered, found.reordered, found.copies) == ([], [], [], 0)


def test_a_line_stored_again_is_a_copy_and_out_of_no_order() -> None:
    found = compare(EVENTS, [], [*ARRIVALS, ARRIVALS[3], ARRIVALS[3]])

    assert found.copies == 2
    assert (found.lost, found.altered, found.reordered) == ([], [], [])


def test_a_line_with_another_text_is_altered_and_its_event_lost() -> None:
    wrong = replace(ARRIVALS[4], line=ARRIVALS[4].line.replace("area", "aera"))
    found = compare(EVENTS, [], [*ARRIVALS[:4], wrong, *ARRIVALS[5:]])

    assert (found.altered, found.lost) == ([wrong], [EVENTS[4]])


def test_a_line_with_another_time_is_altered_and_its_event_lost() -> None:
    wrong = replace(ARRIVALS[4], time_ns=ARRIVALS[4].time_ns + 1)
    found = compare(EVENTS, [], [*ARRIVALS[:4], wrong, *ARRIVALS[5:]])

    assert (found.altered, found.lost) == ([wrong], [EVENTS[4]])


def test_a_line_under_another_label_or_with_other_metadata_is_altered() -> None:
    misfiled = replace(ARRIVALS[4], labels={"job": "m", "area": "nowhere"})
    bare = replace(ARRIVALS[5], metadata={})
    found = compare(EVENTS, [], [*ARRIVALS[:4], misfiled, bare, *ARRIVALS[6:]])

    assert found.altered == [misfiled, bare]
    assert found.lost == []


def test_a_line_that_arrives_after_a_younger_one_of_its_stream_is_reordered() -> None:
    first, second = SAME_STREAM[:2]
    arrivals = list(ARRIVALS)
    arrivals[first], arrivals[second] = arrivals[second], arrivals[first]
    found = compare(EVENTS, [], arrivals)

    assert found.reordered == [EVENTS[first]]
    assert found.lost == []


def test_two_lines_of_the_same_nanosecond_have_an_order_too() -> None:
    happenings = replace(HAPPENINGS, label_fields=())
    events = [happenings.event(number) for number in range(TWINS_EVERY)]
    arrivals = [arrived(event) for event in events]
    found = compare(events, [], [*arrivals[:-2], arrivals[-1], arrivals[-2]])

    assert events[-1].time_ns == events[-2].time_ns
    assert found.reordered == [events[-2]]


def test_streams_have_no_order_among_each_other() -> None:
    by_stream = sorted(ARRIVALS, key=lambda arrival: arrival.labels["area"])

    assert compare(EVENTS, [], by_stream).reordered == []
