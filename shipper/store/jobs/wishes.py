"""What clients of jobs want to be written: values that were looked at already, with times in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewProcess:
    """A process of a task that is made or replaced.

    Attributes:
        name: Its name.
        jobs: How many jobs an array has; `None` for a solitary process.
        tolerated: How many of them may fail; `None` when nothing is said.
        threshold: How many done jobs, or how much progress, is enough.
    """

    name: str
    jobs: int | None = None
    tolerated: int | None = None
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that is made or replaced.

    Attributes:
        name: Its name.
        processes: Its processes, at least one.
        submitted_at: When it came.
        client_ip: From where.
        hostname: The host that its sender named.
        tags: Words to find it by.
    """

    name: str
    processes: Sequence[NewProcess]
    submitted_at: datetime
    client_ip: str | None = None
    hostname: str | None = None
    tags: Sequence[str] = ()
    username: str | None = None
    email_notify: str | None = None
    comment: str | None = None
    dep_graph: str | None = None
    config: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that is added, or put in the place of another.

    Attributes:
        task: The task's name.
        process: The process's name.
        index: The job of an array; `None` for a solitary process.
        received_at: When it came.
        sent_at: When its sender says that it was sent.
        hostname: The host that its sender named.
        client_ip: From where it came.
    """

    task: str
    process: str
    index: int | None
    received_at: datetime
    event_class: str | None = None
    progress: int = 0
    payload: str | None = None
    sent_at: datetime | None = None
    hostname: str | None = None
    client_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a wish.

    Attributes:
        keep_going: Whether more work is needed; False once a threshold is reached.
    """

    keep_going: bool = True
