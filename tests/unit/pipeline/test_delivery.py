"""Deliveries: what is tried again, what is split, what is refused, and whether every line is accounted for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.pieces import BOUNDED_TRIES
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.spool import Shelf, Spool
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock, FakeRandom, RecordingEvent, TickingClock
from tests.support.sink import FakeSink, Outcome
from tests.support.tally import counted, observed

PATIENCE_SECONDS = 10.0
AT_ONCE = Backoff(0, 0)
DOWN = SinkUnavailable("connection refused", reason="connection")
LIMITED = SinkUnavailable("too many streams", reason="stream_limited", blame=Blame.LIMIT)
FAST = SinkUnavailable("too fast", reason="per_stream_rate_limited", blame=Blame.STREAM)
ODD = SinkUnavailable("internal error", reason="server_error", blame=Blame.UNKNOWN)
TOO_LARGE = BatchToSplit("the batch is too large", reason="too_large")
REFUSED = BatchRefused("no such tenant", reason="no_tenant")
LOG = logging.getLogger("test.delivery")


def delivery_to(sink: FakeSink, *, max_bytes: int = 10**6, **more: Any) -> Delivery:
    clock, tally = more.pop("clock", FakeClock()), Tally()
    backoff, random = more.pop("backoff", AT_ONCE), more.pop("random", Random(1))
    refusals = Refusals(metric="m", sink="fake", tally=tally, log=LOG, clock=clock)
    return Delivery(
        metric="m",
        sink=sink,
        queue=DeliveryQueue(
            max_bytes=max_bytes, batch_bytes=10**5, clock=clock, shelf=more.pop("shelf", None)
        ),
        pace=more.pop("pace", None) or OwnPace(backoff=backoff, clock=clock, random=random),
        refusals=refusals,
        tally=tally,
        log=LOG,
        clock=clock,
        settled=more.pop("settled", lambda: None),
        random=random,
        backoff=backoff,
        **more,
    )


def lines_of(count: int, first: int = 0) -> list[bytes]:
    return [b"line %03d" % number for number in range(first, first + count)]


def stream_of(count: int, *, job: str = "m", first: int = 0) -> Stream:
    return Stream({"job": job}, range(first, first + count), lines_of(count, first))


def delivered(delivery: Delivery, *streams: Stream) -> int:
    """Deliver streams to the end and return how many lines were left."""
    for stream in streams:
        delivery.queue.put(stream)
    delivery.start()
    return delivery.finish(PATIENCE_SECONDS).lines


def count_of(delivery: Delivery, family: families.Family, *values: str) -> float:
    return counted(delivery.tally, family, "m", *values)


def test_lines_are_delivered_in_their_order() -> None:
    sink = FakeSink()
    left = delivered(delivery_to(sink), *(stream_of(3, first=first) for first in (0, 3, 6)))

    assert left == 0
    assert sink.taken == lines_of(9)


def test_what_was_delivered_is_counted_in_lines_and_bytes() -> None:
    delivery = delivery_to(FakeSink())
    delivered(delivery, stream_of(3))

    assert count_of(delivery, families.LINES_DELIVERED, "fake") == 3
    assert count_of(delivery, families.BYTES_DELIVERED, "fake") == 24


def test_every_push_is_timed() -> None:
    delivery = delivery_to(FakeSink([DOWN, DOWN]))
    delivered(delivery, stream_of(1))

    assert observed(delivery.tally, families.PUSH_SECONDS, "m", "fake") == (3, 0)


def test_the_sink_is_closed_at_the_end() -> None:
    sink = FakeSink()
    delivered(delivery_to(sink), stream_of(1))

    assert sink.closed == 1


def test_settled_is_told_after_every_push() -> None:
    told: list[int] = []
    delivered(
        delivery_to(FakeSink(), settled=lambda: told.append(1)),
        stream_of(1, job="a"),
        stream_of(1, job="b"),
    )

    assert len(told) == 2


def test_what_the_sink_does_not_take_now_is_tried_again_in_order() -> None:
    sink = FakeSink([DOWN, DOWN, None, DOWN])
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(2, job="a"), stream_of(2, job="b", first=2))

    assert sink.taken == lines_of(4)
    assert count_of(delivery, families.PUSH_RETRIES, "fake", "connection") == 3


def test_an_outage_is_tried_for_ever() -> None:
    sink = FakeSink([DOWN] * 5 * BOUNDED_TRIES)
    delivered(delivery_to(sink), stream_of(1))

    assert sink.taken == lines_of(1)


def test_what_may_never_end_is_tried_a_few_times_and_then_rejected() -> None:
    sink = FakeSink([LIMITED] * BOUNDED_TRIES)
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(2, job="a"), stream_of(1, job="b", first=2))

    assert sink.written == [lines_of(2)] * BOUNDED_TRIES + [lines_of(1, 2)]
    assert count_of(delivery, families.LINES_REJECTED, "fake", "stream_limited") == 2
    assert sink.taken == lines_of(1, 2)


def test_what_may_never_end_is_delivered_when_it_ends_with_the_last_try() -> None:
    sink = FakeSink([LIMITED] * (BOUNDED_TRIES - 1))
    delivered(delivery_to(sink), stream_of(2))

    assert sink.taken == lines_of(2)


def test_an_outage_before_does_not_use_up_the_tries_of_what_may_never_end() -> None:
    sink = FakeSink([DOWN] * BOUNDED_TRIES + [LIMITED])
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(2))

    assert count_of(delivery, families.LINES_REJECTED) == 0
    assert sink.taken == lines_of(2)


def test_a_batch_that_is_too_large_is_halved_down_to_what_fits() -> None:
    sink = FakeSink(max_records=2, too_large=TOO_LARGE)
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(5))

    assert sink.taken == lines_of(5)
    assert [len(lines) for lines in sink.written] == [5, 2, 3, 1, 2]
    assert count_of(delivery, families.LINES_DELIVERED) == 5


def test_a_single_record_that_is_too_large_is_rejected_and_the_others_arrive() -> None:
    sink = FakeSink([TOO_LARGE, TOO_LARGE, TOO_LARGE])
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(3))

    assert [len(lines) for lines in sink.written] == [3, 1, 2, 1, 1]
    assert count_of(delivery, families.LINES_REJECTED, "fake", "too_large") == 1
    assert sink.taken == lines_of(2, 1)


def test_half_of_a_batch_is_tried_again_by_itself() -> None:
    sink = FakeSink([TOO_LARGE, DOWN, None, None])
    delivered(delivery_to(sink), stream_of(2))

    assert sink.written == [lines_of(2), lines_of(1), lines_of(1), lines_of(1, 1)]


def test_a_refused_batch_is_counted_and_the_next_one_goes_on() -> None:
    sink = FakeSink([REFUSED])
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(2, job="a"), stream_of(1, job="b", first=2))

    assert count_of(delivery, families.LINES_REJECTED, "fake", "no_tenant") == 2
    assert sink.taken == lines_of(1, 2)


def test_refused_records_are_counted_by_reason_and_the_others_are_delivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = FakeSink([[Rejection(0, "too_old", "entry too far behind"), Rejection(2, "bad")]])
    delivery = delivery_to(sink)
    delivered(delivery, stream_of(4))

    assert count_of(delivery, families.LINES_REJECTED, "fake", "too_old") == 1
    assert count_of(delivery, families.LINES_REJECTED, "fake", "bad") == 1
    assert count_of(delivery, families.LINES_DELIVERED) == 2
    assert caplog.messages == [
        "fake refused 1 of 4 lines for good: too_old: entry too far behind",
        "fake refused 1 of 4 lines for good: bad",
    ]


def test_cut_lines_are_counted() -> None:
    delivery = delivery_to(FakeSink(cuts=2))
    delivered(delivery, stream_of(5))

    assert count_of(delivery, families.LINES_CUT, "fake") == 2


@pytest.mark.parametrize("blamed", [DOWN, FAST, LIMITED, ODD], ids=lambda error: error.reason)
@pytest.mark.parametrize(
    ("fraction", "waits_seconds"), [(1.0, [0.5, 1.0, 2.0]), (0.5, [0.25, 0.5, 1.0])]
)
def test_waits_grow_with_jitter(
    fraction: float, waits_seconds: list[float], blamed: SinkUnavailable
) -> None:
    clock = FakeClock()
    stop = RecordingEvent(clock)
    delivered(
        delivery_to(
            FakeSink([blamed] * 3),
            clock=clock,
            backoff=Backoff(),
            random=FakeRandom(fraction),
            _ending=stop,
        ),
        stream_of(1),
    )

    assert stop.waits_seconds == waits_seconds


@pytest.mark.parametrize("blame", list(Blame))
def test_the_wait_is_never_shorter_than_the_sink_asked_for(blame: Blame) -> None:
    clock = FakeClock()
    stop = RecordingEvent(clock)
    asked = SinkUnavailable("slow", reason="rate", retry_after_seconds=7, blame=blame)
    delivered(
        delivery_to(
            FakeSink([asked]),
            clock=clock,
            backoff=Backoff(),
            random=FakeRandom(0.5),
            _ending=stop,
        ),
        stream_of(1),
    )

    assert stop.waits_seconds == [7.25]


def test_an_outage_is_told_once_when_it_begins_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    caplog.set_level(logging.INFO)
    delivered(
        delivery_to(FakeSink([DOWN] * 4), clock=clock, settled=lambda: clock.pass_seconds(2)),
        stream_of(1),
    )

    assert caplog.messages == [
        "fake takes no lines: connection refused. Lines wait, and are tried again.",
        "fake takes lines again after 8.0 s and 4 attempts.",
    ]


def test_an_outage_that_another_worker_tells_is_shown_but_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class SharedPace(OwnPace):
        def failed(self, retry_after_seconds: float | None) -> bool:
            super().failed(retry_after_seconds)
            return False

        def passed(self) -> None:
            super().passed()

    clock, random, seen = FakeClock(), FakeRandom(0.0), list[str]()
    caplog.set_level(logging.INFO)
    delivery: Delivery = delivery_to(
        FakeSink([DOWN] * 2),
        clock=clock,
        pace=SharedPace(backoff=Backoff(), clock=clock, random=random),
        settled=lambda: seen.append(delivery.trouble),
    )
    delivered(delivery, stream_of(1))

    assert caplog.messages == []
    assert seen == [*["fake takes no lines: connection refused"] * 2, ""]


def test_its_trouble_can_be_read_as_long_as_it_lasts() -> None:
    seen: list[str] = []
    delivery: Delivery = delivery_to(
        FakeSink([DOWN, None]), settled=lambda: seen.append(delivery.trouble)
    )
    delivered(delivery, stream_of(1))

    assert seen == ["fake takes no lines: connection refused", ""]


def test_a_second_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    delivered(
        delivery_to(FakeSink([DOWN, None, DOWN])), stream_of(1, job="a"), stream_of(1, job="b")
    )

    assert len(caplog.messages) == 2


def test_a_fault_of_ours_ends_the_loop_and_surfaces() -> None:
    fault = RuntimeError("a bug")
    sink = FakeSink([fault])
    delivery = delivery_to(sink)
    delivery.queue.put(stream_of(1))
    delivery.start()
    _joined(delivery)

    assert delivery.fault is fault
    assert sink.closed == 1
    assert delivery.queue.depth().lines == 1


def test_finishing_gives_up_what_the_sink_does_not_take() -> None:
    sink = FakeSink(always=DOWN)
    delivery = delivery_to(sink, backoff=Backoff(1000, 1000))
    delivery.queue.put(stream_of(3))
    delivery.start()
    assert sink.tried.wait(PATIENCE_SECONDS)

    assert delivery.finish(0).lines == 3
    assert count_of(delivery, families.LINES_DROPPED, "shutdown") == 3


def test_lines_of_half_a_batch_that_arrived_are_not_counted_as_lost_at_the_end() -> None:
    second_half = Event()
    sink = FakeSink([TOO_LARGE, None], always=DOWN)
    delivery = delivery_to(
        sink, backoff=Backoff(1000, 1000), settled=second_half.set, random=FakeRandom(1)
    )
    delivery.queue.put(stream_of(2))
    delivery.start()
    assert second_half.wait(PATIENCE_SECONDS)
    delivery.finish(0)

    assert count_of(delivery, families.LINES_DELIVERED) == 1
    assert count_of(delivery, families.LINES_DROPPED, "shutdown") == 1


def test_finishing_before_it_began_drops_what_waits() -> None:
    delivery = delivery_to(FakeSink())
    delivery.queue.put(stream_of(2))

    assert delivery.finish(0).lines == 2


def test_the_end_does_not_sleep_through_a_long_wait_when_the_sink_is_well_again() -> None:
    sink = FakeSink([ODD])
    delivery = delivery_to(sink, backoff=Backoff(1000, 1000), random=FakeRandom(1))
    delivery.queue.put(stream_of(2))
    delivery.start()
    assert sink.tried.wait(PATIENCE_SECONDS)

    assert delivery.finish(PATIENCE_SECONDS).lines == 0
    assert sink.taken == lines_of(2)


def test_a_stop_in_the_middle_of_a_wait_ends_it() -> None:
    sink = FakeSink(always=DOWN)
    delivery = delivery_to(sink, backoff=Backoff(1000, 1000))
    delivery.queue.put(stream_of(1))
    delivery.start()
    assert sink.tried.wait(PATIENCE_SECONDS)
    delivery.finish(0)

    assert not _joined(delivery).is_alive()
    assert len(sink.written) == 1


def test_a_stream_that_was_given_up_is_tried_once_until_it_is_taken_again() -> None:
    sink = FakeSink([LIMITED] * (BOUNDED_TRIES + 1) + [None] + [LIMITED] * 3)
    delivery = delivery_to(sink)
    for first in range(4):
        delivered_in_turn(delivery, stream_of(1, first=first))
    delivery.finish(PATIENCE_SECONDS)

    pushes = [sink.written.count(lines_of(1, first)) for first in range(4)]
    assert pushes == [BOUNDED_TRIES, 1, 1, 4]


def test_a_record_that_breaks_the_sink_is_found_and_the_others_arrive() -> None:
    sink = PoisonedSink({b"line 005"})
    delivery = delivery_to(sink, clock=TickingClock())
    delivered(delivery, stream_of(9))

    assert sorted(sink.taken) == [line for line in lines_of(9) if line != b"line 005"]
    assert count_of(delivery, families.LINES_REJECTED, "fake", "server_error") == 1


def test_several_records_that_break_the_sink_are_found() -> None:
    poison = {b"line 000", b"line 003", b"line 008"}
    sink = PoisonedSink(poison)
    delivery = delivery_to(sink, clock=TickingClock())
    delivered(delivery, stream_of(9))

    assert sorted(sink.taken) == [line for line in lines_of(9) if line not in poison]
    assert count_of(delivery, families.LINES_REJECTED, "fake", "server_error") == 3


def test_a_sink_that_breaks_on_everything_is_an_outage_and_nothing_is_rejected() -> None:
    sink = FakeSink([ODD] * 100)
    delivery = delivery_to(sink, clock=TickingClock())
    delivered(delivery, stream_of(5))

    assert count_of(delivery, families.LINES_REJECTED) == 0
    assert sorted(sink.taken) == lines_of(5)


def test_a_lonely_record_that_breaks_the_sink_is_found_once_others_come() -> None:
    sink = PoisonedSink({b"line 000"}, then_put=stream_of(3, first=1))
    delivery = delivery_to(sink, clock=TickingClock())
    sink.queue = delivery.queue
    delivered(delivery, stream_of(1))

    assert sink.taken == lines_of(3, 1)
    assert count_of(delivery, families.LINES_REJECTED, "fake", "server_error") == 1


def test_a_lonely_record_that_breaks_the_sink_does_not_hold_up_other_streams(
    tmp_path: Path,
) -> None:
    clock = TickingClock()
    spool = Spool(tmp_path / "m.db", clock=clock, log=LOG, damaged=lambda _lines: None)
    sink = PoisonedSink({b"line 000"})
    delivery = delivery_to(sink, clock=clock, shelf=Shelf(spool, "fake", 10**6))
    delivery.queue.put(stream_of(1, job="a"))
    delivery.queue.put(stream_of(3, job="b", first=1))
    delivery.queue.keep()
    left = delivered(delivery)

    assert left == 0
    assert sink.taken == lines_of(3, 1)
    assert count_of(delivery, families.LINES_REJECTED, "fake", "server_error") == 1


def test_a_stop_leaves_what_is_not_settled_of_a_split_batch_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "m.db", clock=FakeClock(), log=LOG, damaged=lambda _lines: None)
    shelf = Shelf(spool, "fake", max_bytes=10**6)
    second_half = Event()
    sink = FakeSink([TOO_LARGE, None], always=DOWN)
    delivery = delivery_to(
        sink,
        backoff=Backoff(1000, 1000),
        settled=second_half.set,
        random=FakeRandom(1),
        shelf=shelf,
    )
    delivery.queue.put(stream_of(4))
    delivery.start()
    assert second_half.wait(PATIENCE_SECONDS)
    left = delivery.finish(0)

    assert (left.lines, left.memory_lines) == (2, 0)
    (parcel,) = shelf.oldest(max_weight_bytes=10**6)
    assert parcel.stream.lines == lines_of(2, 2)


class PoisonedSink(FakeSink):
    """Breaks, without saying why, on every batch that holds one of some lines."""

    def __init__(self, poison: set[bytes], then_put: Stream | None = None) -> None:
        super().__init__()
        self.poison = poison
        self.then_put = then_put
        self.queue: DeliveryQueue | None = None

    def _outcome(self, stream: Stream) -> Sequence[Rejection]:
        if self.poison & set(stream.lines):
            if len(self.written) == 2 * BOUNDED_TRIES and self.queue and self.then_put:
                self.queue.put(self.then_put)
            raise ODD
        return super()._outcome(stream)


def delivered_in_turn(delivery: Delivery, stream: Stream) -> None:
    """Put a stream and wait until it is settled."""
    delivery.queue.put(stream)
    if delivery._thread is None:
        delivery.start()
    assert delivery.queue.wait_until_empty(PATIENCE_SECONDS)


def _joined(delivery: Delivery) -> Thread:
    thread = delivery._thread
    assert thread is not None
    thread.join(PATIENCE_SECONDS)
    return thread


def refusing(index: int) -> Outcome:
    return [Rejection(index, "too_old")]


FAULTS: dict[str, Callable[[], Outcome]] = {
    "taken": lambda: None,
    "down": lambda: DOWN,
    "limited": lambda: LIMITED,
    "too fast": lambda: FAST,
    "odd": lambda: ODD,
    "too large": lambda: TOO_LARGE,
    "refused": lambda: REFUSED,
    "first refused": lambda: refusing(0),
    "third refused": lambda: refusing(2),
}


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab")), max_size=12),
    faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=30),
    max_bytes=st.integers(50, 2000),
)
def test_the_books_balance_whatever_the_sink_does(
    sizes: list[tuple[int, str]], faults: list[str], max_bytes: int
) -> None:
    sink = FakeSink([FAULTS[fault]() for fault in faults])
    delivery = delivery_to(sink, max_bytes=max_bytes, clock=TickingClock())
    delivery.start()
    received = dropped = 0
    for size, job in sizes:
        delivery.queue.put(stream_of(size, job=job, first=received))
        dropped += delivery.queue.keep()
        received += size
    waiting = delivery.finish(PATIENCE_SECONDS).lines

    taken = count_of(delivery, families.LINES_DELIVERED)
    rejected = count_of(delivery, families.LINES_REJECTED)
    assert delivery.fault is None
    assert received == taken + rejected + dropped + waiting
    assert taken == len(sink.taken)
    assert sink.taken == sorted(set(sink.taken))
