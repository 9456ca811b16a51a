"""How large a push is between Loki's distributor and its ingester: the encoded protobuf message.

Loki's gRPC server takes 4 MiB of it by default, and answers a push above that with a 500.
"""

from __future__ import annotations

from functools import lru_cache

from shipper.demo.log_store.golang import NS_PER_SECOND, utf8_bytes
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream

# The distributor adds each stream's hash: a tag and a 64-bit varint, nearly always ten bytes.
_HASH_BYTES = 11


def message_bytes(streams: list[AcceptedStream]) -> int:
    """Return the encoded size of the streams as one PushRequest."""
    return sum(_field_bytes(_stream_bytes(stream)) for stream in streams)


def _stream_bytes(stream: AcceptedStream) -> int:
    entries = sum(_field_bytes(_entry_bytes(entry)) for entry in stream.entries)
    return _field_bytes(utf8_bytes(stream.text)) + entries + _HASH_BYTES


def _entry_bytes(entry: AcceptedEntry) -> int:
    seconds, nanos = divmod(entry.time_ns, NS_PER_SECOND)
    time_bytes = 1 + _varint_bytes(seconds) + (1 + _varint_bytes(nanos) if nanos else 0)
    line_bytes = _field_bytes(entry.line_bytes) if entry.line_bytes else 0
    return _field_bytes(time_bytes) + line_bytes + _metadata_bytes(entry.metadata)


# Many entries have the very same metadata, most often only the level.
@lru_cache(maxsize=1024)
def _metadata_bytes(metadata: tuple[tuple[str, str], ...]) -> int:
    return sum(
        _field_bytes(_field_bytes(utf8_bytes(name)) + _field_bytes(utf8_bytes(value)))
        for name, value in metadata
    )


def _field_bytes(content_bytes: int) -> int:
    return 1 + _varint_bytes(content_bytes) + content_bytes


def _varint_bytes(number: int) -> int:
    return (number.bit_length() + 6) // 7 or 1
