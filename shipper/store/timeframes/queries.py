"""Questions about Time Frames, each answered by an index however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper.store.timeframes.tables import runs, time_frames

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


MOST_BUCKETS = 120
MOST_STATUSES = 50
UNKNOWN_STATUS = "unknown"


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


@dataclass(frozen=True, slots=True)
class Rate:
    """When the Time Frames of a run were received.

    Attributes:
        from_seconds: When the first bucket begins, seconds since the Unix epoch.
        bucket_seconds: How long each is.
        counts: How many Time Frames each holds.
        sizes_bytes: What their sizes add up to.
    """

    from_seconds: int
    bucket_seconds: int
    counts: Sequence[int]
    sizes_bytes: Sequence[int]


_LINE = (runs.c.run_number, runs.c.start_time, runs.c.total_tfs, runs.c.total_size_bytes)


def overview(connection: Connection, most_runs: int = 10) -> Sequence[RunLine]:
    """Return the runs with the highest numbers, the highest first."""
    found = connection.execute(
        sa.select(*_LINE).order_by(runs.c.run_number.desc()).limit(most_runs)
    )
    return [RunLine(*row) for row in found]


def reports(connection: Connection, most_runs: int = 50) -> Sequence[RunReport]:
    """Return what is known of the runs with the highest numbers, the highest first."""
    found = connection.execute(
        sa.select(*_LINE, *_times()).order_by(runs.c.run_number.desc()).limit(most_runs)
    )
    return [RunReport(*row) for row in found]


def run(connection: Connection, number: int) -> RunReport | None:
    """Return what is known of a run; `None` when there is no such run."""
    found = connection.execute(
        sa.select(*_LINE, *_times()).where(runs.c.run_number == number)
    ).one_or_none()
    return None if found is None else RunReport(*found)


def by_status(connection: Connection, number: int) -> Mapping[str, int]:
    """Return how many Time Frames of a run have which status; reads all of them."""
    status, count = time_frames.c.status, sa.func.count()
    found = connection.execute(
        sa.select(status, count)
        .where(time_frames.c.run_number == number)
        .group_by(status)
        .order_by(count.desc())
        .limit(MOST_STATUSES)
    )
    return {UNKNOWN_STATUS if name is None else name: counted for name, counted in found}


def rate(connection: Connection, number: int) -> Rate | None:
    """Return when the Time Frames of a run were received; `None` when it has none. Reads all of them twice."""
    received, size = time_frames.c.received_at, time_frames.c.file_size_bytes
    of_run = time_frames.c.run_number == number
    first, last = connection.execute(
        sa.select(sa.func.min(received), sa.func.max(received)).where(of_run)
    ).one()
    if first is None:
        return None
    from_seconds = int(first.timestamp())
    bucket_seconds = max(1, -(-(int(last.timestamp()) - from_seconds + 1) // MOST_BUCKETS))
    place = (_unix_seconds(connection) - from_seconds) // bucket_seconds
    found = connection.execute(
        sa.select(place.label("place"), sa.func.count(), sa.func.coalesce(sa.func.sum(size), 0))
        .where(of_run)
        .group_by(sa.text("place"))
    ).all()
    counts, sizes = [0] * MOST_BUCKETS, [0] * MOST_BUCKETS
    for at, count, size_bytes in found:
        counts[int(at)], sizes[int(at)] = count, int(size_bytes)
    used = max(int(at) for at, _, _ in found) + 1
    return Rate(from_seconds, bucket_seconds, counts[:used], sizes[:used])


def _times() -> tuple[sa.ScalarSelect[datetime | None], sa.ScalarSelect[datetime | None]]:
    """Return when the earliest and the latest Time Frame of a run were created, as columns beside the run's own."""
    created = time_frames.c.created_at
    # ORDER BY with LIMIT, because SQLite reads the whole run where a query asks for minimum and maximum at once.
    times = sa.select(created).where(
        time_frames.c.run_number == runs.c.run_number, created.is_not(None)
    )
    first = times.order_by(created).limit(1)
    last = times.order_by(created.desc()).limit(1)
    return (
        first.correlate(runs).scalar_subquery(),
        last.correlate(runs).scalar_subquery(),
    )


def _unix_seconds(connection: Connection) -> sa.ColumnElement[int]:
    """Return the moment of reception in whole seconds, in the words of the database."""
    received = time_frames.c.received_at
    match connection.dialect.name:
        case "sqlite":
            return sa.cast(sa.func.strftime("%s", received), sa.Integer)
        case "postgresql":
            return sa.cast(sa.func.floor(sa.extract("epoch", received)), sa.BigInteger)
        case _:
            since = (sa.text("SECOND"), "1970-01-01", received)
            return sa.func.timestampdiff(*since, type_=sa.BigInteger)


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
