"""Reads a table in parts, each a short question of its own: no writer waits, and nothing has to fit into memory.

What is written meanwhile is there or not. A row is never there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from shipper.store.database import Database
from shipper.store.exchange.columns import Value, Values, in_utc
from shipper.store.exchange.subjects import Subject

PART_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, in order.

    Attributes:
        rows: The rows, their values in the order of the subject's columns.
        done: How much of the table is read with them, from 0 to 1, as far as the numbers of its rows tell.
    """

    rows: Sequence[Values]
    done: float


def parts(
    database: Database, subject: Subject, *, run: int | None = None, part_rows: int = PART_ROWS
) -> Iterator[Part]:
    """Yield what is in a table, or what of it belongs to one run.

    Raises:
        StoreError: The database did not answer.
    """
    order = subject.table.c[subject.order]
    with database.reading() as connection:
        ends = connection.execute(sa.select(sa.func.min(order), sa.func.max(order))).one()
    if ends[0] is None:
        return
    first, newest = ends
    # Up to the newest of now: a table that grows faster than it is read would have no end.
    asked = sa.select(subject.table).where(order <= newest).order_by(order).limit(part_rows)
    if run is not None:
        asked = asked.where(subject.table.c.run_number == run)
    place = [column.name for column in subject.columns].index(subject.order)
    last: int | None = None
    while True:
        with database.reading() as connection:
            found = connection.execute(asked if last is None else asked.where(order > last)).all()
        if not found:
            return
        last = found[-1][place]
        rows = [tuple(_with_zone(value) for value in row) for row in found]
        yield Part(rows, (last - first + 1) / (newest - first + 1))
        if len(found) < part_rows:
            return


def _with_zone(value: Value) -> Value:
    """Give a time the zone that a column may not know, UTC."""
    return in_utc(value) if isinstance(value, datetime) else value
