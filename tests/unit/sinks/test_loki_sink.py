from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Literal

import orjson
import pytest

from shipper.core.errors import BatchToSplit, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.client import Client
from shipper.sinks.loki.prepare import MAX_LINE_BYTES
from shipper.sinks.loki.sink import LokiSink


class ScriptedClient(Client):
    """Gives the answers it was told to and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(
            "http://nowhere",
            login=Login(),
            tls=TlsFiles(),
            connect_timeout_seconds=1,
            read_timeout_seconds=1,
        )
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.closed = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        self.asked.append((method, path, body or b"", dict(headers or {})))
        return self.answers.pop(0)

    def close(self) -> None:
        self.closed += 1


def sink_of(
    client: Client,
    *,
    encoding: Literal["protobuf", "json"] = "protobuf",
    max_batch_bytes: int = 10**6,
) -> LokiSink:
    return LokiSink(client, encoding=encoding, max_batch_bytes=max_batch_bytes)


def test_a_write_is_one_push() -> None:
    client = ScriptedClient(Answer(204))

    assert sink_of(client).write(Stream({"a": "b"}, [1, 2], [b"x", b"y"])) == ()
    ((method, path, body, headers),) = client.asked
    assert (method, path) == ("POST", "/loki/api/v1/push")
    assert headers == {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    assert body


def test_json_goes_with_gzip() -> None:
    client = ScriptedClient(Answer(204))
    sink_of(client, encoding="json").write(Stream({"a": "b"}, [1], [b"x"]))
    ((_, _, body, headers),) = client.asked

    assert headers == {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert orjson.loads(zlib.decompress(body, wbits=31))["streams"][0]["stream"] == {"a": "b"}


def test_nothing_to_write_is_not_sent() -> None:
    client = ScriptedClient()

    assert sink_of(client).write(Stream({}, [], [])) == ()
    assert client.asked == []


def test_a_stream_above_the_size_of_a_batch_is_not_sent() -> None:
    client = ScriptedClient()

    with pytest.raises(BatchToSplit):
        sink_of(client, max_batch_bytes=100).write(Stream({}, [1, 2], [b"x" * 40, b"x" * 40]))
    assert client.asked == []


def test_a_stream_of_exactly_the_size_of_a_batch_is_sent() -> None:
    client = ScriptedClient(Answer(204))
    sink_of(client, max_batch_bytes=128).write(Stream({}, [1, 2], [b"x" * 40, b"x" * 40]))

    assert len(client.asked) == 1


def test_a_record_alone_is_always_sent() -> None:
    client = ScriptedClient(Answer(204))
    sink_of(client, max_batch_bytes=10).write(Stream({}, [1], [b"x" * 40]))

    assert len(client.asked) == 1


def test_rejections_name_records_where_the_caller_put_them() -> None:
    text = "entry for stream '{}' has timestamp too old: T, oldest acceptable timestamp is: T"
    sink = sink_of(ScriptedClient(Answer(400, text)))

    assert sink.write(Stream({}, [30, 10, 20], [b"a", b"b", b"c"])) == [
        Rejection(1, "too_old", text)
    ]


def test_what_was_sent_and_cut_is_counted() -> None:
    client = ScriptedClient(Answer(204), Answer(204))
    sink = sink_of(client)
    sink.write(Stream({}, [1, 2], [b"x" * (MAX_LINE_BYTES + 1), b""], [{}, {"big": "v" * 70_000}]))
    sink.write(Stream({}, [3], [b"y"]))

    assert sink.bytes_sent == sum(len(body) for _, _, body, _ in client.asked)
    assert (sink.lines_cut, sink.pairs_cut) == (1, 1)


def test_what_was_not_delivered_is_not_counted_as_cut() -> None:
    sink = sink_of(ScriptedClient(Answer(503)))

    with pytest.raises(SinkUnavailable):
        sink.write(Stream({}, [1], [b"x" * (MAX_LINE_BYTES + 1)]))
    assert sink.lines_cut == 0


def test_closing_lets_go_of_the_connection() -> None:
    client = ScriptedClient()
    sink_of(client).close()

    assert client.closed == 1
