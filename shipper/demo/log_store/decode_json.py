"""The JSON body of a push becomes streams, with the tolerance and the texts of Loki 3.6's parsers.

{"streams": [{"stream": {"app": "x"}, "values": [["1795304123187575973", "line", {"user": "u1"}]]}]}
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

import orjson

from shipper.demo.log_store.golang import ZERO_TIME_NS
from shipper.demo.log_store.labels import (
    LABEL_NAME,
    Labels,
    LabelSyntaxError,
    format_labels,
    parse_labels,
    tidy_labels,
)
from shipper.demo.log_store.pushed import Entry, PushedStream
from shipper.demo.log_store.refusal import Refused

# What Loki says about nearly every wrong value, and about a lone surrogate escape: it misleads.
_MISLEADING = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
_INT64 = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1
_CONTEXT_CHARACTERS = 60


def streams_of_json(body: bytes) -> list[PushedStream]:
    """Return the streams of a JSON push; what follows the first JSON value is not read.

    Raises:
        Refused: The body is not the JSON of a push; nothing of it may be stored.
    """
    document = _first_value(body)
    if document is None:
        return []
    if not isinstance(document, dict):
        _refuse_start(body.lstrip().decode("utf-8", errors="replace"))
    streams = document.get("streams") or []
    if not isinstance(streams, list):
        _refuse_value()
    return [_stream(stream) for stream in streams]


def _first_value(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _first_value_slowly(body.decode("utf-8", errors="replace"))


def _first_value_slowly(text: str) -> object:
    """Read what orjson refuses and Loki takes: invalid UTF-8, and anything after the object."""
    text = text.lstrip(" \t\r\n")
    if not text:
        raise Refused(400, "EOF")
    if text[0] not in "{n":
        _refuse_start(text)
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
        orjson.dumps(value)  # refuses lone surrogates, which the decoder lets pass
    except (ValueError, TypeError, RecursionError):
        _refuse_value(text)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _stream(stream: object) -> PushedStream:
    if not isinstance(stream, dict):
        _refuse_value()
    values = stream.get("values") or []
    if not isinstance(values, list):
        _refuse_value()
    return PushedStream(_labels(stream.get("stream")), [_entry(value) for value in values])


def _labels(stream: object) -> Labels:
    if stream is None:
        stream = {}
    if not isinstance(stream, dict):
        _refuse_value()
    pairs = sorted((name, _label_text(value)) for name, value in stream.items())
    if not all(LABEL_NAME.fullmatch(name) for name, _ in pairs):
        _refuse_names(pairs)
    return tidy_labels(pairs)


def _label_text(value: object) -> str:
    # Loki keeps the bytes of a label value that is no string: 5, 1.5, null and true are texts.
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _refuse_names(pairs: list[tuple[str, str]]) -> NoReturn:
    try:
        parse_labels(format_labels(pairs))
    except LabelSyntaxError as error:
        raise Refused(400, f"couldn't parse labels: {error}") from error
    raise Refused(400, f"couldn't parse labels: {format_labels(pairs)}")


def _entry(value: object) -> Entry:
    if not isinstance(value, list):
        _refuse_value()
    count = len(value)
    time_ns = _time_ns(value[0]) if count else ZERO_TIME_NS
    line = value[1] if count > 1 else ""
    if not isinstance(line, str):
        _refuse_value()
    return Entry(time_ns, line, _metadata(value[2]) if count > 2 else ())


def _time_ns(text: object) -> int:
    if not isinstance(text, str):
        _refuse_value()
    if not _INT64.fullmatch(text):
        _refuse_value()
    time_ns = int(text)
    if not _INT64_MIN <= time_ns <= _INT64_MAX:
        _refuse_value()
    return time_ns


def _metadata(metadata: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(metadata, dict):
        _refuse_value()
    for value in metadata.values():
        if not isinstance(value, str):
            _refuse_value()
    return tuple(metadata.items())


def _refuse_start(text: str) -> NoReturn:
    shown = text[:_CONTEXT_CHARACTERS]
    raise Refused(
        400,
        f"readObjectStart: expect {{ or n, but found {text[:1]}, error found in #1 byte of "
        f"...|{shown[:10]}|..., bigger context ...|{shown}|...",
    )


def _refuse_value(text: str = "") -> NoReturn:
    shown = text[-_CONTEXT_CHARACTERS:]
    raise Refused(
        400,
        f"loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: {_MISLEADING}, "
        f"error found in #10 byte of ...|{shown[-10:]}|..., bigger context ...|{shown}|...",
    )
