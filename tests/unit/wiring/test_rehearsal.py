"""What becomes of a stream at a sink: taken, refused in part or whole, or told to wait."""

from __future__ import annotations

from shipper.core.errors import BatchRefused, BatchToSplit, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.wiring.rehearsal import Opinion, opinion
from tests.support.sink import FakeSink

STREAM = Stream({"job": "m"}, range(5), [b"a", b"b", b"c", b"d", b"e"])
TO_SPLIT = BatchToSplit("Loki answered 400: what?", reason="bad_request")


class Picky(FakeSink):
    """Takes nothing that a `c` is part of, and does not say why."""

    def write(self, stream: Stream) -> list[Rejection]:
        super().write(stream)
        if b"c" in stream.lines:
            raise TO_SPLIT
        return []


def test_a_stream_that_is_taken() -> None:
    assert opinion(FakeSink(), STREAM) == Opinion(STREAM, [])


def test_records_that_are_named_are_refused() -> None:
    rejections = [Rejection(1, "too_old", "too old")]

    assert opinion(FakeSink([rejections]), STREAM) == Opinion(STREAM, rejections)


def test_a_stream_that_is_refused_as_a_whole() -> None:
    refused = opinion(FakeSink([BatchRefused("no", reason="bad_labels")]), STREAM).refused

    assert refused == [Rejection(index, "bad_labels", "no") for index in range(5)]


def test_a_stream_that_has_to_wait() -> None:
    waiting = SinkUnavailable("slow down", reason="rate_limited")

    assert opinion(FakeSink([waiting]), STREAM) == Opinion(STREAM, waits="slow down")


def test_the_record_at_fault_is_found_by_writing_parts() -> None:
    sink = Picky()

    assert opinion(sink, STREAM).refused == [
        Rejection(2, "bad_request", "Loki answered 400: what?")
    ]
    assert [lines for lines in sink.written if b"c" not in lines] == [[b"a", b"b"], [b"d", b"e"]]


def test_a_part_that_has_to_wait_makes_the_stream_wait() -> None:
    waiting = SinkUnavailable("slow down", reason="rate_limited")

    assert opinion(FakeSink([TO_SPLIT, None, waiting]), STREAM).waits == "slow down"
