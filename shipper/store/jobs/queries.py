"""Questions about jobs for who looks on: a page of tasks, the jobs of a process, and what may be counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from shipper.store.jobs import overview
from shipper.store.jobs.overview import Process
from shipper.store.jobs.state import task_percent, task_status
from shipper.store.jobs.tables import (
    NO_INDEX,
    arrays,
    job_states,
    processes,
    tag_associations,
    tasks,
)
from shipper.store.jobs.views import tags_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

NEWEST_TASKS = 100
"""How many tasks are looked through for unfinished ones."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers about jobs.

    Attributes:
        progress: How far processes of unfinished tasks are, 1 for all, by task and process.
        jobs: How many jobs are in which state, in all tasks.
    """

    progress: Mapping[tuple[str, str], float]
    jobs: Mapping[str, int]


def tasks_page(
    connection: Connection, *, limit: int = 50, offset: int = 0, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the newest tasks that have all these tags, with their processes, and how many there are."""
    has = [
        sa.exists().where(
            tag_associations.c.task_name == tasks.c.name, tag_associations.c.tag_name == tag
        )
        for tag in tags
    ]
    rows = connection.execute(
        sa.select(tasks.c.name, tasks.c.submittedAt, tasks.c.username, tasks.c.comment)
        .where(*has)
        .order_by(tasks.c.submittedAt.desc(), tasks.c.name)
        .limit(limit)
        .offset(offset)
    ).all()
    names = [row.name for row in rows]
    tagged, by_task = tags_of(connection, names), _by_task(connection, names)
    total = connection.scalar(sa.select(sa.func.count()).select_from(tasks).where(*has))
    found = [_task(row, tagged.get(row.name, []), by_task.get(row.name, [])) for row in rows]
    return {"tasks": found, "total": total}


def jobs_page(
    connection: Connection, task: str, process: str, *, limit: int = 100, offset: int = 0
) -> dict[str, Any] | None:
    """Return the jobs of a process, those that have not begun included; `None` when there is no such process."""
    found = overview.one(connection, task, process)
    if found is None:
        return None
    total = found.sums.jobs
    numbers = (
        range(total)[offset : offset + limit] if found.is_array else [NO_INDEX][offset:][:limit]
    )
    columns = job_states.c
    states = {}
    if numbers:
        states = {
            row.jobIndex: row
            for row in connection.execute(
                sa.select(job_states).where(
                    columns.taskID == task,
                    columns.procID == process,
                    columns.jobIndex.between(numbers[0], numbers[-1]),
                )
            )
        }
    return {"jobs": [_job(each, states.get(each), found) for each in numbers], "total": total}


def figures(connection: Connection, *, most_series: int) -> Figures:
    """Return the numbers of this moment; of unfinished tasks only the newest are told."""
    names = connection.scalars(
        sa.select(tasks.c.name)
        .order_by(tasks.c.submittedAt.desc(), tasks.c.name)
        .limit(NEWEST_TASKS)
    ).all()
    by_task = _by_task(connection, names)
    progress: dict[tuple[str, str], float] = {}
    for name in names:
        found = by_task.get(name, [])
        if task_status([each.status for each in found]) in ("DONE", "FAILED"):
            continue
        for each in found:
            if len(progress) < most_series:
                progress[name, each.name] = each.percent / 100
    return Figures(progress, _jobs_by_state(connection))


def _jobs_by_state(connection: Connection) -> Mapping[str, int]:
    outcome = job_states.c.outcome
    counted = connection.execute(sa.select(outcome, sa.func.count()).group_by(outcome))
    found: dict[str | None, int] = {row[0]: row[1] for row in counted}
    alone = sa.select(sa.func.count()).select_from(processes).where(processes.c.kin == 1)
    in_arrays = sa.select(sa.func.sum(arrays.c.nJobs))
    jobs = (connection.scalar(alone) or 0) + int(connection.scalar(in_arrays) or 0)
    return {
        "DONE": found.get("DONE", 0),
        "FAILED": found.get("FAILED", 0),
        "RUNNING": found.get(None, 0),
        "PENDING": max(0, jobs - sum(found.values())),
    }


def _by_task(connection: Connection, names: Sequence[str]) -> Mapping[str, list[Process]]:
    by_task: dict[str, list[Process]] = defaultdict(list)
    for each in overview.of_tasks(connection, names):
        by_task[each.task].append(each)
    return by_task


def _task(row: Any, tagged: list[str], found: Sequence[Process]) -> dict[str, Any]:  # noqa: ANN401
    return {
        "name": row.name,
        "status": task_status([each.status for each in found]),
        "progress": task_percent([each.percent for each in found]),
        "submittedAt": _iso(row.submittedAt),
        "username": row.username,
        "comment": row.comment,
        "tags": tagged,
        "processes": [_process(each) for each in found],
    }


def _process(found: Process) -> dict[str, Any]:
    sums = found.sums
    return {
        "name": found.name,
        "type": "array" if found.is_array else "solitary",
        "nJobs": sums.jobs,
        "status": found.status,
        "progress": found.percent,
        "lastEventClass": found.last_event_class,
        "jobs": {
            "DONE": sums.ended,
            "FAILED": sums.failed,
            "RUNNING": sums.running,
            "PENDING": sums.pending,
        },
    }


def _job(number: int, row: Any, found: Process) -> dict[str, Any]:  # noqa: ANN401 - a row of SQLAlchemy's
    index = number if found.is_array else None
    if row is None:
        return {
            "index": index,
            "status": "PENDING",
            "lastEventClass": None,
            "progress": None,
            "lastAt": None,
        }
    return {
        "index": index,
        "status": row.outcome or "RUNNING",
        "lastEventClass": row.lastEventClass,
        "progress": row.progress if found.is_array else row.latestProgress,
        "lastAt": _iso(row.lastAt),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
