"""Reads processes together with what their jobs add up to: one statement, however many processes there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from shipper.store.jobs.state import COMPLETE_PERCENT, Status, Sums, percent, process_status
from shipper.store.jobs.tables import ARRAY, arrays, events, job_states, processes

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a task.

    Attributes:
        task: The task's name.
        name: Its own.
        kin: 1 for a solitary one, 3 for an array.
        f_tolerance: How many of its jobs may fail, as it was given.
        last_event_class: The class of the newest event of any of its jobs.
        sums: What its jobs add up to.
    """

    task: str
    name: str
    kin: int
    f_tolerance: int | None
    last_event_class: str | None
    sums: Sums

    @property
    def is_array(self) -> bool:
        """Whether it has jobs with an index."""
        return self.sums.is_array

    @property
    def percent(self) -> int:
        """How far it is."""
        return percent(self.sums)

    @property
    def status(self) -> Status | None:
        """Its status."""
        return process_status(self.sums)


def of_tasks(connection: Connection, tasks: Sequence[str]) -> Sequence[Process]:
    """Return all processes of some tasks, by their names."""
    if not tasks:
        return ()
    return _read(connection, processes.c.taskID.in_(tasks), job_states.c.taskID.in_(tasks))


def some(connection: Connection, names: Sequence[tuple[str, str]]) -> Sequence[Process]:
    """Return the processes with these names of task and process, as far as they are there."""
    if not names:
        return ()
    return _read(
        connection,
        sa.tuple_(processes.c.taskID, processes.c.name).in_(names),
        sa.tuple_(job_states.c.taskID, job_states.c.procID).in_(names),
    )


def one(connection: Connection, task: str, process: str) -> Process | None:
    """Return a process; `None` when there is none of this name."""
    found = some(connection, [(task, process)])
    return found[0] if found else None


def _read(
    connection: Connection, which: sa.ColumnElement[bool], which_states: sa.ColumnElement[bool]
) -> Sequence[Process]:
    added = _added_up(which_states)
    statement = (
        sa.select(
            processes.c.taskID,
            processes.c.name,
            processes.c.kin,
            processes.c.thresholdProgress,
            arrays.c.nJobs,
            arrays.c.fTolerance,
            events.c.eventClass,
            *(added.c[name] for name in _SUMS),
        )
        .select_from(processes)
        .outerjoin(
            arrays,
            (arrays.c.name == processes.c.name) & (arrays.c.taskID == processes.c.taskID),
        )
        .outerjoin(
            added, (added.c.taskID == processes.c.taskID) & (added.c.procID == processes.c.name)
        )
        .outerjoin(events, events.c.id == added.c.newest)
        .where(which)
        .order_by(processes.c.taskID, processes.c.name)
    )
    return [_process(row) for row in connection.execute(statement)]


_SUMS = ("begun", "ended", "failed", "done", "progress", "silent", "latest", "silent_latest")


def _added_up(which: sa.ColumnElement[bool]) -> sa.Subquery:
    columns = job_states.c
    return (
        sa.select(
            columns.taskID,
            columns.procID,
            sa.func.max(columns.lastEventID).label("newest"),
            sa.func.count().label("begun"),
            _count(columns.outcome == "DONE").label("ended"),
            _count(columns.outcome == "FAILED").label("failed"),
            sa.func.sum(columns.hasDone).label("done"),
            sa.func.sum(columns.progress).label("progress"),
            _lacking(columns.progress).label("silent"),
            sa.func.sum(columns.latestProgress).label("latest"),
            _lacking(columns.latestProgress).label("silent_latest"),
        )
        .where(which)
        .group_by(columns.taskID, columns.procID)
        .subquery()
    )


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _lacking(progress: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Add up what jobs that are done lack to 100."""
    lacks = (job_states.c.hasDone == 1) & (progress < COMPLETE_PERCENT)
    return sa.func.sum(sa.case((lacks, COMPLETE_PERCENT - progress), else_=0))


def _process(row: Any) -> Process:  # noqa: ANN401 - a row of SQLAlchemy's
    is_array = row.kin == ARRAY
    begun, ended, failed, done, progress, silent, latest, silent_latest = (
        # MariaDB adds up to decimals.
        int(getattr(row, name) or 0)
        for name in _SUMS
    )
    sums = Sums(
        jobs=row.nJobs if is_array else 1,
        tolerated=(row.fTolerance or 0) if is_array else 0,
        threshold=row.thresholdProgress,
        is_array=is_array,
        begun=begun,
        ended=ended,
        failed=failed,
        done=done,
        # Of a job that stands alone the newest word counts, also when it takes something back.
        progress=progress if is_array else latest,
        done_silently=silent if is_array else silent_latest,
    )
    return Process(row.taskID, row.name, row.kin, row.fTolerance, row.eventClass, sums)
