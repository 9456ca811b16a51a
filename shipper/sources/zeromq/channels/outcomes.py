"""How jobs and tasks ended, each counted once: values in, values out.

A worker ends every attempt with FINISHED, also behind FAILED. The broker ends a job with FAILED alone, and gives one
whose worker died to another: then ABORTED comes, and the same channel begins again.
"""

from __future__ import annotations

from enum import StrEnum

FINISHED_COMMAND = "FINISHED"
FIRST_COMMAND = "DOWNLOADED"

OTHER_STATE = "other"
TASK_STATES = frozenset({"COMPLETED", "FAILED", "SKIPPED"})


class Outcome(StrEnum):
    """How an attempt at a job ended; `OPEN` while it has not."""

    OPEN = ""
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"


_ENDS = {
    FINISHED_COMMAND: Outcome.FINISHED,
    "FAILED": Outcome.FAILED,
    "ABORTED": Outcome.ABORTED,
}


def after(before: Outcome, command: str) -> tuple[Outcome, bool]:
    """Return how the attempt has ended once this command came, and whether that is to be counted now.

    Args:
        before: How it had ended before.
        command: What came.
    """
    end = _ENDS.get(command)
    if end is None:
        begins_again = command == FIRST_COMMAND or before is Outcome.ABORTED
        return (Outcome.OPEN if begins_again else before), False
    if end is Outcome.FINISHED and before is not Outcome.OPEN:
        # It only closes the stream of an attempt whose end was told.
        return before, False
    return end, end is not before


def task_state(told: str) -> str:
    """Return the state of a task as it is counted; what ReCodEx does not know is `other`, so that there are few."""
    return told if told in TASK_STATES else OTHER_STATE
