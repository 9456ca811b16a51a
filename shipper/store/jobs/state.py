"""What becomes of jobs: rules without a database, for one job, for a process, for a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

Status = Literal["RUNNING", "DONE", "FAILED"]

WELL = frozenset({"DONE", "FINISHED"})
"""Classes of events that say that a job has done its work."""

OUTCOMES: dict[str | None, Status] = {
    "DONE": "DONE",
    "FINISHED": "DONE",
    "TERMINATED": "DONE",
    "FAILED": "FAILED",
}
"""Classes of events that end a job; all others leave it running."""

KNOWN_CLASSES = frozenset(
    {"SUBMITTED", "STARTED", "READY", "PROGRESS", "BEAT", *WELL, "TERMINATED", "FAILED"}
)
"""The vocabulary that is usual; any other word is as welcome."""

COMPLETE_PERCENT = 100


@dataclass(frozen=True, slots=True)
class JobState:
    """What the events of one job come to.

    Attributes:
        events: How many there are.
        last_event_id: The id of the newest one.
        last_event_class: Its class.
        last_at: When it was received, UTC.
        outcome: `DONE` or `FAILED`, as the newest event that ends a job says; `None` while there is none.
        has_done: Whether any event said that the work is done.
        progress: The largest progress that any event carried; 0 when none did.
        latest_progress: What the newest event with progress carried.
    """

    events: int = 0
    last_event_id: int = 0
    last_event_class: str | None = None
    last_at: datetime | None = None
    outcome: Status | None = None
    has_done: bool = False
    progress: int = 0
    latest_progress: int = 0

    @property
    def status(self) -> Status | None:
        """Whether it runs, has ended well, or has failed; `None` before its first event."""
        return self.outcome or ("RUNNING" if self.events else None)

    def after(
        self, event_id: int, event_class: str | None, at: datetime | None, progress: int | None
    ) -> JobState:
        """Return the state with one more event, the newest."""
        carried = max(0, progress or 0)
        return replace(
            self,
            events=self.events + 1,
            last_event_id=event_id,
            last_event_class=event_class,
            last_at=at,
            outcome=OUTCOMES.get(event_class, self.outcome),
            has_done=self.has_done or event_class in WELL,
            progress=max(self.progress, carried),
            latest_progress=carried or self.latest_progress,
        )


@dataclass(frozen=True, slots=True)
class Sums:
    """What the jobs of one process add up to.

    Attributes:
        jobs: How many it has; 1 when it is solitary.
        tolerated: How many may fail.
        threshold: How many done jobs, or how much progress, is enough; `None` when nothing is said.
        is_array: Whether it is an array.
        begun: How many jobs have an event.
        ended: How many have ended well.
        failed: How many have failed.
        done: How many had an event that says done.
        progress: The sum of their progress, of each the largest; of a solitary job the newest.
        done_silently: What jobs that are done lack to 100, added up.
    """

    jobs: int
    tolerated: int
    threshold: int | None
    is_array: bool
    begun: int = 0
    ended: int = 0
    failed: int = 0
    done: int = 0
    progress: int = 0
    done_silently: int = 0

    @property
    def running(self) -> int:
        """How many jobs run."""
        return self.begun - self.ended - self.failed

    @property
    def pending(self) -> int:
        """How many jobs have no event yet."""
        return max(0, self.jobs - self.begun)


def percent(sums: Sums) -> int:
    """Return how far a process is, in percent, rounded down; jobs that do not stop at once can bring it beyond 100.

    | threshold | events carry progress | progress of the process |
    | --- | --- | --- |
    | none | no | share of jobs that are done |
    | none | yes, percent | mean over all jobs; one that is done counts 100 |
    | T | no | done jobs / T |
    | T | yes, in any unit | sum over all jobs / T |

    The fifth case is the fourth with one job: its progress is that of its newest event.
    """
    if sums.threshold and sums.threshold > 0:
        reached = sums.progress or sums.done
        return COMPLETE_PERCENT * reached // sums.threshold
    # The old facility took arrays of no jobs, and of fewer.
    jobs = max(1, sums.jobs)
    if sums.progress:
        return (sums.progress + sums.done_silently) // jobs
    return COMPLETE_PERCENT * sums.done // jobs


def enough(sums: Sums) -> bool:
    """Tell whether a threshold is reached, so that no more is needed."""
    return bool(sums.threshold) and percent(sums) >= COMPLETE_PERCENT


def process_status(sums: Sums) -> Status | None:
    """Return the status of a process; `None` before its first event."""
    if not sums.begun:
        return None
    if sums.failed > sums.tolerated:
        return "FAILED"
    if enough(sums) or sums.ended + sums.failed >= sums.jobs:
        return "DONE"
    return "RUNNING"


def task_status(statuses: Sequence[Status | None]) -> Status | None:
    """Return the status of a task from those of its processes; `None` before the first event of any."""
    if "FAILED" in statuses:
        return "FAILED"
    if statuses and all(status == "DONE" for status in statuses):
        return "DONE"
    return "RUNNING" if any(statuses) else None


def task_percent(percents: Sequence[int]) -> int | None:
    """Return how far a task is: the mean of its processes, none of which counts more than 100."""
    if not percents:
        return None
    return sum(min(each, COMPLETE_PERCENT) for each in percents) // len(percents)
