"""The routes of events."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from shipper.sources.jobs.back import address_of, back_of
from shipper.sources.jobs.bodies import LARGEST_ID, EventBody, EventsQuery, JobQuery
from shipper.sources.jobs.json_route import OrjsonRoute
from shipper.sources.jobs.replies import (
    FAULTS,
    NOT_FOUND,
    WRITING,
    Created,
    EventList,
    EventReply,
    Replaced,
    written,
)
from shipper.sources.jobs.task_routes import OwnName, TaskName, only, page_of, wanted_fields
from shipper.store.jobs import views
from shipper.store.jobs.views import BASE, Wanted
from shipper.store.jobs.wishes import Taken
from shipper.store.jobs.writing_events import replace_event

router = APIRouter(
    prefix=f"{BASE}/{{name}}/{{process}}/event", responses=FAULTS, route_class=OrjsonRoute
)

EventId = Annotated[int, Path(ge=0, le=LARGEST_ID, description="The event's id.")]
Job = Annotated[JobQuery, Query()]


@router.post("", status_code=201, response_model=Created, responses={**WRITING, **NOT_FOUND})
async def post_event(
    request: Request, name: TaskName, process: OwnName, body: EventBody, job: Job
) -> Response:
    """Add an event."""
    back = back_of(request)
    event = body.event((name, process), job.arrayIndex, back.now(), address_of(request))
    return written({"created": True, **_hint(await back.write(event))}, 201)


@router.patch("", status_code=201, response_model=Created, responses={**WRITING, **NOT_FOUND})
async def patch_event(
    request: Request, name: TaskName, process: OwnName, body: EventBody, job: Job
) -> Response:
    """Add an event, as POST does."""
    return await post_event(request, name, process, body, job)


@router.get("", response_model=EventList, responses=NOT_FOUND)
async def list_events(
    request: Request,
    name: TaskName,
    process: OwnName,
    query: Annotated[EventsQuery, Query()],
) -> Response:
    """List events of a process."""
    wanted = Wanted(query.id, query.arrayIndex, query.eventClass, query.hostname, query.ip)
    fields = wanted_fields(query.fields, EventReply)
    page = page_of(query, query.order, counted=bool(request.query_params))
    found = await back_of(request).read(
        partial(views.event_list, task_name=name, process_name=process, wanted=wanted, page=page)
    )
    return written(only(found, fields))


@router.get("/{event_id}", response_model=EventReply, responses=NOT_FOUND)
async def get_event(
    request: Request, name: TaskName, process: OwnName, event_id: EventId
) -> Response:
    """Show one event."""
    question = partial(views.event, task_name=name, process_name=process, event_id=event_id)
    return written(await back_of(request).read(question))


@router.put("/{event_id}", response_model=Replaced, responses={**WRITING, **NOT_FOUND})
async def put_event(
    request: Request,
    name: TaskName,
    process: OwnName,
    event_id: EventId,
    body: EventBody,
    job: Job,
) -> Response:
    """Put an event in the place of another, which keeps its id."""
    back = back_of(request)
    event = body.event((name, process), job.arrayIndex, back.now(), address_of(request))
    taken = await back.write(lambda connection: replace_event(connection, event_id, event))
    return written({"replaced": True, **_hint(taken)})


def _hint(taken: Taken) -> dict[str, bool]:
    return {} if taken.keep_going else {"keepGoing": False}
