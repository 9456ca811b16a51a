"""What waits for one sink."""

from __future__ import annotations

from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.record import Stream
from shipper.pipeline.queue import RECORD_OVERHEAD_BYTES, DeliveryQueue, Waiting, weigh
from tests.support.clock import FakeClock

LINE = b"x" * (100 - RECORD_OVERHEAD_BYTES)
"""A line whose record weighs 100 bytes."""


def queue_of(
    *, max_bytes: int = 10_000, batch_bytes: int = 1_000, clock: FakeClock | None = None
) -> DeliveryQueue:
    return DeliveryQueue(max_bytes=max_bytes, batch_bytes=batch_bytes, clock=clock or FakeClock())


def stream_of(count: int, *, job: str = "m", first: int = 0) -> Stream:
    lines = [b"%3d" % (first + index) + LINE[3:] for index in range(count)]
    return Stream({"job": job}, range(first, first + count), lines)


def taken(queue: DeliveryQueue) -> Waiting:
    waiting = queue.take()
    assert waiting is not None
    return waiting


def numbers_of(waiting: Waiting) -> list[int]:
    return [int(line[:3]) for line in waiting.stream.lines]


def test_the_oldest_is_taken_first() -> None:
    queue = queue_of()
    queue.put(stream_of(1, job="a"))
    queue.put(stream_of(1, job="b"))

    assert [taken(queue).stream.labels["job"] for _ in range(2)] == ["a", "b"]


def test_streams_of_the_same_labels_are_taken_together_up_to_one_push() -> None:
    queue = queue_of(batch_bytes=350)
    for number in range(5):
        queue.put(stream_of(1, first=number))

    assert numbers_of(taken(queue)) == [0, 1, 2]
    assert numbers_of(taken(queue)) == [3, 4]


def test_streams_of_other_labels_between_keep_the_order() -> None:
    queue = queue_of()
    for job in ("a", "b", "a"):
        queue.put(stream_of(1, job=job))

    assert [taken(queue).stream.labels["job"] for _ in range(3)] == ["a", "b", "a"]


def test_streams_with_and_without_metadata_are_not_joined() -> None:
    queue = queue_of()
    queue.put(Stream({}, [1], [b"a"]))
    queue.put(Stream({}, [2], [b"b"], [{"k": "v"}]))
    queue.put(Stream({}, [3], [b"c"], [{}]))

    assert taken(queue).stream.metadata is None
    assert taken(queue).stream == Stream({}, [2, 3], [b"b", b"c"], [{"k": "v"}, {}])


def test_a_stream_larger_than_one_push_is_taken_in_parts() -> None:
    queue = queue_of(batch_bytes=250)
    queue.put(stream_of(5))

    parts = []
    for _ in range(3):
        parts.append(numbers_of(taken(queue)))
        queue.settle()
    assert parts == [[0, 1], [2], [3, 4]]


def test_a_single_record_larger_than_one_push_stays_whole() -> None:
    queue = queue_of(batch_bytes=50)
    queue.put(stream_of(1))

    assert len(taken(queue).stream) == 1


def test_the_oldest_is_dropped_when_the_bound_is_reached() -> None:
    queue = queue_of(max_bytes=300)
    dropped = [queue.put(stream_of(1, first=number)) for number in range(5)]

    assert dropped == [0, 0, 0, 1, 1]
    assert numbers_of(taken(queue)) == [2, 3, 4]


def test_what_is_being_pushed_is_not_dropped() -> None:
    queue = queue_of(max_bytes=300)
    queue.put(stream_of(1, job="first"))
    pushing = taken(queue)
    for number in range(5):
        queue.put(stream_of(1, first=number))
    queue.settle()

    assert pushing.stream.labels["job"] == "first"
    assert numbers_of(taken(queue)) == [3, 4]


def test_the_youngest_is_kept_even_when_it_alone_is_above_the_bound() -> None:
    queue = queue_of(max_bytes=10)

    assert queue.put(stream_of(1)) == 0
    assert queue.depth().lines == 1


def test_the_depth_counts_what_is_being_pushed() -> None:
    clock = FakeClock()
    queue = queue_of(clock=clock)
    queue.put(stream_of(2))
    taken(queue)
    clock.pass_seconds(7)
    queue.put(stream_of(1, job="b"))
    depth = queue.depth()

    assert (depth.lines, depth.weight_bytes, depth.oldest_seconds) == (3, 300, 7)


def test_an_empty_queue_has_no_depth() -> None:
    queue = queue_of()
    queue.put(stream_of(2))
    taken(queue)
    queue.settle()
    depth = queue.depth()

    assert (depth.lines, depth.weight_bytes, depth.oldest_seconds) == (0, 0, 0)


