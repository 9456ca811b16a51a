"""What waits for one sink: in memory, on disk, and on its way from one to the other."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.record import Stream
from shipper.pipeline import queue as queues
from shipper.pipeline.queue import RECORD_OVERHEAD_BYTES, DeliveryQueue, Flight, weigh
from shipper.pipeline.spool import Shelf, Spool
from shipper.telemetry.log import follow
from tests.support.clock import FakeClock

LINE = b"x" * (100 - RECORD_OVERHEAD_BYTES)
"""A line whose record weighs 100 bytes."""

LOG = logging.getLogger("test.queue")
PATIENCE_SECONDS = 10.0


def queue_of(
    *,
    max_bytes: int = 10_000,
    batch_bytes: int = 1_000,
    clock: FakeClock | None = None,
    spool: Spool | None = None,
    spool_max_bytes: int = 10**6,
    drops_oldest: bool = True,
) -> DeliveryQueue:
    return DeliveryQueue(
        max_bytes=max_bytes,
        batch_bytes=batch_bytes,
        clock=clock or FakeClock(),
        shelf=None if spool is None else Shelf(spool, "loki", max_bytes=spool_max_bytes),
        drops_oldest=drops_oldest,
    )


def spool_in(folder: Path, clock: FakeClock | None = None) -> Spool:
    return Spool(
        folder / "spool" / "m.db", clock=clock or FakeClock(), log=LOG, damaged=lambda _lines: None
    )


def stream_of(count: int, *, job: str = "m", first: int = 0) -> Stream:
    lines = [b"%3d" % (first + index) + LINE[3:] for index in range(count)]
    return Stream({"job": job}, range(first, first + count), lines)


def taken(queue: DeliveryQueue) -> Flight:
    flight = queue.take()
    assert flight is not None
    return flight


def numbers_of(flight: Flight) -> list[int]:
    return [int(line[:3]) for line in flight.stream.lines]


def all_numbers(queue: DeliveryQueue) -> list[int]:
    """Take and settle until nothing is left."""
    queue.close()
    numbers: list[int] = []
    while (flight := queue.take()) is not None:
        numbers += numbers_of(flight)
        queue.settle()
    return numbers


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


def test_streams_with_and_without_metadata_are_joined() -> None:
    queue = queue_of()
    queue.put(Stream({}, [1], [b"a"]))
    queue.put(Stream({}, [2], [b"b"], [{"k": "v"}]))

    assert taken(queue).stream == Stream({}, [1, 2], [b"a", b"b"], [{}, {"k": "v"}])


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


def test_what_is_left_of_a_push_stays_in_front() -> None:
    queue = queue_of()
    queue.put(stream_of(3, job="a"))
    queue.put(stream_of(1, job="b"))
    flight = taken(queue)
    queue.settle(flight.stream.part(1, 3))

    assert numbers_of(taken(queue)) == [1, 2]


def test_without_a_disk_the_oldest_is_dropped_when_the_bound_is_reached() -> None:
    queue = queue_of(max_bytes=300)
    dropped = []
    for number in range(5):
        queue.put(stream_of(1, first=number))
        dropped.append(queue.keep())

    assert dropped == [0, 0, 0, 1, 1]
    assert numbers_of(taken(queue)) == [2, 3, 4]


def test_what_is_being_pushed_is_not_dropped() -> None:
    queue = queue_of(max_bytes=300)
    queue.put(stream_of(1, job="first"))
    pushing = taken(queue)
    for number in range(5):
        queue.put(stream_of(1, first=number))
        queue.keep()
    queue.settle()

    assert pushing.stream.labels["job"] == "first"
    assert numbers_of(taken(queue)) == [2, 3, 4]


def test_the_youngest_is_kept_even_when_it_alone_is_above_the_bound() -> None:
    queue = queue_of(max_bytes=10)
    queue.put(stream_of(1))

    assert queue.keep() == 0
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
    assert depth.memory_lines == 3


def test_an_empty_queue_has_no_depth() -> None:
    queue = queue_of()
    queue.put(stream_of(2))
    taken(queue)
    queue.settle()
    depth = queue.depth()

    assert (depth.lines, depth.weight_bytes, depth.oldest_seconds) == (0, 0, 0)


def test_a_taker_waits_until_something_is_put() -> None:
    queue = queue_of()
    seen: list[Flight] = []
    taker = Thread(target=lambda: seen.append(taken(queue)))
    taker.start()
    queue.put(stream_of(1))
    taker.join(PATIENCE_SECONDS)

    assert [numbers_of(flight) for flight in seen] == [[0]]


def test_closing_wakes_a_taker() -> None:
    queue = queue_of()
    seen: list[Flight | None] = []
    taker = Thread(target=lambda: seen.append(queue.take()))
    taker.start()
    queue.close()
    taker.join(PATIENCE_SECONDS)

    assert seen == [None]


def test_it_is_empty_only_when_the_last_push_is_settled() -> None:
    queue = queue_of()
    queue.put(stream_of(1))
    taken(queue)

    assert not queue.wait_until_empty(0)
    queue.settle()
    assert queue.wait_until_empty(0)


def test_it_is_safe_when_nothing_is_in_memory_alone(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path))
    queue.put(stream_of(1))

    assert not queue.wait_until_safe(0)
    queue.keep()
    assert queue.wait_until_safe(0)
    assert not queue.wait_until_empty(0)


def test_what_is_pushed_while_it_is_brought_to_disk_is_safe_and_settled_once(
    tmp_path: Path,
) -> None:
    queue = queue_of(spool=spool_in(tmp_path))
    queue.put(stream_of(2))
    taken(queue)
    queue.keep()
    depth = queue.depth()
    queue.settle()

    assert (depth.lines, depth.memory_lines) == (2, 0)
    assert queue.depth().lines == 0


def test_what_is_on_disk_goes_before_what_is_in_memory(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path), batch_bytes=100)
    queue.put(stream_of(1, first=1))
    queue.keep()
    queue.put(stream_of(1, first=2))

    assert queue.behind
    assert all_numbers(queue) == [1, 2]


def test_what_is_on_disk_is_found_by_the_next_process(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path))
    queue.put(stream_of(3))
    queue.keep()
    again = queue_of(spool=spool_in(tmp_path))

    assert again.depth().lines == 3
    assert all_numbers(again) == [0, 1, 2]


def test_streams_of_one_poll_are_joined_with_those_of_other_polls_on_disk(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path))
    for number in range(3):
        queue.put(stream_of(1, job="a", first=number))
        queue.put(stream_of(1, job="b", first=10 + number))
        queue.keep()
    first = taken(queue)
    queue.settle()
    second = taken(queue)

    assert (numbers_of(first), numbers_of(second)) == ([0, 1, 2], [10, 11, 12])


def test_what_is_left_of_a_push_stays_in_front_on_disk_too(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path), batch_bytes=300)
    queue.put(stream_of(3))
    queue.keep()
    queue.put(stream_of(1, first=9))
    queue.keep()
    flight = taken(queue)
    queue.settle(flight.stream.part(2, 3))

    assert all_numbers(queue_of(spool=spool_in(tmp_path))) == [2, 9]


@pytest.mark.parametrize("kept", [True, False], ids=["on disk", "in memory"])
def test_what_was_taken_in_vain_lies_as_it_lay(tmp_path: Path, kept: bool) -> None:
    spool = spool_in(tmp_path)
    queue = queue_of(spool=spool)
    for number in range(3):
        queue.put(stream_of(1, first=number))
    if kept:
        queue.keep()
    flight = taken(queue)
    queue.settle(flight.stream)
    again = taken(queue)

    assert numbers_of(again) == numbers_of(flight) == [0, 1, 2]
    assert again.parcels == flight.parcels


def test_when_the_disk_is_full_up_to_its_bound_the_oldest_is_dropped(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path), spool_max_bytes=150, batch_bytes=100)
    dropped = 0
    for number in range(20):
        queue.put(stream_of(1, first=number))
        dropped += queue.keep()
    left = all_numbers(queue)

    assert dropped == 20 - len(left)
    assert 0 < len(left) < 20
    assert left == list(range(dropped, 20))


def test_where_nothing_may_be_dropped_it_is_full_instead(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path), spool_max_bytes=150, drops_oldest=False)
    put = 0
    while not queue.full:
        queue.put(stream_of(1, first=put))
        put += 1
        assert queue.keep() == 0

    assert 1 < put < 20
    assert all_numbers(queue) == list(range(put))
    assert not queue.full


def test_a_disk_that_cannot_be_used_leaves_everything_in_memory(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    queue = queue_of(spool=spool_in(tmp_path), max_bytes=200)
    for number in range(3):
        queue.put(stream_of(1, first=number))
    dropped = queue.keep()

    assert dropped == 1
    assert queue.depth().memory_lines == 2
    assert all_numbers(queue) == [1, 2]


def test_a_disk_that_can_be_used_again_takes_what_waited_in_memory(tmp_path: Path) -> None:
    clock = FakeClock()
    blocked = tmp_path / "spool"
    blocked.write_text("a file where a folder should be")
    queue = queue_of(spool=spool_in(tmp_path, clock), clock=clock)
    queue.put(stream_of(1))
    queue.keep()
    blocked.unlink()
    clock.pass_seconds(60)
    queue.put(stream_of(1, first=1))
    queue.keep()

    assert queue.depth().memory_lines == 0
    assert all_numbers(queue_of(spool=spool_in(tmp_path))) == [0, 1]


@pytest.mark.parametrize(
    ("stream", "weight_bytes"),
    [
        pytest.param(Stream({}, [], []), 0, id="empty"),
        pytest.param(Stream({}, [1, 2], [b"ab", b"c"]), 3 + 2 * RECORD_OVERHEAD_BYTES, id="lines"),
        pytest.param(
            Stream({}, [1], [b"a"], [{"k": "vé"}]), 1 + 1 + 3 + RECORD_OVERHEAD_BYTES, id="metadata"
        ),
    ],
)
def test_a_stream_weighs_its_lines_its_metadata_and_something_for_each_record(
    stream: Stream, weight_bytes: int
) -> None:
    assert weigh(stream) == weight_bytes


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["put", "put two", "keep", "take", "settle", "settle half", "restart"]),
        max_size=40,
    )
)
def test_nothing_is_lost_and_the_order_stands_after_any_operations(steps: list[str]) -> None:
    with TemporaryDirectory() as folder:
        spool = spool_in(Path(folder))
        queue = queue_of(spool=spool, batch_bytes=350)
        put, settled = 0, []
        flight: Flight | None = None
        for step in steps:
            match step:
                case "put" | "put two":
                    count = 1 if step == "put" else 2
                    queue.put(stream_of(count, first=put))
                    put += count
                case "keep":
                    queue.keep()
                case "take" if flight is None and queue.depth().lines:
                    flight = taken(queue)
                case "settle" if flight is not None:
                    settled += numbers_of(flight)
                    queue.settle()
                    flight = None
                case "settle half" if flight is not None:
                    middle = (len(flight.stream) + 1) // 2
                    settled += numbers_of(flight)[:middle]
                    rest = flight.stream.part(middle, len(flight.stream))
                    queue.settle(rest if len(rest) else None)
                    flight = None
                case "restart":
                    queue.keep()
                    spool.close()
                    spool, flight = spool_in(Path(folder)), None
                    queue = queue_of(spool=spool, batch_bytes=350)
        queue.settle(flight.stream if flight is not None else None)
        waiting = queue.depth().lines
        settled += all_numbers(queue)
        spool.close()

    assert waiting == put - (len(settled) - waiting)
    assert settled == list(range(put))


def test_streams_are_safe_in_the_order_they_were_put() -> None:
    queue = queue_of()
    for job in ("a", "b", "c"):
        queue.put(stream_of(1, job=job))
    safe = [queue.safe_turns()]
    for _ in range(3):
        queue.take()
        safe.append(queue.safe_turns())
        queue.settle()
        safe.append(queue.safe_turns())

    assert queue.turns == 3
    assert safe == [0, 0, 1, 1, 2, 2, 3]


def test_a_stream_in_parts_is_safe_when_its_last_part_is() -> None:
    queue = queue_of(batch_bytes=250)
    queue.put(stream_of(5))
    safe = []
    for _ in range(3):
        queue.take()
        queue.settle()
        safe.append(queue.safe_turns())

    assert safe == [0, 0, 1]


def test_a_stream_of_which_something_is_left_is_not_safe() -> None:
    queue = queue_of()
    queue.put(stream_of(3))
    flight = taken(queue)
    queue.settle(flight.stream.part(2, 3))

    assert queue.safe_turns() == 0


def test_what_was_brought_to_disk_is_safe(tmp_path: Path) -> None:
    queue = queue_of(spool=spool_in(tmp_path))
    queue.put(stream_of(1))
    queue.put(stream_of(1, job="b"))
    queue.keep()
    queue.put(stream_of(1, job="c"))

    assert queue.safe_turns() == 2


def test_the_age_of_what_is_in_memory_is_that_of_its_oldest() -> None:
    clock = FakeClock()
    queue = queue_of(clock=clock)
    ages = [queue.memory_seconds()]
    queue.put(stream_of(1))
    clock.pass_seconds(2)
    queue.put(stream_of(1, job="b"))
    clock.pass_seconds(1)
    ages.append(queue.memory_seconds())
    queue.take()
    queue.settle()
    ages.append(queue.memory_seconds())

    assert ages == [0, 3, 1]


def test_waiting_for_less_in_memory_ends_when_there_is_less_or_time_is_over() -> None:
    queue = queue_of()
    queue.put(stream_of(3))
    heavy = queue.wait_until_lighter(300, 0)
    light = queue.wait_until_lighter(301, 0)

    assert (heavy, light) == (False, True)


def test_what_comes_back_from_the_disk_names_the_poll_that_brought_it(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    queue = queue_of(spool=spool)
    for poll in ("m-3f2a.1", "m-3f2a.2"):
        follow(poll)
        queue.put(stream_of(1))
    follow()
    queue.keep()
    flight = taken(queue)
    queue.settle(flight.stream)
    spool.close()
    successor = queue_of(spool=spool_in(tmp_path))

    assert [parcel.poll for parcel in flight.parcels] == ["m-3f2a.1", "m-3f2a.2"]
    assert [parcel.poll for parcel in taken(successor).parcels] == ["", ""]


def test_of_very_many_on_disk_the_polls_of_the_youngest_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MOST_POLLS_REMEMBERED", 2)
    queue = queue_of(spool=spool_in(tmp_path))
    for number in range(3):
        follow(f"m-3f2a.{number}")
        queue.put(stream_of(1))
    follow()
    queue.keep()

    assert [parcel.poll for parcel in taken(queue).parcels] == ["", "m-3f2a.1", "m-3f2a.2"]
