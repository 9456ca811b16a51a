from __future__ import annotations

import zlib
from typing import Any

import cramjam
import orjson
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.record import Stream
from shipper.sinks.loki.encode import encode_json, encode_protobuf
from shipper.sinks.loki.prepare import MAX_TIME_NS

NOW_NS = 1_795_304_123_187_575_973

TYPES = {
    "Timestamp": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
    "LabelPair": [("name", 1, "string"), ("value", 2, "string")],
    # The line is bytes here: what a record holds need not be UTF-8, and Loki's Go does not look.
    "Entry": [("timestamp", 1, "Timestamp"), ("line", 2, "bytes"), ("metadata", 3, "LabelPair*")],
    "Stream": [("labels", 1, "string"), ("entries", 2, "Entry*")],
    "PushRequest": [("streams", 1, "Stream*")],
}


def push_request_class() -> Any:
    """Build the message of Loki's push.proto as the protobuf library sees it."""
    file = descriptor_pb2.FileDescriptorProto(name="push.proto", package="t", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "int64": field.TYPE_INT64,
        "int32": field.TYPE_INT32,
        "string": field.TYPE_STRING,
        "bytes": field.TYPE_BYTES,
    }
    for type_name, fields in TYPES.items():
        message = file.message_type.add(name=type_name)
        for name, number, kind in fields:
            repeated = kind.endswith("*")
            added = message.field.add(
                name=name,
                number=number,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
                type=scalars.get(kind, field.TYPE_MESSAGE),
            )
            if kind not in scalars:
                added.type_name = f".t.{kind.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.PushRequest"))


PushRequest = push_request_class()


def decoded(body: bytes) -> Any:
    return PushRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))


def as_written(body: bytes) -> list[tuple[int, bytes, dict[str, str]]]:
    (stream,) = decoded(body).streams
    return [
        (
            entry.timestamp.seconds * 10**9 + entry.timestamp.nanos,
            entry.line,
            {pair.name: pair.value for pair in entry.metadata},
        )
        for entry in stream.entries
    ]


records = st.lists(
    st.tuples(
        st.integers(0, MAX_TIME_NS),
        st.binary(max_size=300) | st.text().map(str.encode),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text("aé\n\0☃")),
    ),
    max_size=20,
)


@given(records)
def test_protobuf_reads_back_what_was_written(
    written: list[tuple[int, bytes, dict[str, str]]],
) -> None:
    times, lines, metadata = ([row[column] for row in written] for column in range(3))
    body = encode_protobuf("{}", Stream({}, times, lines, metadata))  # type: ignore[arg-type]

    assert as_written(body) == written


@given(st.lists(st.tuples(st.integers(0, MAX_TIME_NS), st.binary(max_size=300)), min_size=1))
def test_protobuf_without_metadata_reads_back_what_was_written(
    written: list[tuple[int, bytes]],
) -> None:
    stream = Stream({}, [time for time, _ in written], [line for _, line in written])

    assert as_written(encode_protobuf("{}", stream)) == [(*pair, {}) for pair in written]


def test_protobuf_carries_the_selector() -> None:
    selector = '{job="é☃", host="' + "x" * 300 + '"}'

    assert decoded(encode_protobuf(selector, Stream({}, [1], [b"x"]))).streams[0].labels == selector


@pytest.mark.parametrize("line_bytes", [0, 1, 127, 128, 16_383, 16_384, 262_144])
def test_lines_of_every_length_keep_it(line_bytes: int) -> None:
    stream = Stream({}, [NOW_NS], [b"x" * line_bytes])

    assert as_written(encode_protobuf("{}", stream)) == [(NOW_NS, b"x" * line_bytes, {})]


@pytest.mark.parametrize("time_ns", [0, 1, 999_999_999, 10**9, NOW_NS, MAX_TIME_NS], ids=str)
def test_times_keep_their_nanoseconds(time_ns: int) -> None:
    assert as_written(encode_protobuf("{}", Stream({}, [time_ns], [b""]))) == [(time_ns, b"", {})]


def test_the_largest_metadata_beside_the_longest_line_fits() -> None:
    pairs = {f"name_{number}": "v" * 500 for number in range(128)}
    stream = Stream({}, [NOW_NS], [b"x" * 262_144], [pairs])

    assert as_written(encode_protobuf("{}", stream)) == [(NOW_NS, b"x" * 262_144, pairs)]


def from_json(stream: Stream) -> Any:
    return orjson.loads(zlib.decompress(encode_json(stream), wbits=31))


def test_json_is_what_loki_reads() -> None:
    stream = Stream({"job": "x"}, [NOW_NS, NOW_NS + 1], [b"one", "zwei ☃".encode()])

    assert from_json(stream) == {
        "streams": [
            {
                "stream": {"job": "x"},
                "values": [[str(NOW_NS), "one"], [str(NOW_NS + 1), "zwei ☃"]],
            }
        ]
    }


def test_json_puts_metadata_behind_the_line() -> None:
    stream = Stream({}, [1], [b"x"], [{"trace": "é"}])

    assert from_json(stream)["streams"][0]["values"] == [["1", "x", {"trace": "é"}]]


@given(st.lists(st.binary(), min_size=1))
def test_json_of_any_bytes_is_json(lines: list[bytes]) -> None:
    values = from_json(Stream({}, [1] * len(lines), lines))["streams"][0]["values"]

    assert [line for _, line in values] == [line.decode("utf-8", "replace") for line in lines]


def test_bytes_of_a_lone_surrogate_do_not_break_json() -> None:
    line = "a\udc80b".encode("utf-8", "surrogatepass")

    assert "a" in from_json(Stream({}, [1], [line]))["streams"][0]["values"][0][1]
