from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.sinks.loki.prepare import MAX_LINE_BYTES, MAX_TIME_NS, Preparer, Push, cut_line

LONG = MAX_LINE_BYTES + 1


def prepared(stream: Stream) -> Push:
    return Preparer().prepare(stream)


def test_records_in_order_are_left_as_they_are() -> None:
    stream = Stream({"job": "x"}, [1, 2, 2], [b"a", b"b", b"c"])
    push = prepared(stream)

    assert push.stream == stream
    assert push.places is None


def test_records_out_of_order_are_sorted_and_those_of_one_time_stay_in_turn() -> None:
    push = prepared(
        Stream({}, [3, 1, 3, 1], [b"a", b"b", b"c", b"d"], [{"n": str(n)} for n in range(4)])
    )

    assert push.stream.lines == [b"b", b"d", b"a", b"c"]
    assert push.stream.times_ns == [1, 1, 3, 3]
    assert push.stream.metadata == [{"n": "1"}, {"n": "3"}, {"n": "0"}, {"n": "2"}]


def test_rejections_are_numbered_by_the_order_that_was_asked_for() -> None:
    push = prepared(Stream({}, [3, 2, 1], [b"a", b"b", b"c"]))

    assert push.in_asked_order([Rejection(0, "old"), Rejection(1, "old")]) == [
        Rejection(1, "old"),
        Rejection(2, "old"),
    ]


@pytest.mark.parametrize(
    ("time_ns", "sent_ns"),
    [(-5, 0), (2**63, MAX_TIME_NS), (10**30, MAX_TIME_NS), (0, 0), (MAX_TIME_NS, MAX_TIME_NS)],
)
def test_times_are_kept_within_what_can_be_written(time_ns: int, sent_ns: int) -> None:
    assert list(prepared(Stream({}, [time_ns], [b""])).stream.times_ns) == [sent_ns]


def test_a_line_of_the_greatest_length_is_whole() -> None:
    push = prepared(Stream({}, [1], [b"x" * MAX_LINE_BYTES]))

    assert (len(push.stream.lines[0]), push.lines_cut) == (MAX_LINE_BYTES, 0)


def test_a_longer_line_is_cut_and_says_how_much_it_lost() -> None:
    push = prepared(Stream({}, [1, 2], [b"x" * 300_000, b"short"]))
    cut, mark = push.stream.lines[0].split(b" ...")

    assert mark == f"[cut {300_000 - len(cut)} bytes]".encode()
    assert len(push.stream.lines[0]) <= MAX_LINE_BYTES
    assert push.stream.lines[1] == b"short"
    assert push.lines_cut == 1


@given(st.text("aé☃😀", min_size=1), st.integers(0, 3))
def test_a_line_is_cut_between_characters(pattern: str, shift: int) -> None:
    line = ("x" * shift + pattern * (LONG // len(pattern.encode()) + 5)).encode()
    cut = cut_line(line)
    kept = cut.decode().rpartition(" ...[cut ")[0]

    assert MAX_LINE_BYTES - 8 < len(cut) <= MAX_LINE_BYTES
    assert line.decode().startswith(kept)


def test_a_line_without_any_character_is_cut_all_the_same() -> None:
    assert len(cut_line(b"\x80" * LONG)) > MAX_LINE_BYTES - 8


def test_the_size_counts_lines_metadata_and_24_bytes_a_record() -> None:
    assert prepared(Stream({}, [1, 2], [b"abc", b""])).size_bytes == 3 + 2 * 24
    assert prepared(Stream({}, [1], [b"abc"], [{"k": "vé"}])).size_bytes == 3 + 24 + 4


def test_labels_beyond_15_travel_with_every_record() -> None:
    labels = {f"l{number:02}": "v" for number in range(16)}
    push = prepared(Stream(labels, [1, 2], [b"a", b"b"]))

    assert push.stream.metadata == [{"l15": "v"}, {"l15": "v"}]


def test_metadata_that_does_not_fit_is_counted() -> None:
    push = prepared(Stream({}, [1], [b"a"], [{"k": "v" * 70_000}]))

    assert push.pairs_cut == 1
