from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shipper.store.jobs.state import (
    JobState,
    Status,
    Sums,
    enough,
    percent,
    process_status,
    task_percent,
    task_status,
)

AT = datetime(2026, 12, 1, tzinfo=UTC)


def array(jobs: int = 10, *, tolerated: int = 0, threshold: int | None = None) -> Sums:
    return Sums(jobs=jobs, tolerated=tolerated, threshold=threshold, is_array=True)


def after(*events: tuple[str | None, int]) -> JobState:
    state = JobState()
    for number, (event_class, progress) in enumerate(events, 1):
        state = state.after(number, event_class, AT, progress)
    return state


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        pytest.param(array(), 0, id="nothing yet"),
        pytest.param(replace(array(4), done=2), 50, id="case 1: share of done jobs"),
        pytest.param(replace(array(3), done=1), 33, id="case 1: rounded down"),
        pytest.param(replace(array(), progress=120), 12, id="case 2: percentages over all jobs"),
        pytest.param(
            replace(array(4), progress=50, done=2, done_silently=200),
            62,
            id="case 2: a job that is done counts 100",
        ),
        pytest.param(
            replace(array(4, threshold=2), done=1), 50, id="case 3: done against threshold"
        ),
        pytest.param(array(0), 0, id="no jobs, as the old facility let them be"),
        pytest.param(array(threshold=-1), 0, id="a threshold below nothing, likewise"),
        pytest.param(replace(array(4, threshold=2), done=3), 150, id="case 3: beyond 100"),
        pytest.param(replace(array(4, threshold=2), progress=3), 150, id="case 4: sum against it"),
        pytest.param(
            Sums(jobs=1, tolerated=0, threshold=50, is_array=False, progress=20),
            40,
            id="case 5: alone against it",
        ),
        pytest.param(
            Sums(jobs=1, tolerated=0, threshold=None, is_array=False, done=1), 100, id="alone, done"
        ),
    ],
)
def test_progress_is_told_in_percent(sums: Sums, expected: int) -> None:
    assert percent(sums) == expected


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        pytest.param(replace(array(2), done=2), False, id="no threshold"),
        pytest.param(replace(array(4, threshold=2), done=1), False, id="not reached"),
        pytest.param(replace(array(4, threshold=2), done=2), True, id="reached by jobs"),
        pytest.param(replace(array(4, threshold=9), progress=9), True, id="reached by progress"),
    ],
)
def test_it_is_enough_when_a_threshold_is_reached(sums: Sums, expected: bool) -> None:
    assert enough(sums) is expected


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        pytest.param(array(), None, id="before the first event"),
        pytest.param(replace(array(), begun=1), "RUNNING", id="one has begun"),
        pytest.param(replace(array(2), begun=1, ended=1), "RUNNING", id="one is pending"),
        pytest.param(replace(array(2), begun=2, ended=2), "DONE", id="all have ended"),
        pytest.param(replace(array(2), begun=1, failed=1), "FAILED", id="none may fail"),
        pytest.param(
            replace(array(2, tolerated=1), begun=2, failed=1, ended=1), "DONE", id="one may fail"
        ),
        pytest.param(
            replace(array(3, tolerated=1), begun=2, failed=2), "FAILED", id="one failed too many"
        ),
        pytest.param(
            replace(array(4, threshold=1), begun=2, ended=1, done=1), "DONE", id="enough is done"
        ),
    ],
)
def test_the_status_of_a_process_follows_from_its_jobs(sums: Sums, expected: Status | None) -> None:
    assert process_status(sums) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), None),
        ((None, None), None),
        (("DONE", None), "RUNNING"),
        (("DONE", "RUNNING"), "RUNNING"),
        (("DONE", "DONE"), "DONE"),
        (("DONE", "FAILED", None), "FAILED"),
    ],
    ids=str,
)
def test_the_status_of_a_task_follows_from_its_processes(
    statuses: Sequence[Status | None], expected: Status | None
) -> None:
    assert task_status(statuses) == expected


def test_the_progress_of_a_task_is_the_mean_of_its_processes_none_beyond_100() -> None:
    assert task_percent([150, 50]) == 75
    assert task_percent([]) is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(after(), None, id="none"),
        pytest.param(after(("STARTED", 0)), "RUNNING", id="started"),
        pytest.param(after((None, 0)), "RUNNING", id="without a class"),
        pytest.param(after(("FINISHED", 0)), "DONE", id="finished"),
        pytest.param(after(("TERMINATED", 0), ("BEAT", 0)), "DONE", id="a late beat"),
        pytest.param(after(("FAILED", 0), ("STARTED", 0)), "FAILED", id="started again"),
        pytest.param(after(("FAILED", 0), ("DONE", 0)), "DONE", id="done after all"),
    ],
)
def test_the_status_of_a_job_is_what_its_newest_ending_says(
    state: JobState, expected: Status | None
) -> None:
    assert state.status == expected


def test_a_job_remembers_its_largest_progress_and_its_newest() -> None:
    state = after(("PROGRESS", 40), ("PROGRESS", 30), ("BEAT", 0))

    assert (state.progress, state.latest_progress) == (40, 30)
    assert (state.events, state.last_event_class, state.last_event_id) == (3, "BEAT", 3)


def test_progress_below_nothing_is_none() -> None:
    state = after(("PROGRESS", 40), ("PROGRESS", -1))

    assert (state.progress, state.latest_progress) == (40, 40)


def test_a_job_that_was_terminated_is_over_and_not_done() -> None:
    state = after(("TERMINATED", 0))

    assert (state.status, state.has_done) == ("DONE", False)
