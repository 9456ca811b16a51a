"""What every sink promises; a sink's test inherits `SinkContract` and says how its far end is steered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from shipper.core.errors import SinkUnavailable
from shipper.core.ports import Sink
from shipper.core.record import Stream


class SinkRig(Protocol):
    """A far end in the hands of a test, and the sinks that write to it."""

    def sink(self) -> Sink:
        """Make a sink; the rig closes it at the end."""

    def stream(self, lines: Sequence[bytes]) -> Stream:
        """Make a stream of lines that the far end takes."""

    def stream_with_a_bad_one(self) -> tuple[Stream, int]:
        """Make a stream with one record that the far end never takes, and say where it stands."""

    def arrived(self) -> list[bytes]:
        """The lines the far end holds, in the order of their times."""

    def go_down(self) -> None:
        """Make the far end unreachable."""

    def come_back(self) -> None:
        """Make it reachable again; it still holds what it held."""


class SinkContract:
    """The promises of `core.ports.Sink`, against a far end that can be trusted and then cannot."""

    def test_its_name_is_fit_for_a_counter(self, rig: SinkRig) -> None:
        assert rig.sink().name.isidentifier()

    def test_records_arrive_in_their_order_and_none_is_rejected(self, rig: SinkRig) -> None:
        lines = [f"line {number}".encode() for number in range(50)]

        assert list(rig.sink().write(rig.stream(lines))) == []
        assert rig.arrived() == lines

    def test_an_empty_stream_is_no_trouble(self, rig: SinkRig) -> None:
        assert list(rig.sink().write(rig.stream([]))) == []
        assert rig.arrived() == []

    def test_a_second_write_adds_to_the_first(self, rig: SinkRig) -> None:
        sink = rig.sink()
        sink.write(rig.stream([b"first"]))
        sink.write(rig.stream([b"second"]))

        assert rig.arrived() == [b"first", b"second"]

    def test_a_refused_record_is_named_and_the_others_arrive(self, rig: SinkRig) -> None:
        stream, bad = rig.stream_with_a_bad_one()
        rejections = rig.sink().write(stream)

        assert [rejection.index for rejection in rejections] == [bad]
        assert rejections[0].reason.isidentifier()
        assert rig.arrived() == [line for at, line in enumerate(stream.lines) if at != bad]

    def test_a_far_end_that_is_down_is_unavailable(self, rig: SinkRig) -> None:
        rig.go_down()

        with pytest.raises(SinkUnavailable) as caught:
            rig.sink().write(rig.stream([b"lost?"]))
        assert caught.value.reason.isidentifier()

    def test_what_could_not_be_written_can_be_written_later(self, rig: SinkRig) -> None:
        sink = rig.sink()
        sink.write(rig.stream([b"before"]))
        stream = rig.stream([b"after"])
        rig.go_down()
        with pytest.raises(SinkUnavailable):
            sink.write(stream)
        rig.come_back()

        assert list(sink.write(stream)) == []
        assert rig.arrived() == [b"before", b"after"]

    def test_closing_twice_is_safe(self, rig: SinkRig) -> None:
        sink = rig.sink()
        sink.write(rig.stream([b"one"]))
        sink.close()
        sink.close()

        assert rig.arrived() == [b"one"]

    def test_closing_before_anything_was_written_is_safe(self, rig: SinkRig) -> None:
        rig.sink().close()

        assert rig.arrived() == []

    def test_writing_after_closing_connects_again(self, rig: SinkRig) -> None:
        sink = rig.sink()
        sink.write(rig.stream([b"one"]))
        sink.close()
        sink.write(rig.stream([b"two"]))

        assert rig.arrived() == [b"one", b"two"]
