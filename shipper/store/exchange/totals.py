"""Reckons the totals of runs from their Time Frames, and makes the runs that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper.store.timeframes.tables import runs, time_frames

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

RUNS_TOGETHER = 500


def reckon(connection: Connection, numbers: Set[int]) -> None:
    """Let the totals of these runs say what there is; a run that is missing began when its first file was received."""
    for some in _parts(sorted(numbers)):
        _make_missing(connection, some)
        for number, tfs, size_bytes in _counted(connection, some):
            connection.execute(
                runs.update()
                .where(runs.c.run_number == number)
                .values(total_tfs=tfs, total_size_bytes=int(size_bytes))
            )


def _make_missing(connection: Connection, numbers: Sequence[int]) -> None:
    there = set(
        connection.scalars(sa.select(runs.c.run_number).where(runs.c.run_number.in_(numbers)))
    )
    missing = [number for number in numbers if number not in there]
    if not missing:
        return
    columns = time_frames.c
    first = connection.execute(
        sa.select(
            columns.run_number, sa.func.min(columns.received_at, type_=columns.received_at.type)
        )
        .where(columns.run_number.in_(missing))
        .group_by(columns.run_number)
    )
    made = [
        {"run_number": number, "start_time": start, "total_tfs": 0, "total_size_bytes": 0}
        for number, start in first
    ]
    if made:
        connection.execute(runs.insert(), made)


def _counted(connection: Connection, numbers: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield number, Time Frames and bytes of every run, those without any included."""
    columns = time_frames.c
    found = connection.execute(
        sa.select(
            columns.run_number,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(columns.file_size_bytes), 0),
        )
        .where(columns.run_number.in_(numbers))
        .group_by(columns.run_number)
    ).all()
    yield from found
    yield from ((number, 0, 0) for number in set(numbers) - {row[0] for row in found})


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), RUNS_TOGETHER):
        yield numbers[start : start + RUNS_TOGETHER]
