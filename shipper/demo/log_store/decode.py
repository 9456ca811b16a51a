"""A push body becomes streams: content encodings, JSON and protobuf, as Loki 3.6 undoes them.

Every refusal here is about the whole request, and nothing of it is stored.
"""

from __future__ import annotations

import gzip
import re
import zlib

import cramjam
from google.protobuf.message import DecodeError

from shipper.demo.log_store.decode_json import streams_of_json
from shipper.demo.log_store.golang import NS_PER_SECOND, ZERO_TIME_NS, quote
from shipper.demo.log_store.labels import LabelSyntaxError, parse_labels, tidy_labels
from shipper.demo.log_store.logproto import PushRequest
from shipper.demo.log_store.pushed import Entry, PushedStream
from shipper.demo.log_store.refusal import Refused

_MEDIA_TYPE = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+(?:/[\w!#$%&'*+.^`|~-]+)?)\s*(?:;.*)?", re.ASCII)
# protobuf's Timestamp ends with the year 9999.
_FIRST_SECOND = ZERO_TIME_NS // NS_PER_SECOND
_LAST_SECOND = 253_402_300_799


def decode_push(
    body: bytes,
    *,
    content_type: str,
    content_encoding: str,
    declared_bytes: int,
    max_body_bytes: int,
) -> list[PushedStream]:
    """Return the streams of a push.

    A JSON body past `max_body_bytes` is cut there, as Loki's reader cuts it; a protobuf body that is
    declared longer is refused.

    Raises:
        Refused: The body cannot be read; nothing of it may be stored.
    """
    media_type = _media_type(content_type)
    if media_type == "application/json":
        return streams_of_json(_opened(body[:max_body_bytes], content_encoding))
    if declared_bytes > max_body_bytes:
        sizes = f"{declared_bytes} vs {max_body_bytes}"
        text = f"request body too large: message size too large than max ({sizes})"
        raise Refused(413, text, closes=True)
    return _streams_of_protobuf(_opened(body, content_encoding))


def _opened(body: bytes, content_encoding: str) -> bytes:
    match content_encoding:
        # Loki leaves "snappy" to the protobuf reader, which always undoes it.
        case "" | "snappy":
            return body
        case "gzip":
            return _gunzipped(body)
        case "deflate":
            return _inflated(body)
        case _:
            raise Refused(400, f"Content-Encoding {quote(content_encoding)} not supported")


def _gunzipped(body: bytes) -> bytes:
    if not body:
        raise Refused(400, "EOF")
    try:
        return gzip.decompress(body)
    except gzip.BadGzipFile:
        raise Refused(400, "gzip: invalid header") from None
    except EOFError:
        raise Refused(400, "loghttp.PushRequest.Streams: unexpected EOF") from None
    except zlib.error:
        raise Refused(400, "flate: corrupt input before offset 1") from None


def _inflated(body: bytes) -> bytes:
    # Go's flate reads raw deflate only; a zlib header (RFC 9110's deflate) reads as corrupt: "EOF".
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        opened = inflater.decompress(body)
    except zlib.error:
        raise Refused(400, "EOF") from None
    if not inflater.eof:
        raise Refused(400, "loghttp.PushRequest.Streams: unexpected EOF" if body else "EOF")
    return opened


def _media_type(content_type: str) -> str:
    match = _MEDIA_TYPE.fullmatch(content_type)
    if match is None:
        raise Refused(400, "mime: no media type")
    return match.group(1).lower()


def _streams_of_protobuf(body: bytes) -> list[PushedStream]:
    try:
        message = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise Refused(400, "snappy: corrupt input") from None
    try:
        request = PushRequest.FromString(message)
    except DecodeError:
        raise Refused(400, "unexpected EOF") from None
    entries = [[_entry(entry) for entry in stream.entries] for stream in request.streams]
    return [
        PushedStream(_labels(stream.labels), kept)
        for stream, kept in zip(request.streams, entries, strict=True)
    ]


def _labels(text: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tidy_labels(parse_labels(text.decode("utf-8", errors="replace")))
    except LabelSyntaxError as error:
        raise Refused(400, f"couldn't parse labels: {error}") from error


def _entry(entry: PushRequest) -> Entry:
    metadata = tuple(
        (pair.name.decode("utf-8", "replace"), pair.value.decode("utf-8", "replace"))
        for pair in entry.structured_metadata
    )
    return Entry(_time_ns(entry), entry.line.decode("utf-8", "replace"), metadata)


def _time_ns(entry: PushRequest) -> int:
    if not entry.HasField("timestamp"):
        return ZERO_TIME_NS
    seconds, nanos = entry.timestamp.seconds, entry.timestamp.nanos
    shown = f"timestamp: &types.Timestamp{{Seconds: {seconds},\nNanos: {nanos},\n}}"
    if seconds < _FIRST_SECOND:
        raise Refused(400, f"{shown}: before 0001-01-01")
    if seconds > _LAST_SECOND:
        raise Refused(400, f"{shown}: after 10000-01-01")
    if not 0 <= nanos < NS_PER_SECOND:
        raise Refused(400, f"{shown}: nanos not in range [0, 1e9)")
    return int(seconds * NS_PER_SECOND + nanos)
