"""The routes of tasks and their processes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from shipper.sources.jobs.back import address_of, back_of
from shipper.sources.jobs.bodies import (
    ListQuery,
    Name,
    ProcessesQuery,
    ProcessName,
    ProcessQuery,
    TaskBody,
    TasksQuery,
)
from shipper.sources.jobs.json_route import OrjsonRoute
from shipper.sources.jobs.replies import (
    CONFLICT,
    FAULTS,
    NOT_FOUND,
    WRITING,
    Created,
    Deleted,
    Errors,
    EventReply,
    ProcessReply,
    Replaced,
    TaskList,
    TaskReply,
    faulty,
    written,
)
from shipper.store.jobs import views
from shipper.store.jobs.refusal import JobsRefusal
from shipper.store.jobs.views import BASE, MOST_ENTRIES, Page
from shipper.store.jobs.writing_tasks import create_task, delete_task, replace_task

router = APIRouter(prefix=BASE, responses=FAULTS, route_class=OrjsonRoute)

TaskName = Annotated[Name, Path(description="The task's name.")]
OwnName = Annotated[ProcessName, Path(description="The process's name.")]
REFUSED = {403: {"model": Errors, "description": "Never done."}, **WRITING}


@router.get("", response_model=TaskList)
async def list_tasks(request: Request, query: Annotated[TasksQuery, Query()]) -> Response:
    """List tasks."""
    asked = bool(request.query_params)
    fields = wanted_fields(query.fields, TaskReply)
    tags = [tag for tag in (query.tags or "").split(",") if tag]
    page = page_of(query, query.order, counted=asked)
    found = await back_of(request).read(partial(views.task_list, wanted_tags=tags, page=page))
    return written(only(found, fields))


@router.post("", status_code=201, response_model=Created, responses={**WRITING, **CONFLICT})
async def post_task(request: Request, body: TaskBody) -> Response:
    """Create a task that is named in the body."""
    if body.name is None:
        raise JobsRefusal("wrong", "Input data invalid.", {"name": ["must be given"]})
    return await _create(request, body.name, body)


@router.delete("", status_code=403, response_model=Errors, responses=REFUSED)
async def delete_all() -> Response:
    """Refuse to delete all tasks at once."""
    text = "Tasks are deleted one by one."
    return faulty(403, text, error=text)


@router.post("/{name}", status_code=201, response_model=Created, responses={**WRITING, **CONFLICT})
async def post_named_task(request: Request, name: TaskName, body: TaskBody) -> Response:
    """Create a task."""
    _see_that_names_agree(name, body)
    return await _create(request, name, body)


@router.put("/{name}", response_model=Replaced, responses={**WRITING, **NOT_FOUND, **CONFLICT})
async def put_task(request: Request, name: TaskName, body: TaskBody) -> Response:
    """Replace a task; processes that stay of the same kind keep their events."""
    _see_that_names_agree(name, body)
    back = back_of(request)
    task = body.task(name, back.now(), address_of(request))
    shipped_id = back.shipped_id()
    await back.write(lambda connection: replace_task(connection, task, shipped_id))
    return written({"replaced": True})


@router.get("/{name}", response_model=TaskReply, responses=NOT_FOUND)
async def get_task(request: Request, name: TaskName) -> Response:
    """Show a task."""
    return written(await back_of(request).read(partial(views.task, name=name)))


@router.delete("/{name}", response_model=Deleted, responses={**WRITING, **NOT_FOUND})
async def remove_task(request: Request, name: TaskName) -> Response:
    """Delete a task with its processes and events."""
    back = back_of(request)
    shipped_id = back.shipped_id()
    await back.write(lambda connection: delete_task(connection, name, shipped_id))
    return written({"deleted": 1})


@router.get("/{name}/@all", response_model=list[ProcessReply], responses=NOT_FOUND)
async def list_processes(
    request: Request, name: TaskName, query: Annotated[ProcessesQuery, Query()]
) -> Response:
    """List the processes of a task."""
    question = partial(views.process_list, task_name=name, event_class=query.hasEventsOfClass)
    return written(await back_of(request).read(question))


@router.get("/{name}/{process}", response_model=ProcessReply, responses=NOT_FOUND)
async def get_process(
    request: Request, name: TaskName, process: OwnName, query: Annotated[ProcessQuery, Query()]
) -> Response:
    """Show a process."""
    del query
    return written(
        await back_of(request).read(partial(views.process, task_name=name, name=process))
    )


def page_of(query: ListQuery, order: str | None, *, counted: bool) -> Page:
    """Return which part of a list is wanted; what is ordered without saying how goes down."""
    descending = query.sort == "desc" or (query.sort is None and order is not None)
    return Page(order, descending, query.limit or MOST_ENTRIES, query.offset, counted)


def wanted_fields(fields: str | None, reply: type[TaskReply] | type[EventReply]) -> set[str] | None:
    """Return the names that are wanted; `None` for all.

    Raises:
        JobsRefusal: One is not known.
    """
    if not fields:
        return None
    names = {name for name in fields.split(",") if name}
    known = {field.alias or name for name, field in reply.model_fields.items()}
    unknown = sorted(names - known)
    if unknown:
        raise JobsRefusal("wrong", "Input data invalid.", {"fields": unknown})
    return names


def only(found: dict[str, Any], fields: set[str] | None) -> dict[str, Any]:
    """Return a list with these fields of its entries only."""
    if fields is None:
        return found
    return {**found, "entries": [_cut(entry, fields) for entry in found["entries"]]}


def _cut(entry: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name in fields}


def _see_that_names_agree(name: str, body: TaskBody) -> None:
    if body.name not in (None, name):
        rule = "differs from the name in the address"
        raise JobsRefusal("wrong", "Input data invalid.", {"name": [rule]})


async def _create(request: Request, name: str, body: TaskBody) -> Response:
    back = back_of(request)
    task = body.task(name, back.now(), address_of(request))
    await back.write(lambda connection: create_task(connection, task))
    return written({"created": True}, 201)
