"""Reads events behind the last one that was shipped, also those of tasks that were deleted meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from shipper.core.record import Row
from shipper.store.jobs.tables import departed_events, events, incarnation

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

STREAMED_ROWS = 50


def newest_id(connection: Connection) -> int:
    """Return the id of the newest event; 0 when there is none."""
    newest = (
        connection.scalar(sa.select(sa.func.max(table.c.id))) for table in (events, departed_events)
    )
    return max((each for each in newest if each is not None), default=0)


def name_of_tables(connection: Connection) -> str:
    """Return what tells these tables from others, whose ids mean nothing here."""
    return str(connection.scalar(sa.select(incarnation.c.name)) or "")


def behind(
    connection: Connection, last_id: int, *, most_records: int, most_bytes: int
) -> list[Row]:
    """Return the next events behind an id, by their ids, as many as are neither too many nor too heavy together.

    All are read with one statement: between two an event could move from one table into the other, and be in neither.
    """
    parts = [
        sa.select(table).where(table.c.id > last_id).order_by(table.c.id).limit(most_records)
        for table in (events, departed_events)
    ]
    both = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    asked = sa.select(both).order_by(both.c.id).limit(most_records)
    rows: list[Row] = []
    weight_bytes = 0
    # A payload may be a MiB, so they come some at a time.
    for row in connection.execution_options(yield_per=STREAMED_ROWS).execute(asked):
        rows.append(_row(row))
        weight_bytes += len(row.payload or "")
        if weight_bytes >= most_bytes:
            break
    return rows


def forget(connection: Connection, shipped_id: int) -> None:
    """Throw away events of deleted tasks that are shipped."""
    connection.execute(departed_events.delete().where(departed_events.c.id <= shipped_id))


def _row(row: Any) -> Row:  # noqa: ANN401 - a row of SQLAlchemy's
    return {
        "receivedAt": row.recievedAt,
        "task": row.taskID,
        "process": row.procID,
        "index": row.procNumInArray,
        "eventClass": row.eventClass,
        "progress": row.progress,
        "payload": row.payload,
        "hostname": row.hostname,
        "clientIP": row.clientIP,
        "sentAt": row.sentAt,
        "id": row.id,
    }
