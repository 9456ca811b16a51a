"""Why a wish about jobs is not fulfilled, for whoever made it."""

from __future__ import annotations

from typing import Literal

Kind = Literal["wrong", "missing", "conflict"]


class JobsRefusal(Exception):
    """A mistake of a client; nothing was changed.

    Attributes:
        kind: Whether the wish is wrong, is about something that is not there, or about what is there already.
        reason: One sentence.
        details: More about it, as JSON can carry it.
    """

    def __init__(self, kind: Kind, reason: str, details: object = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.details = details


def no_task(name: str) -> JobsRefusal:
    """Return the refusal for a task that is not there."""
    return JobsRefusal("missing", f"No task named {name} exists.", {"task": name})


def no_process(task: str, process: str) -> JobsRefusal:
    """Return the refusal for a process that is not there."""
    return JobsRefusal("missing", "Process not found.", {"task": task, "process": process})
