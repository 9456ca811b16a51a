"""Writes a stream as bytes for the disk, and reads it back.

The bytes are a snappy block of: the number of records and of bytes of metadata (two uint32), the times (int64 each),
the lengths of the lines (uint32 each), the lines one after the other, and the structured metadata as a JSON list; all
numbers little-endian. Labels are kept beside it, where they can be compared without opening it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import accumulate, pairwise
from zlib import crc32

import cramjam
import orjson

from shipper.core.record import Stream

_HEAD = struct.Struct("<II")


class FrameDamaged(ValueError):
    """These bytes are not what was written."""


def pack(stream: Stream) -> bytes:
    """Return times, lines and structured metadata of a stream; its labels are not part of it."""
    metadata = b"" if stream.metadata is None else orjson.dumps([*map(_legible, stream.metadata)])
    content = b"".join(
        (
            _HEAD.pack(len(stream), len(metadata)),
            struct.pack(f"<{len(stream)}q", *stream.times_ns),
            struct.pack(f"<{len(stream)}I", *map(len, stream.lines)),
            *stream.lines,
            metadata,
        )
    )
    return bytes(cramjam.snappy.compress_raw(content))


def unpack(body: bytes, labels: str) -> Stream:
    """Return the stream that `pack` wrote.

    Args:
        body: What `pack` returned.
        labels: What `labels_text` returned.

    Raises:
        FrameDamaged: They are something else by now.
    """
    try:
        return _read(bytes(cramjam.snappy.decompress_raw(body)), orjson.loads(labels))
    except (cramjam.DecompressionError, struct.error, ValueError, TypeError) as error:
        raise FrameDamaged(str(error)) from None


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as JSON, the same for equal labels."""
    return orjson.dumps(_legible(labels), option=orjson.OPT_SORT_KEYS).decode()


def checksum(body: bytes, *beside: str | int) -> int:
    """Return the CRC-32 by which damage to a body, or to what is kept beside it, is found."""
    return crc32(repr(beside).encode("utf-8", "backslashreplace"), crc32(body))


def _read(content: bytes, labels: Mapping[str, str]) -> Stream:
    count, metadata_bytes = _HEAD.unpack_from(content)
    lengths_at = _HEAD.size + 8 * count
    lines_at = lengths_at + 4 * count
    times_ns = [*struct.unpack_from(f"<{count}q", content, _HEAD.size)]
    ends = [*accumulate(struct.unpack_from(f"<{count}I", content, lengths_at), initial=lines_at)]
    metadata_at = ends[-1]
    if metadata_at + metadata_bytes != len(content):
        raise FrameDamaged("the lengths do not add up")
    lines = [content[start:end] for start, end in pairwise(ends)]
    metadata = orjson.loads(content[metadata_at:]) if metadata_bytes else None
    return Stream(labels, times_ns, lines, metadata)


def _legible(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return labels or metadata that JSON can carry; a lone surrogate becomes an escape, as on the way to Loki."""
    return {
        name.encode("utf-8", "backslashreplace").decode(): value.encode(
            "utf-8", "backslashreplace"
        ).decode()
        for name, value in pairs.items()
    }
