"""What clients send: bodies and queries, as they are checked and as the OpenAPI document shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from shipper.store.jobs.tables import NAME_CHARACTERS
from shipper.store.jobs.views import MOST_ENTRIES, EventOrder, TaskOrder
from shipper.store.jobs.wishes import NewEvent, NewProcess, NewTask

LARGEST = 2**31 - 1
LARGEST_ID = 2**63 - 1
ALL = "@all"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no NUL, and nobody stores halves of characters."""
CONTROL = re.compile("[\x00-\x1f\x7f/\ud800-\udfff]")


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("has a character that no database stores")
    return text


def _name(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("has a control character or a slash")
    if text in (".", ".."):
        raise ValueError("cannot be part of an address")
    return text


def _process_name(text: str) -> str:
    if text == ALL:
        raise ValueError("is the name of all processes together")
    return _name(text)


ShortText = Annotated[str, StringConstraints(max_length=NAME_CHARACTERS), AfterValidator(_storable)]
Text = Annotated[str, AfterValidator(_storable)]
_named = StringConstraints(min_length=1, max_length=NAME_CHARACTERS)
Name = Annotated[str, _named, AfterValidator(_name)]
ProcessName = Annotated[str, _named, AfterValidator(_process_name)]
Jobs = Annotated[int, Field(ge=1, le=LARGEST)]
Tolerance = Annotated[int, Field(ge=0, le=LARGEST)]
Threshold = Annotated[int, Field(ge=1, le=LARGEST)]


class Body(BaseModel):
    """Something that is sent: strict about types, and closed to unknown keys."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class Meta(Body):
    """Who sent it, and when."""

    time: Annotated[float, Field(allow_inf_nan=False)] | str
    """When it was sent: seconds since the Unix epoch, as a number or as text."""

    host: ShortText | None = None
    """From which host."""

    @field_validator("time")
    @classmethod
    def _time_is_a_moment(cls, time: float | str) -> float | str:
        _moment(time)
        return time

    @property
    def moment(self) -> datetime:
        """When it was sent, UTC."""
        return _moment(self.time)


class SolitaryProcess(Body):
    """A process with one job."""

    type: Literal["solitary"]
    name: ProcessName
    thresholdProgress: Threshold | None = None  # noqa: N815 - the word of the interface
    """How much progress is enough."""


class ArrayProcess(Body):
    """A process with many jobs."""

    type: Literal["array"]
    name: ProcessName
    nJobs: Jobs  # noqa: N815
    """How many jobs it has; their `arrayIndex` goes from 0 to one less."""

    fTolerance: Tolerance | None = None  # noqa: N815
    """How many of them may fail, at most all."""

    thresholdProgress: Threshold | None = None  # noqa: N815
    """How many done jobs, or how much progress, is enough."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _see_that_it_can_be(self.nJobs, self.fTolerance or 0)
        return self


Short = Jobs | Annotated[list[Tolerance], Field(min_length=2, max_length=2)] | None
Listed = Annotated[SolitaryProcess | ArrayProcess, Field(discriminator="type")]


class TaskBody(Body):
    """A task with its processes."""

    processes: (
        Annotated[dict[ProcessName, Short], Field(min_length=1)]
        | Annotated[list[Listed], Field(min_length=1)]
    )
    """By name: `null` is a solitary process, 10 an array of ten jobs, [10, 2] one of which two may fail. Or a list."""

    meta: Meta | None = Field(default=None, alias="_meta")
    name: Name | None = None
    """Where the address has none."""

    username: Text | None = None
    emailNotify: Text | None = None  # noqa: N815
    comment: Text | None = None
    depGraph: Text | None = None  # noqa: N815
    config: Text | None = None
    tags: list[Annotated[ShortText, Field(min_length=1)]] | None = None
    """Words to find it by."""

    @field_validator("processes")
    @classmethod
    def _processes_can_be(
        cls, processes: dict[str, Short] | list[Listed]
    ) -> dict[str, Short] | list[Listed]:
        if isinstance(processes, list):
            names = [each.name for each in processes]
            if len(set(names)) < len(names):
                raise ValueError("two of them have the same name")
            return processes
        for short in processes.values():
            if isinstance(short, list):
                if short[0] < 1:
                    raise ValueError("an array has at least one job")
                _see_that_it_can_be(*short)
        return processes

    def task(self, name: str, received_at: datetime, client_ip: str | None) -> NewTask:
        """Return the task that is wanted."""
        return NewTask(
            name=name,
            processes=self._new_processes(),
            submitted_at=received_at,
            client_ip=client_ip,
            hostname=self.meta.host if self.meta else None,
            tags=self.tags or (),
            username=self.username,
            email_notify=self.emailNotify,
            comment=self.comment,
            dep_graph=self.depGraph,
            config=self.config,
        )

    def _new_processes(self) -> list[NewProcess]:
        if isinstance(self.processes, list):
            return [
                NewProcess(each.name, each.nJobs, each.fTolerance, each.thresholdProgress)
                if isinstance(each, ArrayProcess)
                else NewProcess(each.name, threshold=each.thresholdProgress)
                for each in self.processes
            ]
        return [
            NewProcess(name, *short) if isinstance(short, list) else NewProcess(name, short)
            for name, short in self.processes.items()
        ]


class EventBody(Body):
    """Something that happened to a job."""

    eventClass: ShortText | None = None  # noqa: N815
    """What happened, in any word; DONE, FINISHED, TERMINATED and FAILED end a job."""

    progress: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    """How far it is: in percent, or with `thresholdProgress` in any unit."""

    payload: Text | None = None
    hostname: ShortText | None = None
    """From which host; `_meta.host` says the same."""

    meta: Meta | None = Field(default=None, alias="_meta")

    def event(
        self, place: tuple[str, str], index: int | None, received_at: datetime, ip: str | None
    ) -> NewEvent:
        """Return the event that is wanted, of the task and process at `place`."""
        meta = self.meta
        return NewEvent(
            *place,
            index,
            received_at,
            event_class=self.eventClass,
            progress=self.progress or 0,
            payload=self.payload,
            sent_at=meta.moment if meta else None,
            hostname=(meta.host if meta else None) or self.hostname,
            client_ip=ip,
        )


class Query(BaseModel):
    """What stands behind the question mark; other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Index = Annotated[int, Field(ge=-LARGEST - 1, le=LARGEST)]


class JobQuery(Query):
    """Which job of an array."""

    arrayIndex: Index | None = None  # noqa: N815
    """The number of the job, from 0; only for arrays, and there it must be given."""


class ProcessQuery(Query):
    """How a process is shown."""

    asArray: ShortText | None = None  # noqa: N815
    """Has no effect; it never had."""


class ProcessesQuery(ProcessQuery):
    """Which processes."""

    hasEventsOfClass: ShortText | None = None  # noqa: N815
    """Only those that have an event of this class."""


class ListQuery(Query):
    """Which part of a list."""

    sort: Literal["asc", "desc"] | None = None
    """Up or down; `order` without it goes down."""

    limit: int | None = Field(default=None, ge=1, le=MOST_ENTRIES)
    """The most entries."""

    offset: int = Field(default=0, ge=0, le=LARGEST)
    """How many to pass over."""


class TasksQuery(ListQuery):
    """Which tasks, and what of them."""

    tags: ShortText | None = None
    """Words between commas, all of which they must have."""

    fields: ShortText | None = None
    """Names between commas: only these are told."""

    order: TaskOrder | None = None
    """By what."""


class EventsQuery(ListQuery):
    """Which events."""

    arrayIndex: Index | None = None  # noqa: N815
    """Of which job."""

    id: Annotated[int, Field(ge=0, le=LARGEST_ID)] | None = None
    eventClass: ShortText | None = None  # noqa: N815
    hostname: ShortText | None = None
    ip: ShortText | None = None
    """From which address."""

    fields: ShortText | None = None
    """Names between commas: only these are told."""

    order: EventOrder | None = None
    """By what."""


def _see_that_it_can_be(jobs: int, tolerated: int) -> None:
    if tolerated > jobs:
        raise ValueError(f"{tolerated} jobs may fail, and there are only {jobs}")


def _moment(time: float | str) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=round(Decimal(str(time).strip()) * 1_000_000))
    except (InvalidOperation, OverflowError, ValueError):
        raise ValueError("is no number of seconds since 1970") from None
