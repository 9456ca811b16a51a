"""Writes events and what they come to, some hundred at a time, within one transaction of the caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from shipper.store.jobs import overview
from shipper.store.jobs.overview import Process
from shipper.store.jobs.refusal import JobsRefusal, no_process
from shipper.store.jobs.state import JobState, enough
from shipper.store.jobs.tables import ARRAY, NO_INDEX, arrays, events, job_states, processes
from shipper.store.jobs.wishes import NewEvent, Taken

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

REBUILT_ROWS = 5000
LOOKED_UP = 300
"""How many names one question asks for."""

Job = tuple[str, str, int]
"""Task, process, and index, which is `NO_INDEX` for a solitary process."""

_STATE = (
    "events",
    "lastEventID",
    "lastEventClass",
    "lastAt",
    "outcome",
    "hasDone",
    "progress",
    "latestProgress",
)


@dataclass(frozen=True, slots=True)
class _Kind:
    jobs: int | None
    threshold: int | None


def add_events(connection: Connection, wanted: Sequence[NewEvent]) -> Sequence[Taken | JobsRefusal]:
    """Write events in their order, and return what became of each.

    The caller keeps other writers away until the transaction ends (`versions.hold`): then ids become visible in their
    order, so that nobody who reads behind an id passes over one, and states that are read here stay true.
    """
    kinds = _kinds(connection, {(each.task, each.process) for each in wanted})
    verdicts = [_verdict(each, kinds.get((each.task, each.process))) for each in wanted]
    accepted = [each for each, refusal in zip(wanted, verdicts, strict=True) if refusal is None]
    if accepted:
        _insert(connection, accepted)
    spent = _spent(connection, accepted, kinds)
    return [
        Taken(keep_going=(each.task, each.process) not in spent) if refusal is None else refusal
        for each, refusal in zip(wanted, verdicts, strict=True)
    ]


def replace_event(connection: Connection, event_id: int, wanted: NewEvent) -> Taken:
    """Put an event in the place of another of the same job, which keeps its id.

    Raises:
        JobsRefusal: There is no such event.
    """
    where = _is(event_id, wanted.task, wanted.process)
    found = connection.execute(sa.select(events.c.procNumInArray).where(where)).one_or_none()
    if found is None:
        raise no_event(event_id)
    if wanted.index not in (None, found.procNumInArray):
        raise JobsRefusal("wrong", "The event is of another job.", {"arrayIndex": wanted.index})
    kept = replace(wanted, index=found.procNumInArray)
    connection.execute(events.update().where(events.c.id == event_id).values(**_row(kept)))
    _reckon(connection, (kept.task, kept.process, _number(kept.index)))
    process = overview.one(connection, kept.task, kept.process)
    return Taken(keep_going=process is None or not enough(process.sums))


def no_event(event_id: int) -> JobsRefusal:
    """Return the refusal for an event that is not there."""
    return JobsRefusal("missing", "No data found for query.", {"id": event_id})


def rebuild_states(connection: Connection) -> None:
    """Reckon the states of all jobs anew from all events."""
    connection.execute(job_states.delete())
    states: dict[Job, JobState] = {}
    last = 0
    while True:
        rows = connection.execute(
            _SEEN.where(events.c.id > last).order_by(events.c.id).limit(REBUILT_ROWS)
        ).all()
        for row in rows:
            job = (row.taskID, row.procID, _number(row.procNumInArray))
            states[job] = _after(states.get(job, JobState()), row)
        if len(rows) < REBUILT_ROWS:
            break
        last = rows[-1].id
    _insert_states(connection, states)


_SEEN = sa.select(
    events.c.id,
    events.c.taskID,
    events.c.procID,
    events.c.procNumInArray,
    events.c.eventClass,
    events.c.recievedAt,
    events.c.progress,
).where(events.c.taskID.is_not(None), events.c.procID.is_not(None))


def _kinds(
    connection: Connection, names: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], _Kind]:
    """Return what the processes of these names are; those that are not there are left out."""
    together = (arrays.c.name == processes.c.name) & (arrays.c.taskID == processes.c.taskID)
    asked = sa.select(
        processes.c.taskID,
        processes.c.name,
        processes.c.kin,
        processes.c.thresholdProgress,
        arrays.c.nJobs,
    ).outerjoin_from(processes, arrays, together)
    kinds: dict[tuple[str, str], _Kind] = {}
    for part in _parts(sorted(names)):
        where = sa.tuple_(processes.c.taskID, processes.c.name).in_(part)
        for row in connection.execute(asked.where(where)):
            jobs = row.nJobs if row.kin == ARRAY else None
            kinds[row.taskID, row.name] = _Kind(jobs, row.thresholdProgress)
    return kinds


def _verdict(wanted: NewEvent, kind: _Kind | None) -> JobsRefusal | None:
    """Say why an event does not belong to its process; `None` when it does."""
    if kind is None:
        return no_process(wanted.task, wanted.process)
    given = {"arrayIndex": wanted.index}
    if kind.jobs is None and wanted.index is not None:
        return JobsRefusal("wrong", "Process array does not exist.", given)
    if kind.jobs is not None and wanted.index is None:
        return JobsRefusal("wrong", "Is not a standalone process.", given)
    if kind.jobs is not None and not 0 <= _number(wanted.index) < kind.jobs:
        given = {**given, "nJobs": kind.jobs}
        return JobsRefusal("wrong", "Process index is not within the range.", given)
    return None


def _insert(connection: Connection, accepted: Sequence[NewEvent]) -> None:
    by_job: dict[Job, list[NewEvent]] = defaultdict(list)
    for each in accepted:
        by_job[each.task, each.process, _number(each.index)].append(each)
    before = _states(connection, by_job)
    highest = connection.scalar(sa.select(sa.func.max(events.c.id))) or 0
    connection.execute(events.insert(), [_row(each) for each in accepted])
    rows = connection.execute(_SEEN.where(events.c.id > highest).order_by(events.c.id)).all()
    after = dict(before)
    for row in rows:
        job = (row.taskID, row.procID, _number(row.procNumInArray))
        after[job] = _after(after.get(job, JobState()), row)
    _update_states(connection, {job: after[job] for job in before})
    _insert_states(connection, {job: state for job, state in after.items() if job not in before})


def _spent(
    connection: Connection,
    accepted: Iterable[NewEvent],
    kinds: Mapping[tuple[str, str], _Kind],
) -> set[tuple[str, str]]:
    """Return the processes whose thresholds are reached."""
    names = {(each.task, each.process) for each in accepted}
    asked = sorted(name for name in names if kinds[name].threshold)
    found: list[Process] = []
    for part in _parts(asked):
        found += overview.some(connection, part)
    return {(each.task, each.name) for each in found if enough(each.sums)}


def _states(connection: Connection, jobs: Iterable[Job]) -> dict[Job, JobState]:
    columns = job_states.c
    key = sa.tuple_(columns.taskID, columns.procID, columns.jobIndex)
    found: dict[Job, JobState] = {}
    for part in _parts(sorted(jobs)):
        for row in connection.execute(sa.select(job_states).where(key.in_(part))):
            found[row.taskID, row.procID, row.jobIndex] = JobState(
                row.events,
                row.lastEventID,
                row.lastEventClass,
                row.lastAt,
                row.outcome,
                bool(row.hasDone),
                row.progress,
                row.latestProgress,
            )
    return found


def _update_states(connection: Connection, states: Mapping[Job, JobState]) -> None:
    if not states:
        return
    columns = job_states.c
    statement = (
        job_states.update()
        .where(
            columns.taskID == sa.bindparam("of_task"),
            columns.procID == sa.bindparam("of_process"),
            columns.jobIndex == sa.bindparam("of_index"),
        )
        .values({name: sa.bindparam(f"new_{name}") for name in _STATE})
    )
    connection.execute(
        statement,
        [
            {
                **dict(zip(("of_task", "of_process", "of_index"), job, strict=True)),
                **{f"new_{name}": value for name, value in _columns(state).items()},
            }
            for job, state in states.items()
        ],
    )


def _insert_states(connection: Connection, states: Mapping[Job, JobState]) -> None:
    if states:
        rows = [
            {"taskID": task, "procID": process, "jobIndex": index, **_columns(state)}
            for (task, process, index), state in states.items()
        ]
        connection.execute(job_states.insert(), rows)


def _columns(state: JobState) -> dict[str, object]:
    return {
        "events": state.events,
        "lastEventID": state.last_event_id,
        "lastEventClass": state.last_event_class,
        "lastAt": state.last_at,
        "outcome": state.outcome,
        "hasDone": int(state.has_done),
        "progress": state.progress,
        "latestProgress": state.latest_progress,
    }


def _reckon(connection: Connection, job: Job) -> None:
    """Reckon the state of one job anew from all its events."""
    task, process, index = job
    number = events.c.procNumInArray
    of_job = number.is_(None) if index == NO_INDEX else number == index
    where = (events.c.taskID == task) & (events.c.procID == process) & of_job
    state = JobState()
    for row in connection.execute(_SEEN.where(where).order_by(events.c.id)):
        state = _after(state, row)
    _update_states(connection, {job: state})


def _after(state: JobState, row: Any) -> JobState:  # noqa: ANN401 - a row of SQLAlchemy's
    return state.after(row.id, row.eventClass, row.recievedAt, row.progress)


def _row(event: NewEvent) -> dict[str, object]:
    return {
        "sentAt": event.sent_at,
        "recievedAt": event.received_at,
        "payload": event.payload,
        "progress": event.progress,
        "eventClass": event.event_class,
        "hostname": event.hostname,
        "clientIP": event.client_ip,
        "procNumInArray": event.index,
        "procID": event.process,
        "taskID": event.task,
    }


def _is(event_id: int, task: str, process: str) -> sa.ColumnElement[bool]:
    return (events.c.id == event_id) & (events.c.taskID == task) & (events.c.procID == process)


def _number(index: int | None) -> int:
    return NO_INDEX if index is None else index


def _parts(names: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(names), LOOKED_UP):
        yield names[start : start + LOOKED_UP]
