from __future__ import annotations

import gzip

import cramjam
import orjson
import pytest

from shipper.demo.log_store.decode import decode_push
from shipper.demo.log_store.golang import byte_size, quote, rfc3339, time_string, unquote
from shipper.demo.log_store.labels import (
    LabelSyntaxError,
    format_labels,
    parse_labels,
    tidy_labels,
)
from shipper.demo.log_store.levels import level_in, level_of_line
from shipper.demo.log_store.logproto import PushRequest
from shipper.demo.log_store.pushed import Entry, PushedStream
from shipper.demo.log_store.refusal import Refused

TIME_NS = 1_795_304_123_187_575_973


def decode(
    body: bytes,
    *,
    content_type: str = "application/json",
    content_encoding: str = "",
    max_body_bytes: int = 1 << 20,
) -> list[PushedStream]:
    return decode_push(
        body,
        content_type=content_type,
        content_encoding=content_encoding,
        declared_bytes=len(body),
        max_body_bytes=max_body_bytes,
    )


def json_body(*values: object, **labels: object) -> bytes:
    return orjson.dumps({"streams": [{"stream": labels, "values": list(values)}]})


def test_json_becomes_streams_with_times_lines_and_metadata() -> None:
    body = json_body([str(TIME_NS), "hello", {"user": "u1"}], app="x")

    streams = decode(body)

    labels = (("app", "x"), ("service_name", "x"))
    assert streams == [PushedStream(labels, [Entry(TIME_NS, "hello", (("user", "u1"),))])]


def test_protobuf_becomes_the_same_streams_as_json() -> None:
    seconds, nanos = divmod(TIME_NS, 1_000_000_000)
    entry = {
        "timestamp": {"seconds": seconds, "nanos": nanos},
        "line": b"hello",
        "structured_metadata": [{"name": b"user", "value": b"u1"}],
    }
    message = PushRequest(streams=[{"labels": b'{app="x"}', "entries": [entry]}])
    body = bytes(cramjam.snappy.compress_raw(message.SerializeToString()))

    streams = decode(gzip.compress(body), content_type="a/b; c=d", content_encoding="gzip")

    assert streams == decode(json_body([str(TIME_NS), "hello", {"user": "u1"}], app="x"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (1.5, "1.5"), (None, "null"), (True, "true")],
    ids=["whole", "fraction", "null", "boolean"],
)
def test_a_label_value_that_is_no_string_is_kept_as_text(value: object, text: str) -> None:
    assert dict(decode(json_body(app=value))[0].labels)["app"] == text


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(b"", 400, "EOF", id="empty"),
        pytest.param(b"[]", 400, "found [", id="list"),
        pytest.param(b'{"streams":[5]}', 400, "Value looks like", id="no stream"),
        pytest.param(b'{"streams":[{"stream":{"a-b":"x"}}]}', 400, "1:3: parse error", id="name"),
        pytest.param(b'{"streams":[{"values":[["1",NaN]]}]}', 400, "Value looks like", id="NaN"),
    ],
)
def test_json_that_cannot_be_read_is_refused(body: bytes, status: int, words: str) -> None:
    with pytest.raises(Refused) as caught:
        decode(body)

    assert (caught.value.status, words in caught.value.text) == (status, True)


def test_a_protobuf_body_over_the_limit_is_refused_and_the_connection_closed() -> None:
    with pytest.raises(Refused) as caught:
        decode(b"x" * 20, content_type="application/x-protobuf", max_body_bytes=10)

    assert (caught.value.status, caught.value.closes) == (413, True)
    assert caught.value.text == (
        "request body too large: message size too large than max (20 vs 10)"
    )


def test_a_json_body_over_the_limit_is_only_cut() -> None:
    body = json_body([str(TIME_NS), "hello"], app="x")

    streams = decode(body + b" " * 100, max_body_bytes=len(body) + 1)

    assert streams[0].entries[0].line == "hello"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("{}", []),
        ('{b="1", a="2"}', [("b", "1"), ("a", "2")]),
        (r'{a="x\n\"\u00e9\xff"}', [("a", 'x\n"é\ufffd')]),
        ("{a='x', b=`\\n`,}", [("a", "x"), ("b", "\\n")]),
        ('up{a="x"}', [("__name__", "up"), ("a", "x")]),
    ],
)
def test_label_texts_are_read(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_labels(text) == pairs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('app="x"', '1:4: parse error: unexpected "="'),
        ("{app=x}", '1:6: parse error: unexpected identifier "x" in label set, expected string'),
        ('{a.b="x"}', "1:3: parse error: unexpected character inside braces: '.'"),
        ('{a="x', "1:4: parse error: unterminated quoted string"),
        ('{a="x"', '1:7: parse error: unexpected end of input in label set, expected "," or "}"'),
        ('{a="x"}}', "1:8: parse error: unexpected"),
        (r'{a="\q"}', "1:4: parse error: unknown escape"),
        ('{"a b"="x"}', 'parse error: invalid label name "a b"'),
    ],
)
def test_wrong_label_texts_are_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(LabelSyntaxError) as caught:
        parse_labels(text)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("pairs", "service"),
    [
        ([], "unknown_service"),
        ([("job", "j"), ("app", "a")], "a"),
        ([("service_name", "s"), ("app", "a")], "s"),
        ([("service", ""), ("job", "j")], "j"),
        ([("app", "first"), ("app", "second")], "first"),
    ],
)
def test_the_service_name_is_discovered(pairs: list[tuple[str, str]], service: str) -> None:
    assert ("service_name", service) in tidy_labels(pairs)


def test_labels_are_printed_with_go_quotes() -> None:
    assert format_labels([("a", 'x"\n\0é')]) == r'{a="x\"\n\x00é"}'


def test_quoting_is_undone() -> None:
    text = 'a"\\\n\t\x07\u2028é😀'

    assert unquote(quote(text)) == text


def test_times_are_printed_as_go_prints_them() -> None:
    assert time_string(1_795_300_541_163_406_500) == "2026-11-21 22:35:41.1634065 +0000 UTC"
    assert time_string(1_000_000_000) == "1970-01-01 00:00:01 +0000 UTC"
    assert rfc3339(-62_135_596_800_000_000_000) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(1001, "1001B"), (3 << 20, "3MB"), (2048, "2KB"), (0, "0B")]
)
def test_sizes_are_printed_in_the_largest_whole_unit(size_bytes: int, text: str) -> None:
    assert byte_size(size_bytes) == text


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"warn"}', "warn"),
        ('{"log":{"level":"fatal"}}', "fatal"),
        ('{"a":{"b":{"level":"fatal"}}}', "unknown"),
        ('{"lvl":"d"}', "unknown"),
        ('{"level":5} ', "unknown"),
        ("level=error msg=x", "error"),
        ('msg=x LVL="wrn"', "warn"),
        ("xlevel=error", "unknown"),
        ("plain text with ERROR in it", "unknown"),
        ("[error] it broke", "error"),
        ("some information", "info"),
    ],
)
def test_the_level_of_a_line_is_found(line: str, level: str) -> None:
    assert level_of_line(line) == level


def test_a_named_level_is_normalised_when_it_is_known() -> None:
    assert level_in([("app", "x"), ("severity", "WARNING")]) == "warn"
    assert level_in([("level", "odd")]) == "odd"
    assert level_in([("app", "x")]) is None
