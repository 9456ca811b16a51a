"""Makes the pushes of the Loki contract's cases."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cramjam

from shipper.demo.log_store.logproto import PushRequest

SECOND_NS = 1_000_000_000
JSON = "application/json"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class Push:
    """The request of a case."""

    body: bytes
    content_type: str | None = JSON
    content_encoding: str | None = None
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One push and its answer; `{app}` in the words stands for the label of the run.

    `stored` are the lines that a query finds afterwards, in order of time.
    """

    name: str
    make: Callable[[str, int], Push]
    status: int = 204
    words: str = ""
    stored: tuple[str, ...] = ()


def document(app: str, values: list[Any], **labels: Any) -> dict[str, Any]:
    return {"streams": [{"stream": {"app": app, **labels}, "values": values}]}


def json_push(app: str, values: list[Any], **labels: Any) -> bytes:
    return json.dumps(document(app, values, **labels)).encode()


def hello(app: str, now_ns: int) -> bytes:
    return json_push(app, [[str(now_ns), "hello"]])


def message(labels: str, now_ns: int, *, line: bytes = b"hello", nanos: int | None = None) -> Any:
    seconds, rest_ns = divmod(now_ns, SECOND_NS)
    timestamp = {"seconds": seconds, "nanos": rest_ns if nanos is None else nanos}
    entry = {"timestamp": timestamp, "line": line}
    return PushRequest(streams=[{"labels": labels.encode(), "entries": [entry]}])


def snappy(message: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def literal_snappy(content: bytes) -> bytes:
    length = len(content)
    varint = bytearray()
    while length >= 0x80:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    varint.append(length)
    return bytes(varint) + b"\xfc" + (len(content) - 1).to_bytes(4, "little") + content


def proto_push(app: str, now_ns: int) -> bytes:
    return snappy(message(f'{{app="{app}"}}', now_ns))


def raw_deflate(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def lines_at(*offsets_and_lines: tuple[int, str]) -> Callable[[str, int], Push]:
    """Make a push of lines, each so many seconds from now."""

    def make(app: str, now_ns: int) -> Push:
        values = [
            [str(now_ns + offset_seconds * SECOND_NS), line]
            for offset_seconds, line in offsets_and_lines
        ]
        return Push(json_push(app, values))

    return make


def good_and(value: Callable[[int], list[Any]]) -> Callable[[str, int], Push]:
    """Make a push of one good entry and one that `value` makes."""
    return lambda app, now_ns: Push(json_push(app, [[str(now_ns), "good"], value(now_ns)]))


def labelled(**labels: Any) -> Callable[[str, int], Push]:
    return lambda app, now_ns: Push(json_push(app, [[str(now_ns), "hello"]], **labels))


def two_streams(other: dict[str, Any], *, other_first: bool = False) -> Callable[[str, int], Push]:
    def make(app: str, now_ns: int) -> Push:
        streams = [
            {"stream": {"app": app}, "values": [[str(now_ns), "good"]]},
            {"stream": {"app": app, **other}, "values": [[str(now_ns), "bad"]]},
        ]
        return Push(json.dumps({"streams": streams[:: -1 if other_first else 1]}).encode())

    return make


def behind(*, behind_first: bool) -> Callable[[str, int], Push]:
    """One stream whose second entry is too far behind its first, and a good stream."""

    def make(app: str, now_ns: int) -> Push:
        behind = [[str(now_ns), "new"], [str(now_ns - 3700 * SECOND_NS), "too old"]]
        streams = [
            {"stream": {"app": app, "s": "a"}, "values": behind},
            {"stream": {"app": app, "s": "b"}, "values": [[str(now_ns + 1), "good"]]},
        ]
        return Push(json.dumps({"streams": streams[:: 1 if behind_first else -1]}).encode())

    return make


def text_push(template: str) -> Callable[[str, int], Push]:
    """Make a push of JSON text in which APP and NOW are filled in."""
    return lambda app, now_ns: Push(
        template.replace("APP", app).replace("NOW", str(now_ns)).encode("latin-1")
    )


def selector_push(template: str) -> Callable[[str, int], Push]:
    """Make a protobuf push whose label text has APP filled in."""
    return lambda app, now_ns: Push(snappy(message(template.replace("APP", app), now_ns)), PROTOBUF)


def json_with(
    encoding: str | None, encode: Callable[[bytes], bytes] = bytes
) -> Callable[[str, int], Push]:
    return lambda app, now_ns: Push(encode(hello(app, now_ns)), JSON, encoding)


def proto_with(
    content_type: str | None,
    encoding: str | None = None,
    encode: Callable[[bytes], bytes] = bytes,
) -> Callable[[str, int], Push]:
    return lambda app, now_ns: Push(encode(proto_push(app, now_ns)), content_type, encoding)


HELLO = ("hello",)
MISLEADING = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
NOT_AN_OBJECT = "readObjectStart: expect { or n, but found "
PARSE_LABELS = "couldn't parse labels: 1:"
