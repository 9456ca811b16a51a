"""Questions about Time Frames, each answered by an index however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper.store.timeframes.tables import runs, time_frames

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the overview.

    Attributes:
        run_number: Its number.
        start_time: When its first Time Frame was received, UTC.
        total_tfs: How many Time Frames it has.
        total_size_bytes: What their sizes add up to.
    """

    run_number: int
    start_time: datetime
    total_tfs: int
    total_size_bytes: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What is known of one run.

    Attributes:
        run_number: Its number.
        start_time: When its first Time Frame was received, UTC.
        total_tfs: How many Time Frames it has.
        total_size_bytes: What their sizes add up to.
        first_tf: When the earliest was created, UTC; `None` when none says so.
        last_tf: When the latest was created.
    """

    run_number: int
    start_time: datetime
    total_tfs: int
    total_size_bytes: int
    first_tf: datetime | None
    last_tf: datetime | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What came into a run.

    Attributes:
        run_number: Its number.
        tfs: How many Time Frames.
        size_bytes: What their sizes add up to.
    """

    run_number: int
    tfs: int
    size_bytes: int


_LINE = (runs.c.run_number, runs.c.start_time, runs.c.total_tfs, runs.c.total_size_bytes)


def overview(connection: Connection, most_runs: int = 10) -> Sequence[RunLine]:
    """Return the runs with the highest numbers, the highest first."""
    found = connection.execute(
        sa.select(*_LINE).order_by(runs.c.run_number.desc()).limit(most_runs)
    )
    return [RunLine(*row) for row in found]


def run(connection: Connection, number: int) -> RunReport | None:
    """Return what is known of a run; `None` when there is no such run."""
    created = time_frames.c.created_at
    # ORDER BY with LIMIT, because SQLite reads the whole run where a query asks for minimum and maximum at once.
    times = sa.select(created).where(time_frames.c.run_number == number, created.is_not(None))
    first = times.order_by(created).limit(1).scalar_subquery()
    last = times.order_by(created.desc()).limit(1).scalar_subquery()
    found = connection.execute(
        sa.select(*_LINE, first, last).where(runs.c.run_number == number)
    ).one_or_none()
    return None if found is None else RunReport(*found)


def newest_id(connection: Connection) -> int:
    """Return the highest id of a Time Frame; 0 when there is none."""
    return connection.scalar(sa.select(sa.func.max(time_frames.c.id))) or 0


def kept_since(connection: Connection, first_id: int) -> Sequence[Kept]:
    """Return what came into which run after the Time Frame with this id, by run."""
    columns = time_frames.c
    # The sum hides the column from SQLite, which would read the whole index by run rather than the newest rows.
    by_run = columns.run_number + 0
    size = sa.func.coalesce(sa.func.sum(columns.file_size_bytes), 0)
    found = connection.execute(
        sa.select(by_run, sa.func.count(), size)
        .where(columns.id > first_id)
        .group_by(by_run)
        .order_by(by_run)
    )
    return [Kept(number, tfs, int(total)) for number, tfs, total in found]
