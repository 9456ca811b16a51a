"""How a push may be encoded, and what its protobuf may hold: cases of the Loki contract."""

from __future__ import annotations

import gzip
import zlib

import cramjam

from shipper.demo.log_store.logproto import PushRequest
from tests.contract.loki_contract.pushes import (
    HELLO,
    NOT_AN_OBJECT,
    PARSE_LABELS,
    PROTOBUF,
    SECOND_NS,
    Case,
    Push,
    hello,
    json_with,
    literal_snappy,
    message,
    proto_push,
    proto_with,
    raw_deflate,
    selector_push,
    snappy,
)

ENCODINGS = [
    Case("JSON", json_with(None), stored=HELLO),
    Case(
        "JSON with a charset",
        lambda app, now_ns: Push(hello(app, now_ns), "application/json; charset=utf-8"),
        stored=HELLO,
    ),
    Case("JSON gzip", json_with("gzip", gzip.compress), stored=HELLO),
    Case(
        "JSON gzip of two members",
        json_with("gzip", lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:])),
        stored=HELLO,
    ),
    Case("JSON raw deflate", json_with("deflate", raw_deflate), stored=HELLO),
    Case("JSON zlib-wrapped deflate", json_with("deflate", zlib.compress), 400, "EOF"),
    Case("JSON identity", json_with("identity"), 400, 'Content-Encoding "identity" not supported'),
    Case("JSON zstd", json_with("zstd"), 400, 'Content-Encoding "zstd" not supported'),
    Case("JSON plain under a snappy header", json_with("snappy"), stored=HELLO),
    Case(
        "JSON compressed under a snappy header",
        json_with("snappy", lambda body: bytes(cramjam.snappy.compress_raw(body))),
        400,
        NOT_AN_OBJECT,
    ),
    Case("plain body under a gzip header", json_with("gzip"), 400, "gzip: invalid header"),
    Case(
        "gzip cut short",
        json_with("gzip", lambda body: gzip.compress(body)[:-12]),
        400,
        ": unexpected EOF",
    ),
    Case("gzip body without a header", json_with(None, gzip.compress), 400, NOT_AN_OBJECT),
    Case("protobuf", proto_with(PROTOBUF), stored=HELLO),
    Case("protobuf with a snappy header", proto_with(PROTOBUF, "snappy"), stored=HELLO),
    Case("protobuf gzip", proto_with(PROTOBUF, "gzip", gzip.compress), stored=HELLO),
    Case("protobuf as text/plain", proto_with("text/plain"), stored=HELLO),
    Case("no content type", proto_with(None), 400, "mime: no media type"),
    Case(
        "JSON as protobuf",
        lambda app, now_ns: Push(hello(app, now_ns), PROTOBUF),
        400,
        "snappy: corrupt input",
    ),
    Case(
        "protobuf not compressed",
        lambda app, now_ns: Push(message(f'{{app="{app}"}}', now_ns).SerializeToString(), PROTOBUF),
        400,
        "snappy: corrupt input",
    ),
    Case(
        "snappy framed",
        lambda app, now_ns: Push(bytes(cramjam.snappy.compress(proto_push(app, now_ns))), PROTOBUF),
        400,
        "snappy: corrupt input",
    ),
    Case(
        "snappy of literals only",
        lambda app, now_ns: Push(
            literal_snappy(message(f'{{app="{app}"}}', now_ns).SerializeToString()), PROTOBUF
        ),
        stored=HELLO,
    ),
    Case(
        "snappy of garbage",
        lambda _app, _now_ns: Push(bytes(cramjam.snappy.compress_raw(b"garbage")), PROTOBUF),
        400,
    ),
    Case(
        "chunked JSON",
        lambda app, now_ns: Push(hello(app, now_ns), chunked=True),
        stored=HELLO,
    ),
    Case(
        "chunked protobuf",
        lambda app, now_ns: Push(proto_push(app, now_ns), PROTOBUF, chunked=True),
        stored=HELLO,
    ),
]

PROTOBUF_CASES = [
    Case(
        "nanos out of range",
        lambda app, now_ns: Push(
            snappy(message(f'{{app="{app}"}}', now_ns, nanos=SECOND_NS)), PROTOBUF
        ),
        400,
        "nanos not in range [0, 1e9)",
    ),
    Case(
        "no timestamp",
        lambda app, _now_ns: Push(
            snappy(
                PushRequest(
                    streams=[{"labels": f'{{app="{app}"}}'.encode(), "entries": [{"line": b"x"}]}]
                )
            ),
            PROTOBUF,
        ),
        400,
        'entry for stream \'{app="{app}", service_name="{app}"}\' has timestamp too old: '
        "0001-01-01T00:00:00Z, ",
    ),
    Case(
        "a line of invalid UTF-8",
        lambda app, now_ns: Push(
            snappy(message(f'{{app="{app}"}}', now_ns, line=b"x \xff\xfe y")), PROTOBUF
        ),
        stored=("x \ufffd\ufffd y",),
    ),
    Case("a comma at the end", selector_push('{app="APP",}'), stored=HELLO),
    Case("single quotes", selector_push("{app='APP'}"), stored=HELLO),
    Case("back quotes", selector_push("{app=`APP`}"), stored=HELLO),
    Case("a quoted name", selector_push('{"app"="APP"}'), stored=HELLO),
    Case("blanks between", selector_push('{ job = "y" , app = "APP" }'), stored=HELLO),
    Case(
        "labels without braces", selector_push('app="APP"'), 400, PARSE_LABELS + "4: parse error: "
    ),
    Case("an unquoted value", selector_push("{app=APP}"), 400, PARSE_LABELS),
    Case("an open brace", selector_push('{app="APP"'), 400, PARSE_LABELS),
    Case("a regular expression", selector_push('{app=~"APP"}'), 400, PARSE_LABELS),
    Case("a raw newline in a value", selector_push('{app="APP\n"}'), 400, PARSE_LABELS),
    Case(
        "a label twice",
        selector_push('{app="APP", app="b"}'),
        400,
        "' has duplicate label name: 'app'",
    ),
    Case("a message without streams", lambda _app, _now_ns: Push(b"\x00", PROTOBUF), 422),
]
