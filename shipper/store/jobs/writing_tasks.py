"""Makes, replaces and deletes tasks, each within one transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shipper.store.jobs.refusal import JobsRefusal, no_task
from shipper.store.jobs.tables import (
    ARRAY,
    SOLITARY,
    arrays,
    departed_events,
    events,
    job_states,
    processes,
    tag_associations,
    tags,
    tasks,
)
from shipper.store.jobs.wishes import NewProcess, NewTask

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def create_task(connection: Connection, task: NewTask) -> None:
    """Write a task with its processes and tags.

    Raises:
        JobsRefusal: There is a task of this name.
    """
    try:
        # The database itself says whether the name is free, however many ask at once.
        with connection.begin_nested():
            connection.execute(tasks.insert().values(name=task.name, **_fields(task)))
    except IntegrityError:
        raise JobsRefusal(
            "conflict", "Task name is not unique.", {"task": task.name, "transient": False}
        ) from None
    _add_processes(connection, task.name, task.processes)
    _tag(connection, task)


def replace_task(connection: Connection, task: NewTask, shipped_id: int) -> None:
    """Put a task in the place of the one of this name; processes that stay of the same kind keep their events.

    Args:
        connection: In a transaction.
        task: What the task is from now on.
        shipped_id: The last event that is known to be shipped.

    Raises:
        JobsRefusal: There is none of this name, or an array has events of jobs that it would not have any more.
    """
    if not _is_there(connection, task.name):
        raise no_task(task.name)
    there = _jobs_of(connection, task.name)
    wanted = {each.name: each for each in task.processes}
    stay = {
        name
        for name, jobs in there.items()
        if name in wanted and (jobs is None) == (wanted[name].jobs is None)
    }
    _see_that_jobs_fit(connection, task.name, [wanted[name] for name in stay])
    _remove_processes(connection, task.name, set(there) - stay, shipped_id)
    for name in stay:
        _change_process(connection, task.name, wanted[name])
    _add_processes(
        connection, task.name, [each for each in task.processes if each.name not in stay]
    )
    # It was submitted when it was; all else is as the new one says.
    fields = {name: each for name, each in _fields(task).items() if name != "submittedAt"}
    connection.execute(tasks.update().where(tasks.c.name == task.name).values(fields))
    _untag(connection, task.name)
    _tag(connection, task)


def delete_task(connection: Connection, name: str, shipped_id: int) -> None:
    """Delete a task with all that belongs to it; events that are not shipped yet are kept until they are.

    Raises:
        JobsRefusal: There is none of this name.
    """
    if not _is_there(connection, name):
        raise no_task(name)
    _remove_processes(connection, name, set(_jobs_of(connection, name)), shipped_id)
    _untag(connection, name)
    connection.execute(tasks.delete().where(tasks.c.name == name))


def _fields(task: NewTask) -> dict[str, object]:
    return {
        "username": task.username,
        "emailNotify": task.email_notify,
        "comment": task.comment,
        "submittedAt": task.submitted_at,
        "submHostIP": task.client_ip,
        "hostname": task.hostname,
        "depGraph": task.dep_graph,
        "config": task.config,
    }


def _is_there(connection: Connection, name: str) -> bool:
    found = connection.scalar(sa.select(tasks.c.name).where(tasks.c.name == name))
    return found is not None


def _jobs_of(connection: Connection, task: str) -> Mapping[str, int | None]:
    """Return the processes of a task with their numbers of jobs, none for solitary ones."""
    together = (arrays.c.name == processes.c.name) & (arrays.c.taskID == processes.c.taskID)
    found = connection.execute(
        sa.select(processes.c.name, arrays.c.nJobs)
        .outerjoin_from(processes, arrays, together)
        .where(processes.c.taskID == task)
    )
    return {row[0]: row[1] for row in found}


def _add_processes(connection: Connection, task: str, wanted: Sequence[NewProcess]) -> None:
    if not wanted:
        return
    connection.execute(
        processes.insert(),
        [
            {
                "name": each.name,
                "taskID": task,
                "kin": SOLITARY if each.jobs is None else ARRAY,
                "thresholdProgress": each.threshold,
            }
            for each in wanted
        ],
    )
    rows = [
        {"name": each.name, "taskID": task, "nJobs": each.jobs, "fTolerance": each.tolerated}
        for each in wanted
        if each.jobs is not None
    ]
    if rows:
        connection.execute(arrays.insert(), rows)


def _change_process(connection: Connection, task: str, wanted: NewProcess) -> None:
    connection.execute(
        processes.update()
        .where(processes.c.taskID == task, processes.c.name == wanted.name)
        .values(thresholdProgress=wanted.threshold)
    )
    if wanted.jobs is not None:
        connection.execute(
            arrays.update()
            .where(arrays.c.taskID == task, arrays.c.name == wanted.name)
            .values(nJobs=wanted.jobs, fTolerance=wanted.tolerated)
        )


def _see_that_jobs_fit(connection: Connection, task: str, wanted: Sequence[NewProcess]) -> None:
    columns = job_states.c
    found = connection.execute(
        sa.select(columns.procID, sa.func.max(columns.jobIndex))
        .where(columns.taskID == task)
        .group_by(columns.procID)
    )
    highest: dict[str, int] = {row[0]: row[1] for row in found}
    for each in wanted:
        if each.jobs is not None and highest.get(each.name, -1) >= each.jobs:
            raise JobsRefusal(
                "conflict",
                "There are events of jobs beyond nJobs.",
                {"process": each.name, "nJobs": each.jobs, "arrayIndex": highest[each.name]},
            )


def _remove_processes(
    connection: Connection, task: str, names: Collection[str], shipped_id: int
) -> None:
    if not names:
        return
    of_events = (events.c.taskID == task) & events.c.procID.in_(names)
    columns = [column.name for column in events.columns]
    unshipped = sa.select(*events.columns).where(of_events, events.c.id > shipped_id)
    connection.execute(departed_events.insert().from_select(columns, unshipped))
    connection.execute(events.delete().where(of_events))
    connection.execute(
        job_states.delete().where(job_states.c.taskID == task, job_states.c.procID.in_(names))
    )
    for table in (arrays, processes):
        connection.execute(table.delete().where(table.c.taskID == task, table.c.name.in_(names)))


def _tag(connection: Connection, task: NewTask) -> None:
    names = list(dict.fromkeys(task.tags))
    if not names:
        return
    known = set(connection.scalars(sa.select(tags.c.name).where(tags.c.name.in_(names))))
    new = [{"name": name} for name in names if name not in known]
    if new:
        connection.execute(tags.insert(), new)
    connection.execute(
        tag_associations.insert(), [{"task_name": task.name, "tag_name": name} for name in names]
    )


def _untag(connection: Connection, task: str) -> None:
    """Take all tags from a task; those that no other has are gone."""
    columns = tag_associations.c
    names = list(connection.scalars(sa.select(columns.tag_name).where(columns.task_name == task)))
    connection.execute(tag_associations.delete().where(columns.task_name == task))
    if names:
        still = sa.exists().where(columns.tag_name == tags.c.name)
        connection.execute(tags.delete().where(tags.c.name.in_(names), ~still))
