"""What is shown of what a sink took."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import Random

from shipper.core.errors import BatchToSplit
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink

LOG = logging.getLogger("test.showing")
TOO_LARGE = BatchToSplit("the batch is too large", reason="too_large")


class Onlooker:
    """Remembers every line with the moment that it was shown with."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, int]] = []

    def __call__(self, stream: Stream, runs: Sequence[tuple[int, int]]) -> None:
        moments = [put_ns for count, put_ns in runs for _ in range(count)]
        self.seen += zip(stream.lines, moments, strict=True)


def shown(sink: FakeSink, *polls: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Deliver polls that were put a second after each other; return what was shown, with the second of its poll."""
    clock, tally, onlooker = FakeClock(), Tally(), Onlooker()
    queue = DeliveryQueue(max_bytes=10**6, batch_bytes=10**5, clock=clock)
    began_ns = clock.now_ns()
    for lines in polls:
        queue.put(Stream({}, range(len(lines)), lines))
        clock.pass_seconds(1)
    delivery = Delivery(
        metric="m",
        sink=sink,
        queue=queue,
        pace=OwnPace(backoff=Backoff(0, 0), clock=clock, random=Random(1)),
        refusals=Refusals(metric="m", sink="fake", tally=tally, log=LOG, clock=clock),
        tally=tally,
        log=LOG,
        clock=clock,
        settled=lambda: None,
        random=Random(1),
        show=onlooker,
    )
    delivery.start()
    delivery.finish(10)
    return [(line, (put_ns - began_ns) // 10**9) for line, put_ns in onlooker.seen]


def test_lines_are_shown_with_the_moment_of_their_own_poll() -> None:
    assert shown(FakeSink(), [b"a", b"b"], [b"c"]) == [(b"a", 0), (b"b", 0), (b"c", 1)]


def test_lines_that_are_refused_are_not_shown() -> None:
    sink = FakeSink([[Rejection(1, "bad"), Rejection(2, "bad")]])

    assert shown(sink, [b"a", b"b"], [b"c", b"d"]) == [(b"a", 0), (b"d", 1)]


def test_what_is_split_is_shown_piece_by_piece() -> None:
    sink = FakeSink(max_records=1, too_large=TOO_LARGE)

    assert shown(sink, [b"a"], [b"b", b"c"]) == [(b"a", 0), (b"b", 1), (b"c", 1)]


def test_nothing_is_shown_when_everything_is_refused() -> None:
    assert shown(FakeSink([[Rejection(0, "bad")]]), [b"a"]) == []


def test_streams_of_one_poll_are_put_at_one_moment() -> None:
    clock = FakeClock()
    queue = DeliveryQueue(max_bytes=10**6, batch_bytes=10**5, clock=clock)
    queue.put_together([Stream({"n": name}, [1], [b"x"]) for name in "ab"])
    flights = []
    for _ in range(2):
        flight = queue.take()
        assert flight is not None
        flights.append(flight)
        queue.settle()

    assert [flight.put_at(0, 1) for flight in flights] == [((1, clock.now_ns()),)] * 2
    assert queue.turns == 2
