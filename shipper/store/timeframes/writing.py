"""Writes Time Frames in a handful of statements, and keeps the totals of their runs exact without counting.

Records of a batch have the same effect as one after the other: of those of one file the last wins, the first tells when
it was received, and every run that is named gets its row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper.store.bulk import upsert
from shipper.store.errors import RowsRefused
from shipper.store.timeframes.limits import LARGEST
from shipper.store.timeframes.tables import runs, time_frames
from shipper.store.timeframes.time_frame import TimeFrame

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

LOOKED_UP_TOGETHER = 1000

OVERWRITTEN = (
    *("run_number", "tf_number", "file_url", "file_size_bytes", "checksum", "status"),
    *("created_at", "metadata_json"),
)
"""What a later message about the same file changes."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is known of a row that is there: its run, its size, and the message it was made of."""

    run_number: int
    file_size_bytes: int | None
    metadata_json: str | None


@dataclass(slots=True)
class _Change:
    """What is added to the totals of a run."""

    tfs: int = 0
    size_bytes: int = 0

    def add(self, tfs: int, size_bytes: int | None) -> None:
        """Count some more, or less."""
        self.tfs += tfs
        self.size_bytes += tfs * (size_bytes or 0)


def write_time_frames(connection: Connection, rows: Sequence[TimeFrame]) -> None:
    """Write rows, within the transaction of the caller, who keeps other writers away.

    Raises:
        RowsRefused: Their sizes do not add up within 64 bits.
    """
    newest = {row.file_id: row for row in rows}
    stored = dict(_stored(connection, list(newest)))
    _make_runs(connection, rows)
    changed = [
        row
        for row in newest.values()
        if row.file_id not in stored or stored[row.file_id].metadata_json != row.metadata_json
    ]
    _add_to_runs(connection, _changes(changed, stored))
    _write(connection, changed, first=_first_of_each(rows))


def _stored(connection: Connection, file_ids: Sequence[str]) -> Iterator[tuple[str, _Stored]]:
    columns = time_frames.c
    asked = sa.select(
        columns.file_id, columns.run_number, columns.file_size_bytes, columns.metadata_json
    ).where(columns.file_id.in_(sa.bindparam("file_ids", expanding=True)))
    for start in range(0, len(file_ids), LOOKED_UP_TOGETHER):
        some = file_ids[start : start + LOOKED_UP_TOGETHER]
        for file_id, *rest in connection.execute(asked, {"file_ids": some}):
            yield file_id, _Stored(*rest)


def _make_runs(connection: Connection, rows: Sequence[TimeFrame]) -> None:
    """Make the rows of runs that are missing; a run begins when its first file is received."""
    first = {row.run_number: row for row in reversed(rows)}
    there = set(
        connection.scalars(sa.select(runs.c.run_number).where(runs.c.run_number.in_(first)))
    )
    missing = [
        {
            "run_number": number,
            "start_time": first[number].received_at,
            "total_tfs": 0,
            "total_size_bytes": 0,
        }
        for number in sorted(first.keys() - there)
    ]
    if missing:
        connection.execute(runs.insert(), missing)


def _changes(rows: Sequence[TimeFrame], stored: Mapping[str, _Stored]) -> Mapping[int, _Change]:
    changes: dict[int, _Change] = defaultdict(_Change)
    for row in rows:
        if (before := stored.get(row.file_id)) is not None:
            changes[before.run_number].add(-1, before.file_size_bytes)
        changes[row.run_number].add(1, row.file_size_bytes)
    return changes


def _add_to_runs(connection: Connection, changes: Mapping[int, _Change]) -> None:
    adding = [
        {"run": number, "tfs": change.tfs, "size_bytes": change.size_bytes}
        for number, change in sorted(changes.items())
        if change.tfs or change.size_bytes
    ]
    if any(abs(change.size_bytes) > LARGEST for change in changes.values()):
        raise RowsRefused("sizes add up to more than 64 bits hold", reason="out_of_range")
    if adding:
        connection.execute(
            runs.update()
            .where(runs.c.run_number == sa.bindparam("run"))
            .values(
                total_tfs=runs.c.total_tfs + sa.bindparam("tfs"),
                total_size_bytes=runs.c.total_size_bytes + sa.bindparam("size_bytes"),
            ),
            adding,
        )


def _first_of_each(rows: Sequence[TimeFrame]) -> Mapping[str, TimeFrame]:
    return {row.file_id: row for row in reversed(rows)}


def _write(
    connection: Connection, rows: Sequence[TimeFrame], *, first: Mapping[str, TimeFrame]
) -> None:
    if rows:
        upsert(
            connection,
            [time_frames.c[name] for name in TimeFrame._fields],
            [_received_at_first(row, first[row.file_id]) for row in rows],
            key="file_id",
            overwritten=OVERWRITTEN,
        )


def _received_at_first(row: TimeFrame, first: TimeFrame) -> TimeFrame:
    return row if row is first else row._replace(received_at=first.received_at)
