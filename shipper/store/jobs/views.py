"""What clients of jobs read: tasks, processes and events as plain values, with the keys of the REST interface."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa

from shipper.store.jobs import overview
from shipper.store.jobs.overview import Process
from shipper.store.jobs.refusal import no_process, no_task
from shipper.store.jobs.state import process_status, task_percent, task_status
from shipper.store.jobs.tables import events, processes, tag_associations, tasks
from shipper.store.jobs.writing_events import no_event

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

View = dict[str, Any]

MOST_ENTRIES = 1000
"""The most that a list shows at once; who wants more asks with `offset`."""

BASE = "/api/v0"

TaskOrder = Literal[
    "name", "username", "emailNotify", "comment", "submittedAt", "submHostIP", "hostname"
]
EventOrder = Literal[
    "id",
    "eventClass",
    "progress",
    "payload",
    "procNumInArray",
    "hostname",
    "clientIP",
    "sentAt",
    "recievedAt",
    "receivedAt",
]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted, and in which order.

    Attributes:
        order: A column; `None` for the order in which things came.
        descending: Whether it goes down.
        limit: The most entries.
        offset: How many to pass over.
        counted: Whether it shall be told how many there are.
    """

    order: str | None = None
    descending: bool = False
    limit: int = MOST_ENTRIES
    offset: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted; `None` for all.

    Attributes:
        event_id: The one with this id.
        index: Those of this job.
        event_class: Those of this class.
        hostname: Those from this host.
        client_ip: Those from this address.
    """

    event_id: int | None = None
    index: int | None = None
    event_class: str | None = None
    hostname: str | None = None
    client_ip: str | None = None


def task_list(connection: Connection, wanted_tags: Sequence[str], page: Page) -> View:
    """Return tasks that have all these tags, and how many there are."""
    where = [_has_tag(tag) for tag in wanted_tags]
    order = tasks.c[page.order] if page.order else tasks.c.submittedAt
    asked = _paged(sa.select(tasks).where(*where), page, order, tasks.c.name)
    rows = connection.execute(asked).all()
    count = sa.select(sa.func.count()).select_from(tasks).where(*where)
    return {"entries": _tasks(connection, rows), "total": _total(connection, count, rows, page)}


def task(connection: Connection, name: str) -> View:
    """Return a task.

    Raises:
        JobsRefusal: There is none of this name.
    """
    row = connection.execute(sa.select(tasks).where(tasks.c.name == name)).one_or_none()
    if row is None:
        raise no_task(name)
    return _tasks(connection, [row])[0]


def process(connection: Connection, task_name: str, name: str) -> View:
    """Return a process.

    Raises:
        JobsRefusal: There is none of this name.
    """
    return process_view(_process(connection, task_name, name))


def process_list(connection: Connection, task_name: str, event_class: str | None) -> list[View]:
    """Return the processes of a task, or those that have events of a class.

    Raises:
        JobsRefusal: There is no such task.
    """
    if connection.scalar(sa.select(tasks.c.name).where(tasks.c.name == task_name)) is None:
        raise no_task(task_name)
    found = overview.of_tasks(connection, [task_name])
    if event_class is None:
        return [process_view(each) for each in found]
    of_class = (events.c.taskID == task_name) & (events.c.eventClass == event_class)
    has = sa.exists().where(of_class, events.c.procID == processes.c.name)
    names = set(
        connection.scalars(sa.select(processes.c.name).where(processes.c.taskID == task_name, has))
    )
    return [process_view(each) for each in found if each.name in names]


def event_list(
    connection: Connection, task_name: str, process_name: str, wanted: Wanted, page: Page
) -> View:
    """Return events of a process, and how many there are.

    Raises:
        JobsRefusal: There is no such process.
    """
    _process(connection, task_name, process_name)
    columns = events.c
    filters = {
        columns.id: wanted.event_id,
        columns.procNumInArray: wanted.index,
        columns.eventClass: wanted.event_class,
        columns.hostname: wanted.hostname,
        columns.clientIP: wanted.client_ip,
    }
    where = [
        columns.taskID == task_name,
        columns.procID == process_name,
        *(column == value for column, value in filters.items() if value is not None),
    ]
    name = "recievedAt" if page.order == "receivedAt" else page.order
    order = columns[name] if name else columns.id
    asked = _paged(sa.select(events).where(*where), page, order, columns.id)
    rows = connection.execute(asked).all()
    count = sa.select(sa.func.count()).select_from(events).where(*where)
    return {
        "entries": [event_view(row) for row in rows],
        "total": _total(connection, count, rows, page),
    }


def event(connection: Connection, task_name: str, process_name: str, event_id: int) -> View:
    """Return one event of a process.

    Raises:
        JobsRefusal: There is no such process, or it has no such event.
    """
    _process(connection, task_name, process_name)
    columns = events.c
    row = connection.execute(
        sa.select(events).where(
            columns.id == event_id, columns.taskID == task_name, columns.procID == process_name
        )
    ).one_or_none()
    if row is None:
        raise no_event(event_id)
    return event_view(row)


def process_view(found: Process) -> View:
    """Return a process as clients see it."""
    of_array = {"nJobs": found.sums.jobs, "fTolerance": found.f_tolerance} if found.is_array else {}
    return {
        "type": "array" if found.is_array else "solitary",
        "kin": found.kin,
        "name": found.name,
        "task": found.task,
        **of_array,
        "thresholdProgress": found.sums.threshold,
        "progress": found.percent,
        "lastEventClass": found.last_event_class,
        "status": process_status(found.sums),
        "_links": {"events": f"{_address(found.task)}/{quote(found.name, safe='')}/event"},
    }


def event_view(row: Any) -> View:  # noqa: ANN401 - a row of SQLAlchemy's
    """Return an event as clients see it; the misspelt key is the one that they know."""
    received = row.recievedAt
    return {
        "id": row.id,
        "eventClass": row.eventClass,
        "progress": row.progress,
        "payload": row.payload,
        "procNumInArray": row.procNumInArray,
        "hostname": row.hostname,
        "clientIP": row.clientIP,
        "sentAt": without_zone(row.sentAt),
        "recievedAt": without_zone(received),
        "receivedAt": None if received is None else received.isoformat(),
    }


def without_zone(moment: datetime | None) -> str | None:
    """Return a moment in UTC the way it always was written, without saying so."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat()


