"""Streams: records in columns, in parts, and one at a time."""

from __future__ import annotations

import pytest

from shipper.core.record import Record, Stream

STREAM = Stream({"job": "m"}, [1, 2, 3], [b"a", b"b", b"c"], [{}, {"k": "v"}, {}])


def test_a_stream_is_as_long_as_its_lines() -> None:
    assert (len(STREAM), len(Stream({}, [], []))) == (3, 0)


def test_a_part_has_the_same_labels_and_a_piece_of_every_column() -> None:
    assert STREAM.part(1, 3) == Stream({"job": "m"}, [2, 3], [b"b", b"c"], [{"k": "v"}, {}])


def test_a_part_of_a_stream_without_metadata_has_none() -> None:
    assert Stream({}, [1, 2], [b"a", b"b"]).part(0, 1).metadata is None


def test_times_may_be_a_range() -> None:
    part = Stream({}, range(10, 13), [b"a", b"b", b"c"]).part(1, 3)

    assert list(part.times_ns) == [11, 12]


def test_records_are_seen_one_at_a_time() -> None:
    assert list(STREAM.records()) == [
        Record(1, b"a", {"job": "m"}, {}),
        Record(2, b"b", {"job": "m"}, {"k": "v"}),
        Record(3, b"c", {"job": "m"}, {}),
    ]


def test_records_without_metadata_have_an_empty_one() -> None:
    (record,) = Stream({}, [1], [b"a"]).records()

    assert record.metadata == {}


def test_columns_of_different_length_are_a_fault() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(Stream({}, [1], [b"a", b"b"]).records())
