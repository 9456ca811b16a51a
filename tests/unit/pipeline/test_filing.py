"""Rows under their labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.record import Batch, Stream
from shipper.pipeline.filing import Filing, FilingRules

READ_AT_NS = 1_700_000_000_000_000_000


def filed(
    *rows: dict[str, object], overflowed: list[str] | None = None, **rules: Any
) -> list[Stream]:
    told = [] if overflowed is None else overflowed
    filing = Filing(FilingRules({"job": "m"}, **rules), told.append)
    return filing.streams(Batch(rows, READ_AT_NS))


def test_no_rows_make_no_stream() -> None:
    assert filed() == []


def test_rows_without_label_fields_are_one_stream() -> None:
    (stream,) = filed({"a": 1}, {"a": 2})

    assert (stream.labels, stream.lines) == ({"job": "m"}, [b'{"a":1}', b'{"a":2}'])
    assert stream.metadata is None


def test_equal_rows_of_one_poll_are_a_nanosecond_apart() -> None:
    (stream,) = filed({"a": 1}, {"a": 1}, {"a": 1})

    assert list(stream.times_ns) == [READ_AT_NS, READ_AT_NS + 1, READ_AT_NS + 2]


def test_rows_are_grouped_by_their_label_fields() -> None:
    streams = filed(
        {"db": "x", "n": 1}, {"db": "y", "n": 2}, {"db": "x", "n": 3}, label_fields=["db"]
    )

    assert [(stream.labels["db"], stream.lines) for stream in streams] == [
        ("x", [b'{"db":"x","n":1}', b'{"db":"x","n":3}']),
        ("y", [b'{"db":"y","n":2}']),
    ]
    assert list(streams[0].times_ns) == [READ_AT_NS, READ_AT_NS + 2]


@pytest.mark.parametrize("row", [{}, {"db": None}, {"db": ""}], ids=repr)
def test_a_row_without_a_value_lacks_the_label(row: dict[str, object]) -> None:
    (stream,) = filed(row, label_fields=["db"])

    assert stream.labels == {"job": "m"}


def test_a_label_shows_its_value_as_text() -> None:
    (stream,) = filed({"flag": True, "n": 7}, label_fields=["flag", "n"])

    assert stream.labels == {"job": "m", "flag": "true", "n": "7"}


def test_values_beyond_the_allowance_go_to_metadata_and_are_told() -> None:
    told: list[str] = []
    rows: list[dict[str, object]] = [{"db": value} for value in ("a", "b", "c", "a", "d", "c")]
    streams = filed(*rows, overflowed=told, label_fields=["db"], max_label_values=2)

    assert [stream.labels.get("db") for stream in streams] == ["a", "b", None]
    assert streams[2].metadata == [{"db": "c"}, {"db": "d"}, {"db": "c"}]
    assert told == ["db"] * 3


def test_the_allowance_lasts_from_one_batch_to_the_next() -> None:
    filing = Filing(FilingRules({}, ["db"], max_label_values=1), lambda _name: None)
    filing.streams(Batch([{"db": "a"}]))
    (stream,) = filing.streams(Batch([{"db": "b"}]))

    assert (stream.labels, stream.metadata) == ({}, [{"db": "b"}])


def test_metadata_fields_go_along_with_each_record() -> None:
    (stream,) = filed({"id": 1, "n": 1}, {"id": None, "n": 2}, {"n": 3}, metadata_fields=["id"])

    assert stream.metadata == [{"id": "1"}, {}, {}]


def test_metadata_that_no_record_has_is_none() -> None:
    (stream,) = filed({"n": 1}, metadata_fields=["id"])

    assert stream.metadata is None


def test_records_with_a_time_of_their_own_keep_it_and_their_place() -> None:
    (stream,) = filed(
        {"t": 3, "id": "c"}, {"t": 1, "id": "a"}, time_field="t", metadata_fields=["id"]
    )

    assert list(stream.times_ns) == [3 * 10**9, 10**9]
    assert [json.loads(line)["id"] for line in stream.lines] == ["c", "a"]
    assert stream.metadata == [{"id": "c"}, {"id": "a"}]


def test_a_row_whose_time_cannot_be_read_gets_the_moment_of_the_poll() -> None:
    (stream,) = filed({"t": 5}, {"t": "soon"}, {}, time_field="t")

    assert list(stream.times_ns) == [5 * 10**9, READ_AT_NS + 1, READ_AT_NS + 2]


def test_lines_can_be_logfmt() -> None:
    (stream,) = filed({"a": 1, "b": "x y"}, line="logfmt")

    assert stream.lines == [b'a=1 b="x y"']


FIELDS = st.sampled_from([None, "x", "y", "z", 1, True])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": FIELDS, "b": FIELDS, "t": st.integers(0, 9)})),
    rules=st.fixed_dictionaries(
        {
            "label_fields": st.sampled_from([[], ["a"], ["a", "b"]]),
            "metadata_fields": st.sampled_from([[], ["b"]]),
            "time_field": st.sampled_from([None, "t"]),
            "max_label_values": st.integers(1, 3),
        }
    ),
)
def test_every_row_is_filed_exactly_once(
    rows: list[dict[str, object]], rules: dict[str, Any]
) -> None:
    streams = filed(*rows, **rules)
    lines = [line for stream in streams for line in stream.lines]

    assert sorted(lines) == sorted(json.dumps(row, separators=(",", ":")).encode() for row in rows)
    for stream in streams:
        assert len(stream.times_ns) == len(stream.lines)
        assert stream.metadata is None or len(stream.metadata) == len(stream.lines)
    assert len({tuple(sorted(stream.labels.items())) for stream in streams}) == len(streams)


def test_fields_that_no_row_has_are_told_once() -> None:
    told: list[tuple[list[str], list[str]]] = []
    rules = FilingRules({}, label_fields=["a", "b"], metadata_fields=["c"], time_field="d")
    filing = Filing(
        rules,
        lambda _name: None,
        lambda missing, there: told.append((list(missing), list(there))),
    )
    filing.streams(Batch([]))
    filing.streams(Batch([{"a": 1, "x": 2}, {"c": 3}]))
    filing.streams(Batch([{"x": 1}]))

    assert told == [(["b", "d"], ["a", "x", "c"])]


def test_what_is_known_about_a_row_becomes_its_structured_metadata() -> None:
    filing = Filing(FilingRules({"job": "m"}), lambda _name: None)
    (stream,) = filing.streams(
        Batch([{"a": 1}, {"a": 2}], READ_AT_NS, metadata=[{"message_id": "7"}, {}])
    )

    assert stream.metadata == [{"message_id": "7"}, {}]


def test_fields_that_are_lifted_join_what_is_known_about_a_row() -> None:
    rules = FilingRules({"job": "m"}, label_fields=["db"], metadata_fields=["a"])
    filing = Filing(rules, lambda _name: None)
    (stream,) = filing.streams(
        Batch([{"a": 1, "db": "x"}], READ_AT_NS, metadata=[{"message_id": "7"}])
    )

    assert stream.labels == {"job": "m", "db": "x"}
    assert stream.metadata == [{"message_id": "7", "a": "1"}]


def test_it_tells_how_many_values_and_streams_there_were() -> None:
    filing = Filing(FilingRules({}, label_fields=["db", "node"]), lambda _name: None)
    before = (filing.label_values, filing.streams_filed)
    filing.streams(Batch([{"db": "x", "node": 1}, {"db": "y"}], READ_AT_NS))
    filing.streams(Batch([{"db": "x", "node": 1}, {"db": "x"}], READ_AT_NS))

    assert before == ({"db": 0, "node": 0}, 0)
    assert (filing.label_values, filing.streams_filed) == ({"db": 2, "node": 1}, 3)
