"""The life of a worker as rules: values in, values out; no process, no clock, no chance.

```text
WAITING --its time has come--> STARTING --first beat--> RUNNING
   ^                              |                        |
   +---- died or hung: back-off --+------------------------+
   +---- died too often, or refused for good --> FAILED
   +---- came to its end, as ordered ----------> ENDED
```
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from enum import StrEnum

REFUSED_EXIT_CODE = 5
"""A worker ends with this code when it can never work here; it is not started again."""

ENDED_EXIT_CODE = 6
"""A worker ends with this code when its source came to its end, as ordered; it is not started again."""


class Phase(StrEnum):
    """Where a worker is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    ENDED = "ended"

    @property
    def is_final(self) -> bool:
        """Whether a worker in this phase is not started again by itself."""
        return self in (Phase.FAILED, Phase.ENDED)


class Step(StrEnum):
    """What the supervisor should do about a worker now."""

    NOTHING = "nothing"
    START = "start"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again and when to stop trying.

    Attributes:
        first_wait_seconds: The wait after the first failure; it doubles from there.
        max_wait_seconds: The longest wait.
        start_seconds: How long a new process may take to its first beat.
        silent_seconds: How long a worker may go without a beat while it is not polling; it beats every 5 s.
        stable_seconds: A process that lived so long is forgiven what its predecessors did.
        max_crashes: After so many crashes in a row a worker is given up. A hang is the far end's fault and is
            never counted.
    """

    first_wait_seconds: float = 0.5
    max_wait_seconds: float = 30.0
    start_seconds: float = 60.0
    silent_seconds: float = 30.0
    stable_seconds: float = 120.0
    max_crashes: int = 10

    def wait_seconds(self, failures: int, jitter: float) -> float:
        """Return the wait after `failures` in a row; `jitter` is between 0 and 1 and spreads the upper half."""
        ceiling = min(self.max_wait_seconds, self.first_wait_seconds * 2.0 ** min(failures - 1, 30))
        return ceiling * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Worker:
    """What the supervisor remembers of one worker.

    Attributes:
        phase: Where it is in its life.
        due_seconds: When a waiting worker is to be started, on the monotonic clock.
        started_seconds: When its newest process was started.
        failures: Ends in a row, hangs included; a poll that ends, or a long life, forgives them.
        crashes: Crashes in a row; a poll that ends, or a long life, forgives them.
        restarts: How often it was started again.
        reason: Why it last ended; empty while nothing happened.
    """

    phase: Phase = Phase.WAITING
    due_seconds: float = 0.0
    started_seconds: float = 0.0
    failures: int = 0
    crashes: int = 0
    restarts: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a worker's process at one moment, times on the monotonic clock.

    Attributes:
        now_seconds: The moment.
        exit_code: How it ended; `None` while it lives.
        beat_seconds: Its newest sign of life; 0 before the first.
        poll_began_seconds: Since when it is polling; 0 while it is not.
        polls: How many polls it finished.
    """

    now_seconds: float
    exit_code: int | None
    beat_seconds: float
    poll_began_seconds: float
    polls: int


def started(worker: Worker, now_seconds: float) -> Worker:
    """Return the worker just after its process was started."""
    again = 1 if worker.started_seconds else 0
    return replace(
        worker,
        phase=Phase.STARTING,
        started_seconds=now_seconds,
        restarts=worker.restarts + again,
    )


def afresh(worker: Worker, reason: str) -> Worker:
    """Return the worker as if nothing had happened but its restarts, due at once."""
    return Worker(restarts=worker.restarts, reason=reason)


def observe(worker: Worker, sight: Sight, policy: Policy) -> Worker:
    """Return the worker as the sight of its living process makes it."""
    if worker.phase is Phase.STARTING and sight.beat_seconds > 0:
        worker = replace(worker, phase=Phase.RUNNING)
    stable = sight.now_seconds - worker.started_seconds > policy.stable_seconds
    if worker.failures and (sight.polls > 0 or stable):
        worker = replace(worker, failures=0, crashes=0)
    return worker


def next_step(worker: Worker, sight: Sight, *, timeout_seconds: float, policy: Policy) -> Step:
    """Return what to do about a worker whose process lives, or that waits to be started."""
    match worker.phase:
        case Phase.WAITING if sight.now_seconds >= worker.due_seconds:
            return Step.START
        case Phase.STARTING if sight.now_seconds - worker.started_seconds > policy.start_seconds:
            return Step.KILL
        case Phase.RUNNING if overdue(sight, timeout_seconds) or silent(sight, policy):
            return Step.KILL
        case _:
            return Step.NOTHING


def overdue(sight: Sight, timeout_seconds: float) -> bool:
    """Tell whether a poll has been running for longer than it may."""
    began = sight.poll_began_seconds
    return began > 0 and sight.now_seconds - began > timeout_seconds


def silent(sight: Sight, policy: Policy) -> bool:
    """Tell whether a worker that is not polling has stopped to beat: it is frozen."""
    return sight.poll_began_seconds == 0 and (
        sight.now_seconds - sight.beat_seconds > policy.silent_seconds
    )


def hung(worker: Worker, now_seconds: float, *, jitter: float, policy: Policy) -> Worker:
    """Return the worker after it was killed because it hung."""
    failures = worker.failures + 1
    return replace(
        worker,
        phase=Phase.WAITING,
        due_seconds=now_seconds + policy.wait_seconds(failures, jitter),
        failures=failures,
        reason="hung: it did not finish in time and was killed",
    )


def died(
    worker: Worker, exit_code: int, now_seconds: float, *, jitter: float, policy: Policy
) -> Worker:
    """Return the worker after its process ended by itself."""
    if exit_code == REFUSED_EXIT_CODE:
        return replace(worker, phase=Phase.FAILED, reason="it can never work here; see the log")
    if exit_code == ENDED_EXIT_CODE:
        return replace(worker, phase=Phase.ENDED, reason="came to its end, as it was ordered")
    how = (
        f"killed by {_signal(-exit_code)}" if exit_code < 0 else f"ended with exit code {exit_code}"
    )
    failures, crashes = worker.failures + 1, worker.crashes + 1
    if crashes >= policy.max_crashes:
        return replace(
            worker, phase=Phase.FAILED, reason=f"given up after {crashes} crashes: {how}"
        )
    return replace(
        worker,
        phase=Phase.WAITING,
        due_seconds=now_seconds + policy.wait_seconds(failures, jitter),
        failures=failures,
        crashes=crashes,
        reason=how,
    )


def _signal(number: int) -> str:
    """Return a signal's name, like `SIGKILL`; the kernel sends that one when memory runs out."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
