"""What a datagram is made of, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.json_lines import json_lines
from shipper.core.json_object import MAX_DEPTH, Unreadable
from shipper.core.record import Row
from shipper.sources.udp.formats import (
    ENVELOPE,
    MAX_DATAGRAM_BYTES,
    Format,
    json_row,
    pysmurf_row,
    reader,
    text_row,
)
from shipper.sources.udp.losses import Sequences

MESSAGE: dict[str, Any] = {
    "host": "smurf-srv20",
    "id": "STREAMER:crate1slot2",
    "script": "PySmurf_Server",
    "time": 1589517272.1,
    "seq_no": 3,
    "type": "metadata",
    "payload": {"path": "AMCc.FpgaTopLevel.AppTop.Foo[3]", "value": 42, "type": "int"},
}

WORDS = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
REASONS = {"not_utf8", "not_json", "not_an_object", "not_an_envelope", "too_long", "too_deep"}


def datagram(content: object) -> memoryview:
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    return memoryview(written)


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def row_or_reason(form: Format, content: memoryview) -> Row | str:
    try:
        return reader(form, Sequences()).row(content)
    except Unreadable as refusal:
        return refusal.reason


def pysmurf(**changes: object) -> dict[str, object]:
    return pysmurf_row(datagram(MESSAGE | changes), Sequences())


def test_an_object_is_the_row_in_the_order_of_its_keys() -> None:
    assert list(json_row(datagram(b' {"b": 1, "a": [2]}\n')).items()) == [("b", 1), ("a", [2])]


def test_nan_as_python_writes_it_is_read_and_becomes_null() -> None:
    row = json_row(datagram({"value": math.nan, "at": 1}))

    assert json_lines([row]) == [b'{"value":null,"at":1}']


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "not_json", id="empty"),
        pytest.param(b"hello", "not_json", id="text"),
        pytest.param(b'{"a":1', "not_json", id="half"),
        pytest.param(b'{"a":1},{"b":2}', "not_json", id="two"),
        pytest.param(b"[" * 5000, "too_deep", id="thousands of brackets"),
        pytest.param(b'{"a":' + b"1" * 5000 + b"}", "not_json", id="thousands of digits"),
        pytest.param(b"[]", "not_an_object", id="list"),
        pytest.param(b"null", "not_an_object", id="null"),
        pytest.param(b'"{}"', "not_an_object", id="string"),
        pytest.param(b'{"a":"\xff"}', "not_utf8", id="latin-1"),
        pytest.param(b" " * MAX_DATAGRAM_BYTES + b"{}", "too_long", id="too long"),
        pytest.param(nested(MAX_DEPTH + 1), "too_deep", id="too deep"),
        pytest.param(nested(2000), "too_deep", id="deeper than anybody reads"),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        json_row(datagram(content))

    assert refusal.value.reason == reason


def test_an_object_at_the_limit_of_length_is_read() -> None:
    filler = "x" * (MAX_DATAGRAM_BYTES - len('{"a":""}'))

    assert json_row(datagram(f'{{"a":"{filler}"}}'.encode())) == {"a": filler}


def test_an_object_at_the_limit_of_depth_is_read_and_can_be_written() -> None:
    row = json_row(datagram(nested(MAX_DEPTH)))

    assert json_lines([row]) == [nested(MAX_DEPTH)]


def test_many_brackets_side_by_side_are_not_deep() -> None:
    wide = {"a": [[1], 2] * 1000}

    assert json_row(datagram(wide)) == wide


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_every_object_that_python_writes_is_the_row(content: dict[str, object]) -> None:
    written = json.dumps(content)
    row = json_row(datagram(written.encode()))

    # Integers beyond 64 bits become floats.
    assert row == json.loads(written, parse_int=lambda text: _number(int(text)))


@given(
    st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode())
)
@pytest.mark.parametrize("form", ["json", "text", "pysmurf"])
def test_whatever_comes_is_a_row_that_can_be_written_or_is_refused(
    form: Format, content: bytes
) -> None:
    outcome = row_or_reason(form, datagram(content))

    assert outcome in REASONS if isinstance(outcome, str) else len(json_lines([outcome])) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"hello", "hello", id="plain"),
        pytest.param(b"hello\n", "hello", id="newline"),
        pytest.param(b"hello\r\n", "hello", id="line end of Windows"),
        pytest.param(b"one\ntwo\n\n", "one\ntwo\n", id="lines"),
        pytest.param(b"", "", id="empty"),
        pytest.param(" żółć ☃ ".encode(), " żółć ☃ ", id="beyond ASCII"),
    ],
)
def test_text_is_a_message_without_its_line_end(content: bytes, message: str) -> None:
    assert text_row(datagram(content)) == {"message": message}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"caf\xe9", "not_utf8", id="latin-1"),
        pytest.param(b"x" * (MAX_DATAGRAM_BYTES + 1), "too_long", id="too long"),
    ],
)
def test_text_that_cannot_be_a_line_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        text_row(datagram(content))

    assert refusal.value.reason == reason


def test_the_whole_envelope_is_the_row_with_publisher_and_stream() -> None:
    message = MESSAGE | {"type": "log", "payload": {"message": "done"}}
    ids = {"pub_id": "STREAMER:crate1slot2", "stream_id": "crate1slot2"}

    assert pysmurf(**message) == message | ids


def test_a_message_about_a_register_has_the_name_of_its_feed_s_field_beside_the_payload() -> None:
    row = pysmurf()

    assert row["field"] == "AMCcFpgaTopLevelAppTopFoo3"
    assert row["payload"] == MESSAGE["payload"]


@pytest.mark.parametrize("payload", [{}, {"path": None}, {"path": 7}, "path", ["path"], None])
def test_a_message_about_a_register_without_a_path_has_no_field(payload: object) -> None:
    assert "field" not in pysmurf(payload=payload)


def test_other_messages_have_no_field() -> None:
    assert "field" not in pysmurf(type="data_file", payload={"path": "/data/a.txt"})


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("start", {}),
        ("stop", {}),
        ("log", {"message": "text"}),
        ("general", [1, "anything"]),
        ("backend_error", {"message": "too long"}),
        ("data_file", {"path": "/data/a.txt", "action_ts": None}),
        ("g3_file", {"path": "/data/a.g3", "archive_name": "timestreams"}),
        ("session_data", {"active_channels": [0, 1]}),
        ("session_log", "Starting data stream"),
        ("metadata", {"path": "a.b", "value": [1.5, 2], "type": "ndarray"}),
        ("a_type_of_tomorrow", 1),
        ("session_log", {"no": "text"}),
    ],
)
def test_a_valid_envelope_is_a_row_whatever_its_type_and_payload(
    kind: str, payload: object
) -> None:
    row = pysmurf(type=kind, payload=payload)

    assert (row["type"], row["payload"]) == (kind, payload)


@pytest.mark.parametrize(
    ("publisher", "stream"),
    [("crate1slot2", "crate1slot2"), ("STREAMER:a:b", "a:b"), ("a:", "a:"), ("", "")],
)
def test_the_stream_comes_after_the_first_colon(publisher: str, stream: str) -> None:
    row = pysmurf(id=publisher)

    assert (row["pub_id"], row["stream_id"]) == (publisher, stream)


@pytest.mark.parametrize("payload", [{}, "Starting data stream", None, 1, [1]])
def test_a_payload_may_be_anything(payload: object) -> None:
    assert pysmurf(payload=payload)["payload"] == payload


@pytest.mark.parametrize("key", list(ENVELOPE))
def test_an_envelope_without_one_of_its_keys_is_refused(key: str) -> None:
    message = {name: value for name, value in MESSAGE.items() if name != key}
    with pytest.raises(Unreadable) as refusal:
        pysmurf_row(datagram(message), Sequences())

    assert (refusal.value.reason, refusal.value.fault) == ("not_an_envelope", f"no {key}")


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("host", None, "str"),
        ("id", 7, "str"),
        ("script", [], "str"),
        ("time", "now", "float"),
        ("seq_no", 1.5, "int"),
        ("seq_no", True, "int"),
        ("type", {}, "str"),
    ],
)
def test_an_envelope_with_a_value_of_another_type_is_refused(
    key: str, value: object, kind: str
) -> None:
    with pytest.raises(Unreadable) as refusal:
        pysmurf(**{key: value})

    assert refusal.value.fault == f"{key} is no {kind}"


def test_a_time_in_whole_seconds_is_one() -> None:
    assert pysmurf(time=1589517272)["time"] == 1589517272


def test_gaps_between_the_numbers_of_a_publisher_are_counted() -> None:
    sequences = Sequences()
    for number in (3, 4, 7):
        pysmurf_row(datagram(MESSAGE | {"seq_no": number}), sequences)

    assert sequences.gaps == 2


@pytest.mark.parametrize("key", ["host", "id", "script"])
def test_publishers_that_differ_are_counted_apart(key: str) -> None:
    sequences = Sequences()
    pysmurf_row(datagram(MESSAGE), sequences)
    pysmurf_row(datagram(MESSAGE | {key: "another", "seq_no": 900}), sequences)

    assert sequences.gaps == 0


def _number(value: int) -> int | float:
    return value if -(2**63) <= value < 2**64 else float(value)