def test_what_was_joined_is_as_old_as_its_oldest() -> None:
    clock = FakeClock()
    queue = queue_of(clock=clock)
    queue.put(stream_of(1))
    clock.pass_seconds(5)
    queue.put(stream_of(1))
    taken(queue)

    assert queue.depth().oldest_seconds == 5


def test_what_is_being_pushed_is_not_settled() -> None:
    queue = queue_of(batch_bytes=200)
    queue.put(stream_of(1))
    queue.put(stream_of(1))
    queue.put(stream_of(1))
    taken(queue)

    assert (queue.settled_number, queue.last_number) == (0, 3)


def test_settling_a_join_settles_all_that_was_joined() -> None:
    queue = queue_of(batch_bytes=200)
    for number in range(3):
        queue.put(stream_of(1, first=number))
    taken(queue)
    queue.settle()

    assert queue.settled_number == 2


def test_what_was_dropped_is_settled() -> None:
    queue = queue_of(max_bytes=100)
    queue.put(stream_of(1))
    queue.put(stream_of(1))

    assert queue.settled_number == 1


def test_when_nothing_waits_everything_is_settled() -> None:
    queue = queue_of()

    assert (queue.settled_number, queue.last_number) == (0, 0)


def test_settling_nothing_changes_nothing() -> None:
    queue = queue_of()
    queue.put(stream_of(1))
    queue.settle()

    assert queue.depth().lines == 1


def test_a_closed_queue_gives_what_it_has_and_then_nothing() -> None:
    queue = queue_of()
    queue.put(stream_of(1))
    queue.close()

    assert numbers_of(taken(queue)) == [0]
    assert queue.take() is None


def test_a_taker_waits_until_something_is_put() -> None:
    queue = queue_of()
    got: list[Waiting | None] = []
    taker = Thread(target=lambda: got.append(queue.take()))
    taker.start()
    queue.put(stream_of(1))
    taker.join(5)

    assert len(got) == 1
    assert got[0] is not None


def test_closing_wakes_a_taker() -> None:
    queue = queue_of()
    got: list[Waiting | None] = []
    taker = Thread(target=lambda: got.append(queue.take()))
    taker.start()
    queue.close()
    taker.join(5)

    assert got == [None]


def test_it_is_empty_only_when_the_last_push_is_settled() -> None:
    queue = queue_of()
    queue.put(stream_of(1))
    taken(queue)

    assert not queue.wait_until_empty(0)
    queue.settle()
    assert queue.wait_until_empty(0)


@pytest.mark.parametrize(
    ("stream", "weight_bytes"),
    [
        (Stream({}, [], []), 0),
        (Stream({"job": "long label"}, [1], [b"abc"]), RECORD_OVERHEAD_BYTES + 3),
        (Stream({}, [1], [b"abc"], [{"k": "ü"}]), RECORD_OVERHEAD_BYTES + 3 + 1 + 2),
        (Stream({}, [1], [b"abc"], [{"k": "\ud800"}]), RECORD_OVERHEAD_BYTES + 3 + 1 + 1),
    ],
)
def test_a_stream_weighs_its_lines_its_metadata_and_something_for_each_record(
    stream: Stream, weight_bytes: int
) -> None:
    assert weigh(stream) == weight_bytes


OPERATIONS = st.lists(
    st.tuples(st.just("put"), st.integers(0, 6), st.sampled_from("ab"))
    | st.tuples(st.just("take"), st.just(0), st.just(""))
    | st.tuples(st.just("settle"), st.just(0), st.just("")),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(operations=OPERATIONS, max_bytes=st.integers(1, 1500), batch_bytes=st.integers(1, 800))
def test_the_books_balance_after_any_operations(
    operations: list[tuple[str, int, str]], max_bytes: int, batch_bytes: int
) -> None:
    queue = queue_of(max_bytes=max_bytes, batch_bytes=batch_bytes)
    put = settled = dropped = 0
    flying: Waiting | None = None
    seen: list[int] = []
    settled_number = 0
    for operation, count, job in operations:
        match operation:
            case "put":
                dropped += queue.put(stream_of(count, job=job, first=put))
                put += count
            case "take" if flying is None and queue.depth().lines:
                flying = taken(queue)
                seen += flying.stream.times_ns
            case "settle" if flying is not None:
                queue.settle()
                settled += len(flying.stream)
                flying = None
            case _:
                continue

        assert put == settled + dropped + queue.depth().lines
        assert queue.last_number >= queue.settled_number >= settled_number
        settled_number = queue.settled_number
    assert seen == sorted(set(seen))
