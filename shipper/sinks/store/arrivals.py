"""Makes of the lines of a stream what the rules of tables want: fields, line and time."""

from __future__ import annotations

import json
from collections.abc import Callable

import orjson

from shipper.core.ports import Rejection
from shipper.core.record import Row, Stream
from shipper.store.table_set import Arrival

SHOWN_BYTES = 100


def arrivals_of(
    stream: Stream, wants: Callable[[Row], bool]
) -> tuple[list[Arrival], list[Rejection]]:
    """Return the records that are wanted, and refuse those that are no JSON objects."""
    arrivals: list[Arrival] = []
    rejections: list[Rejection] = []
    for index, (time_ns, line) in enumerate(zip(stream.times_ns, stream.lines, strict=True)):
        try:
            row = _parsed(line)
        except ValueError as error:
            rejections.append(Rejection(index, "not_json", str(error)))
            continue
        if not isinstance(row, dict):
            answer = f"a JSON object is wanted, not {line[:SHOWN_BYTES]!r}"
            rejections.append(Rejection(index, "not_an_object", answer))
        elif wants(row):
            arrivals.append(Arrival(index, row, line, time_ns))
    return arrivals, rejections


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Halves of characters, which orjson refuses, may stand where nobody looks.
        return json.loads(line)
