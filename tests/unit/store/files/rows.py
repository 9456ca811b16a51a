"""Messages about files, as records that arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shipper.store.files.announced import AnnouncedFile
from shipper.store.table_set import Arrival

RECEIVED_NS = 1_600_000_000_123_456_789

PAYLOAD: Mapping[str, Any] = {
    "path": "/data/smurf_data/20200515/1589517000/outputs/1589517264_resp.txt",
    "type": "full_band_resp",
    "format": "txt",
    "timestamp": 1589517269.9,
    "action": "tracking_setup",
    "action_ts": "1589517264",
    "plot": False,
    "pysmurf_version": "v4.1.0",
}
ENVELOPE: Mapping[str, Any] = {
    "host": "smurf-srv20",
    "id": "crate1slot2",
    "script": "undeclared",
    "time": 1589517270.5,
    "seq_no": 14,
    "type": "data_file",
    "pub_id": "crate1slot2",
    "stream_id": "crate1slot2",
}
G3_PAYLOAD: Mapping[str, Any] = {
    "path": "/data/timestreams/16400/crate1slot2/1640000000_000.g3",
    "archive_name": "timestreams",
}


def data_file(**changes: Any) -> dict[str, Any]:
    """Return a message about a file of a measurement; these fields of its payload are different."""
    return {**ENVELOPE, "payload": {**PAYLOAD, **changes}}


def g3_file(**changes: Any) -> dict[str, Any]:
    """Return a message about a file of the data stream."""
    return {**ENVELOPE, "type": "g3_file", "payload": {**G3_PAYLOAD, **changes}}


def arrival(row: Mapping[str, Any], index: int = 0) -> Arrival:
    return Arrival(index, row, orjson.dumps(row), RECEIVED_NS)


def file(**changes: Any) -> AnnouncedFile:
    """Return what is known of that file; these facts are different."""
    known: dict[str, Any] = {
        "path": PAYLOAD["path"],
        "unix_seconds": 1589517269,
        "format": "txt",
        "plot": False,
        "action": "tracking_setup",
        "action_unix_seconds": 1589517264,
        "pub_id": "crate1slot2",
        "script_id": "undeclared",
        "pysmurf_version": "v4.1.0",
        "archive_name": "smurf",
    }
    return AnnouncedFile(**(known | changes))
