"""Streams and entries in an SQLite file: one connection that writes, a fresh one for each read."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from shipper.demo.log_store.catalog import KnownStream
from shipper.demo.log_store.labels import Labels

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    labels TEXT NOT NULL,
    UNIQUE (tenant, labels)
);
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    line TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (time_ns);
"""
_STREAMS = """
SELECT streams.id, tenant, labels, MIN(time_ns), MAX(time_ns)
FROM streams JOIN entries ON entries.stream_id = streams.id GROUP BY streams.id
"""
_LAST_LINES = """
SELECT stream_id, time_ns, line FROM entries
WHERE id IN (SELECT MAX(id) FROM entries GROUP BY stream_id)
"""
_ENTRIES = """
SELECT stream_id, time_ns, line, metadata FROM entries
WHERE time_ns >= ? AND time_ns < ? AND stream_id IN (SELECT value FROM json_each(?))
ORDER BY time_ns {order}, id {order}
"""
_TOTALS = """
SELECT COUNT(*), COALESCE(SUM(LENGTH(CAST(line AS BLOB))), 0) FROM entries
WHERE time_ns >= ? AND time_ns < ? AND stream_id IN (SELECT value FROM json_each(?))
"""


class StoredEntry(NamedTuple):
    """One stored entry; `metadata` is a JSON object of texts."""

    stream_id: int
    time_ns: int
    line: str
    metadata: str


@dataclass(frozen=True, slots=True)
class StoredLine:
    """One stored entry with the labels of its stream, as tests read it."""

    time_ns: int
    line: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str]


class Storage:
    """The SQLite file of a store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Pushes come from the server's thread, which is a new one after each start.
        self._writer = sqlite3.connect(path, check_same_thread=False)
        self._writer.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost a demo its last lines; in exchange no push waits for the disk.
        self._writer.execute("PRAGMA synchronous = OFF")
        self._writer.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; reading and writing end here."""
        self._writer.close()

    def streams(self) -> list[KnownStream]:
        """Return the streams that have entries."""
        return [
            KnownStream(stream_id, tenant, _labels(labels), first_ns, last_ns)
            for stream_id, tenant, labels, first_ns, last_ns in self._writer.execute(_STREAMS)
        ]

    def last_lines(self) -> dict[int, tuple[int, str]]:
        """Return the time (ns) and the line each stream got last."""
        return {
            stream_id: (time_ns, line)
            for stream_id, time_ns, line in self._writer.execute(_LAST_LINES)
        }

    def add_stream(self, tenant: str, labels: Labels) -> int:
        """Create a stream, or find it when it never had an entry, and return its number."""
        key = (tenant, orjson.dumps(labels).decode())
        self._writer.execute("INSERT OR IGNORE INTO streams (tenant, labels) VALUES (?, ?)", key)
        found = self._writer.execute("SELECT id FROM streams WHERE tenant = ? AND labels = ?", key)
        return int(found.fetchone()[0])

    def add_entries(self, entries: list[StoredEntry]) -> None:
        """Insert entries; they are seen by readers after `commit`."""
        self._writer.executemany(
            "INSERT INTO entries (stream_id, time_ns, line, metadata) VALUES (?, ?, ?, ?)", entries
        )

    def commit(self) -> None:
        """Make what was added visible."""
        self._writer.commit()

    def entries(
        self, stream_ids: Collection[int], *, start_ns: int, end_ns: int, newest_first: bool = False
    ) -> Iterator[StoredEntry]:
        """Yield entries from `start_ns` up to, not including, `end_ns`, in order of time."""
        query = _ENTRIES.format(order="DESC" if newest_first else "ASC")
        wanted = orjson.dumps(list(stream_ids)).decode()
        with closing(sqlite3.connect(self._path)) as reader:
            for row in reader.execute(query, (start_ns, end_ns, wanted)):
                yield StoredEntry(*row)

    def totals(self, stream_ids: Collection[int], *, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return how many entries there are from `start_ns` to before `end_ns`, and their bytes."""
        wanted = orjson.dumps(list(stream_ids)).decode()
        with closing(sqlite3.connect(self._path)) as reader:
            count, size_bytes = reader.execute(_TOTALS, (start_ns, end_ns, wanted)).fetchone()
        return count, size_bytes


def _labels(text: str) -> Labels:
    return tuple((name, value) for name, value in orjson.loads(text))
