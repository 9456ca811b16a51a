"""The life of a worker, with plain numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.supervise.lifecycle import (
    ENDED_EXIT_CODE,
    REFUSED_EXIT_CODE,
    Phase,
    Policy,
    Sight,
    Step,
    Worker,
    afresh,
    died,
    hung,
    next_step,
    observe,
    overdue,
    started,
)

POLICY = Policy(
    first_wait_seconds=1,
    max_wait_seconds=8,
    start_seconds=60,
    stable_seconds=120,
    max_crashes=3,
)


def sight(
    now_seconds: float, *, beat: float = 0.0, poll_began: float = 0.0, polls: int = 0
) -> Sight:
    return Sight(now_seconds, None, beat, poll_began, polls)


def died_at(worker: Worker, now_seconds: float, exit_code: int = 1) -> Worker:
    return died(worker, exit_code, now_seconds, jitter=1, policy=POLICY)


@pytest.mark.parametrize(
    ("worker", "seen", "step"),
    [
        pytest.param(Worker(), sight(0.0), Step.START, id="new"),
        pytest.param(Worker(due_seconds=10), sight(9.9), Step.NOTHING, id="waiting, not yet"),
        pytest.param(Worker(due_seconds=10), sight(10), Step.START, id="waiting, its time came"),
        pytest.param(
            Worker(Phase.STARTING, started_seconds=10), sight(70), Step.NOTHING, id="starting"
        ),
        pytest.param(
            Worker(Phase.STARTING, started_seconds=10),
            sight(70.1),
            Step.KILL,
            id="starting for too long",
        ),
        pytest.param(
            Worker(Phase.RUNNING), sight(1000, beat=971), Step.NOTHING, id="running, not polling"
        ),
        pytest.param(
            Worker(Phase.RUNNING), sight(1000, beat=969), Step.KILL, id="frozen between two polls"
        ),
        pytest.param(
            Worker(Phase.RUNNING), sight(40, poll_began=10), Step.NOTHING, id="poll just in time"
        ),
        pytest.param(
            Worker(Phase.RUNNING), sight(40.1, poll_began=10), Step.KILL, id="poll too long"
        ),
        pytest.param(Worker(Phase.FAILED), sight(1000, poll_began=1), Step.NOTHING, id="given up"),
    ],
)
def test_the_phase_and_what_is_seen_say_what_to_do(worker: Worker, seen: Sight, step: Step) -> None:
    assert next_step(worker, seen, timeout_seconds=30, policy=POLICY) is step


def test_a_started_worker_is_starting() -> None:
    worker = started(Worker(), 5)

    assert (worker.phase, worker.started_seconds, worker.restarts) == (Phase.STARTING, 5, 0)


def test_only_later_starts_are_restarts() -> None:
    worker = started(started(started(Worker(), 5), 6), 7)

    assert worker.restarts == 2


def test_a_worker_that_starts_afresh_is_due_at_once_and_forgiven_but_counts_its_restarts_on() -> (
    None
):
    worker = Worker(Phase.FAILED, 90, 80, failures=3, crashes=3, restarts=2, reason="given up")

    assert afresh(worker, "stopped by a reload") == Worker(restarts=2, reason="stopped by a reload")
    assert next_step(afresh(worker, ""), sight(91), timeout_seconds=9, policy=POLICY) is Step.START


def test_starting_afresh_is_no_restart() -> None:
    worker = started(afresh(started(Worker(), 5), ""), 6)

    assert worker.restarts == 0


@pytest.mark.parametrize(("beat", "phase"), [(0, Phase.STARTING), (6, Phase.RUNNING)])
def test_the_first_beat_makes_a_worker_run(beat: float, phase: Phase) -> None:
    worker = observe(started(Worker(), 5), sight(7, beat=beat), POLICY)

    assert worker.phase is phase


@pytest.mark.parametrize(
    ("seen", "failures"),
    [
        pytest.param(sight(125, beat=6), 2, id="young and without a poll"),
        pytest.param(sight(6, beat=6, polls=1), 0, id="a poll ended"),
        pytest.param(sight(125.1, beat=6), 0, id="a long life"),
    ],
)
def test_a_poll_that_ended_or_a_long_life_forgives_failures(seen: Sight, failures: int) -> None:
    worker = Worker(Phase.RUNNING, started_seconds=5, failures=2, crashes=failures)
    worker = observe(worker, seen, POLICY)

    assert (worker.failures, worker.crashes) == (failures, failures)


def test_a_worker_in_good_health_does_not_change() -> None:
    worker = Worker(Phase.RUNNING, started_seconds=5)

    assert observe(worker, sight(1000, beat=999, polls=9), POLICY) == worker


@pytest.mark.parametrize(
    ("began", "now", "late"), [(0, 1000, False), (10, 40, False), (10, 40.1, True)]
)
def test_a_poll_is_overdue_after_its_deadline(began: float, now: float, late: bool) -> None:
    assert overdue(sight(now, poll_began=began), 30) is late


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        (1, "ended with exit code 1"),
        (0, "ended with exit code 0"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
    ],
)
def test_a_worker_that_died_waits_and_says_how(exit_code: int, reason: str) -> None:
    worker = died_at(Worker(Phase.RUNNING), 100, exit_code)

    assert (worker.phase, worker.due_seconds, worker.reason) == (Phase.WAITING, 101, reason)
    assert (worker.failures, worker.crashes) == (1, 1)


def test_a_worker_that_can_never_work_is_given_up_at_once() -> None:
    worker = died_at(Worker(Phase.RUNNING), 100, REFUSED_EXIT_CODE)

    assert (worker.phase, worker.reason) == (Phase.FAILED, "it can never work here; see the log")


def test_a_worker_that_came_to_its_end_is_not_started_again_and_was_not_given_up() -> None:
    worker = died_at(Worker(Phase.RUNNING), 100, ENDED_EXIT_CODE)

    assert (worker.phase, worker.crashes) == (Phase.ENDED, 0)
    assert next_step(worker, sight(10**6), timeout_seconds=9, policy=POLICY) is Step.NOTHING


def test_after_too_many_crashes_in_a_row_a_worker_is_given_up() -> None:
    worker = Worker()
    phases = []
    for _ in range(3):
        worker = died_at(worker, 100)
        phases.append(worker.phase)

    assert phases == [Phase.WAITING, Phase.WAITING, Phase.FAILED]
    assert worker.reason == "given up after 3 crashes: ended with exit code 1"


def test_hangs_never_give_a_worker_up() -> None:
    worker = Worker()
    for _ in range(100):
        worker = hung(worker, 100, jitter=1, policy=POLICY)

    assert (worker.phase, worker.failures, worker.crashes) == (Phase.WAITING, 100, 0)
    assert worker.due_seconds == 108


def test_hangs_between_do_not_count_as_crashes() -> None:
    worker = died_at(died_at(Worker(), 100), 100)
    worker = hung(worker, 100, jitter=1, policy=POLICY)

    assert (worker.phase, worker.failures, worker.crashes) == (Phase.WAITING, 3, 2)


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [(1, 1, 1), (2, 1, 2), (3, 1, 4), (4, 1, 8), (5, 1, 8), (10_000, 1, 8), (3, 0, 2), (3, 0.5, 3)],
)
def test_the_wait_doubles_up_to_the_longest_and_half_of_it_is_jitter(
    failures: int, jitter: float, seconds: float
) -> None:
    assert POLICY.wait_seconds(failures, jitter) == seconds


@given(failures=st.integers(1, 10**6), jitter=st.floats(0, 1))
def test_a_wait_is_bounded_at_both_ends(failures: int, jitter: float) -> None:
    assert 0.5 <= POLICY.wait_seconds(failures, jitter) <= 8


@given(
    events=st.lists(
        st.sampled_from(["start", "beat", "poll", "hang", "crash", "refuse"]), max_size=40
    )
)
def test_a_failed_worker_stays_failed_and_restarts_never_go_back(events: list[str]) -> None:
    worker = Worker()
    now = 1.0
    for event in events:
        now += 1
        before = worker
        match event:
            case "start" if (
                next_step(worker, sight(now + 99), timeout_seconds=9, policy=POLICY) is Step.START
            ):
                worker = started(worker, now)
            case "beat" if worker.phase is Phase.STARTING:
                worker = observe(worker, sight(now, beat=now), POLICY)
            case "poll" if worker.phase is Phase.RUNNING:
                worker = observe(worker, sight(now, beat=now, polls=1), POLICY)
            case "hang" if worker.phase is Phase.RUNNING:
                worker = hung(worker, now, jitter=0.5, policy=POLICY)
            case "crash" if worker.phase in (Phase.STARTING, Phase.RUNNING):
                worker = died_at(worker, now)
            case "refuse" if worker.phase in (Phase.STARTING, Phase.RUNNING):
                worker = died_at(worker, now, REFUSED_EXIT_CODE)

        assert worker.restarts >= before.restarts
        assert worker.crashes <= worker.failures
        assert before.phase is not Phase.FAILED or worker == replace(before)
