"""Messages about Time Frames, and what they are on their way into tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from shipper.store.table_set import Arrival

RECEIVED_NS = 1_764_000_000_123_456_789
RECEIVED = datetime(2025, 11, 24, 16, 0, 0, 123456, tzinfo=UTC)


def message(**fields: Any) -> dict[str, Any]:
    """Return a message that is a Time Frame; fields replace those that it has."""
    return {
        "file_id": "tf-000123",
        "run_number": 12345,
        "tf_number": 7,
        "file_url": "file:///data/run_12345/swf.12345.000001_tf_007.tf",
        "file_size_bytes": 15728640,
        "checksum": "0cc175b9c0f1b6a831c399e269772661",
        "status": "registered",
        "created_at": "2025-07-31T12:00:00Z",
        **fields,
    }


def without(field: str) -> dict[str, Any]:
    """Return a message without one of the fields."""
    return {name: value for name, value in message().items() if name != field}


def arrival(row: Mapping[str, Any], index: int = 0, received_ns: int = RECEIVED_NS) -> Arrival:
    """Return a message on its way."""
    return Arrival(index, row, orjson.dumps(row), received_ns)
