"""What clients get: replies as the OpenAPI document shows them, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from shipper.store.jobs.refusal import JobsRefusal

RETRY_AFTER_SECONDS = 5
UNION_PARTS = frozenset({"constrained-int", "constrained-str", "float", "int", "str"})
CODES = {"wrong": 400, "missing": 404, "conflict": 409}

Status = Literal["RUNNING", "DONE", "FAILED"]


class Reply(BaseModel):
    """A JSON object that is sent."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class Fault(Reply):
    """One thing that is wrong."""

    reason: str
    details: Any = None


class Errors(Reply):
    """Why a wish was not fulfilled."""

    errors: list[Fault]
    created: bool | None = None
    """False, where something was to be created."""

    error: str | None = None


class Created(Reply):
    """It is committed."""

    created: Literal[True]
    keepGoing: bool | None = None  # noqa: N815 - the word of the interface
    """False once a threshold is reached: no more work is needed. Else it is not there."""


class Replaced(Reply):
    """It is committed."""

    replaced: Literal[True]
    keepGoing: bool | None = None  # noqa: N815


class Deleted(Reply):
    """How many tasks were deleted."""

    deleted: int


class ProcessReply(Reply):
    """A process."""

    type: Literal["array", "solitary"]
    kin: int
    name: str
    task: str
    nJobs: int | None = None  # noqa: N815
    fTolerance: int | None = None  # noqa: N815
    thresholdProgress: int | None  # noqa: N815
    progress: int
    """Percent; may be more than 100."""

    lastEventClass: str | None  # noqa: N815
    status: Status | None
    """`null` before the first event."""

    links: dict[str, str] = Field(alias="_links")


class TaskReply(Reply):
    """A task; `fields` leaves some of it out."""

    name: str | None = None
    username: str | None = None
    emailNotify: str | None = None  # noqa: N815
    comment: str | None = None
    submittedAt: str | None = None  # noqa: N815
    submHostIP: str | None = None  # noqa: N815
    hostname: str | None = None
    depGraph: str | None = None  # noqa: N815
    config: str | None = None
    tags: list[str] | None = None
    status: Status | None = None
    progress: int | None = None
    processes: list[ProcessReply] | None = None
    links: dict[str, str] | None = Field(default=None, alias="_links")


class EventReply(Reply):
    """An event; `fields` leaves some of it out."""

    id: int | None = None
    eventClass: str | None = None  # noqa: N815
    progress: int | None = None
    payload: str | None = None
    procNumInArray: int | None = None  # noqa: N815
    hostname: str | None = None
    clientIP: str | None = None  # noqa: N815
    sentAt: str | None = None  # noqa: N815
    recievedAt: str | None = None  # noqa: N815
    """UTC, without saying so: spelt and written as it always was."""

    receivedAt: str | None = None  # noqa: N815


class TaskList(Reply):
    """Tasks."""

    entries: list[TaskReply]
    total: int | None
    """How many there are without limit and offset; `null` where nothing was asked and all are shown."""


class EventList(Reply):
    """Events."""

    entries: list[EventReply]
    total: int | None


FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Errors, "description": "The request is wrong."},
    413: {"model": Errors, "description": "The body is too large."},
    429: {"model": Errors, "description": "Too many requests from this address."},
    503: {"model": Errors, "description": "The database cannot be used now; see Retry-After."},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Errors, "description": "Not there."}}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": Errors, "description": "It contradicts what is there."}
}
WRITING: dict[int | str, dict[str, Any]] = {
    401: {"model": Errors, "description": "Writing needs the token."},
    408: {"model": Errors, "description": "The body did not come in time."},
}


def written(content: object, status: int = 200, **headers: str) -> Response:
    """Return an answer with this content as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(orjson.dumps(content), status, named, "application/json")


def faulty(status: int, reason: str, details: object = None, **more: Any) -> Response:  # noqa: ANN401
    """Return an answer that says what is wrong; `more` goes into headers whose names begin with a capital."""
    headers = {name: value for name, value in more.items() if name[0].isupper()}
    beside = {name: value for name, value in more.items() if name not in headers}
    return written(
        {"errors": [{"reason": reason, "details": details}], **beside}, status, **headers
    )


def refused(refusal: JobsRefusal, method: str) -> Response:
    """Return the answer to a wish that is refused."""
    return faulty(CODES[refusal.kind], refusal.reason, refusal.details, **not_created(method))


def not_created(method: str) -> Mapping[str, bool]:
    """Return what is said beside errors where something was to be created."""
    return {"created": False} if method in ("POST", "PATCH") else {}


def invalid(error: RequestValidationError, method: str) -> Response:
    """Return the answer to a request that cannot be read, with what is wrong in every field."""
    details: dict[str, list[str]] = {}
    reason = ""
    for each in error.errors():
        # Where a field may be one of several things, pydantic tells which of them it tried.
        place = [str(part) for part in each["loc"] if "[" not in str(part)]
        place = [part for part in place if part not in UNION_PARTS]
        if each["type"] == "json_invalid":
            place = place[:1]  # behind it stands where parsing ended
        reason = reason or _reason(str(each["type"]), place)
        rules = details.setdefault(".".join(place[1:]) or place[0], [])
        if (rule := _rule(each)) not in rules:
            rules.append(rule)
    return faulty(400, reason, details, **not_created(method))


def _reason(kind: str, place: list[str]) -> str:
    if kind == "json_invalid":
        return "Input data is not JSON."
    if place[-1] == "arrayIndex" or place[1:3] == ["_meta", "time"]:
        return "Input data error."
    if place[1:2] == ["_meta"]:
        return "Input data validation failure."
    if place[1:2] == ["processes"] and kind in ("too_short", "missing"):
        return "Refuse to create task instance in DB."
    return "Input data invalid."


def _rule(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return "must be a JSON object"
    return str(fault["msg"]).removeprefix("Value error, ")