def tags_of(connection: Connection, names: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the tags of tasks, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    columns = tag_associations.c
    asked = sa.select(columns.task_name, columns.tag_name).where(columns.task_name.in_(names))
    for name, tag in connection.execute(asked.order_by(columns.tag_name)) if names else ():
        found[name].append(tag)
    return found


def _process(connection: Connection, task_name: str, name: str) -> Process:
    found = overview.one(connection, task_name, name)
    if found is None:
        raise no_process(task_name, name)
    return found


def _tasks(connection: Connection, rows: Sequence[Any]) -> list[View]:
    names = [row.name for row in rows]
    tagged = tags_of(connection, names)
    by_task: dict[str, list[Process]] = defaultdict(list)
    for each in overview.of_tasks(connection, names):
        by_task[each.task].append(each)
    return [_task(row, tagged.get(row.name, []), by_task[row.name]) for row in rows]


def _task(row: Any, tagged: list[str], found: Sequence[Process]) -> View:  # noqa: ANN401
    return {
        "name": row.name,
        "username": row.username,
        "emailNotify": row.emailNotify,
        "comment": row.comment,
        "submittedAt": without_zone(row.submittedAt),
        "submHostIP": row.submHostIP,
        "hostname": row.hostname,
        "depGraph": row.depGraph,
        "config": row.config,
        "tags": tagged,
        "status": task_status([each.status for each in found]),
        "progress": task_percent([each.percent for each in found]),
        "processes": [process_view(each) for each in found],
        "_links": {"self": _address(row.name), "collection": BASE},
    }


def _address(task_name: str) -> str:
    """Return where a task is, whatever its name has in it."""
    return f"{BASE}/{quote(task_name, safe='')}"


def _has_tag(tag: str) -> sa.ColumnElement[bool]:
    columns = tag_associations.c
    return sa.exists().where(columns.task_name == tasks.c.name, columns.tag_name == tag)


def _paged(
    asked: sa.Select[Any],
    page: Page,
    order: sa.ColumnElement[Any],
    unique: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    columns = (order.desc(), unique.desc()) if page.descending else (order, unique)
    return asked.order_by(*columns).limit(page.limit).offset(page.offset)


def _total(
    connection: Connection, count: sa.Select[int], rows: Sequence[Any], page: Page
) -> int | None:
    """Return how many there are, if that was asked for or not all are shown."""
    if not page.counted and len(rows) < page.limit:
        return None
    return connection.scalar(count)
