"""The rules of the circuit, as functions of values: a state, a moment and an event make the next state.

```text
          a push failed, nobody else's passed meanwhile
 CLOSED ────────────────────────────────────────────────> OPEN <──┐ the probe failed
   ^                                                       │ └────┘
   │ 5 s without a failure                                 │ the probe passed
   └────────────────────────── RAMPING <───────────────────┘
                                  │ a push failed: OPEN again, with the back-off continued
```

A push is known by the moment it began. What began before the present phase says nothing about it: hundred pushes that
hang for 20 s and fail together are one failure, and one that was frozen for an hour is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random

from shipper.pipeline.backoff import Backoff

BACKOFF = Backoff(first_seconds=0.5, max_seconds=10.0)
"""When the next probe is due. The first ceiling is small, so that a single failure stops nobody for long; the last may
be small too, because one worker probes for all of them."""

LONGEST_WAIT_SECONDS = 300.0
"""The most that a Retry-After is heeded: what asks for more is taken for a mistake, and probed."""

PROBE_COUNTS_SECONDS = 5.0
"""How long a probe keeps the others away: a process that is frozen or killed while it probes must not do so for ever.

A probe may take longer, up to the sink's own time limits; then a second one begins beside it.
"""

RAMP_STEP_SECONDS = 0.5
"""How often the number of pushes at the same time doubles while ramping, from one on."""

RAMP_SECONDS = 5.0
"""How long ramping lasts: ten doublings, 1024 pushes at the same time."""

SPREAD_SECONDS = 0.1
"""Within how much time those that wait for the same moment look again."""

LOOK_AGAIN_SECONDS = 1.0
"""The longest before the others look whether the probe has ended; a hundred workers then look 200 times a second."""

NEVER_NOW = 0.1
"""The shortest of a drawn wait, as a part of the longest, since a wait of 0 means to push."""

SKEW_SECONDS = 1.0
"""A phase that begins later than this from now was written before the machine was started again."""


class Phase(IntEnum):
    """What pushes the circuit lets through."""

    CLOSED = 0
    """All of them."""

    OPEN = 1
    """None before a moment, then one: the probe."""

    RAMPING = 2
    """Some at the same time, and more every half second."""


@dataclass(frozen=True, slots=True)
class State:
    """What all workers know of a destination; numbers only, so that it can be shared as eight bytes each.

    Attributes:
        phase: A `Phase`.
        since_seconds: When the phase began, on the monotonic clock; the next two are too.
        probe_at_seconds: OPEN: nobody pushes before.
        probe_until_seconds: OPEN: how long the probe under way counts; in the past when there is none.
        failures: Failures in a row, for the back-off; go on counting while ramping.
        pushing: RAMPING: how many pushes are under way.
    """

    phase: float = Phase.CLOSED
    since_seconds: float = 0.0
    probe_at_seconds: float = 0.0
    probe_until_seconds: float = 0.0
    failures: float = 0.0
    pushing: float = 0.0


def credible(state: State, now: float) -> State:
    """Return the state, or a fresh one for what only another boot or a damaged file can have written."""
    begun = state.since_seconds <= now + SKEW_SECONDS
    near = state.probe_at_seconds <= now + LONGEST_WAIT_SECONDS + SKEW_SECONDS
    return state if begun and near else State()


def admit(state: State, now: float, random: Random) -> tuple[State, float]:
    """Let a worker push, or say how long it is to wait before it asks again.

    Returns:
        The state with the worker's push in it, and 0; or the state as it was, and seconds above 0.
    """
    match state.phase:
        case Phase.OPEN:
            return _admit_probe(state, now, random)
        case Phase.RAMPING:
            return _admit_to_ramp(state, now, random)
    return state, 0.0


def passed(state: State, now: float, *, began_seconds: float) -> State:
    """Return what becomes of the state when a push passed that began at a moment."""
    if began_seconds < state.since_seconds:
        return state
    match state.phase:
        case Phase.OPEN:
            return State(Phase.RAMPING, since_seconds=now, failures=state.failures)
        case Phase.RAMPING:
            return _one_less(state)
    return state


def failed(
    state: State,
    now: float,
    random: Random,
    *,
    began_seconds: float,
    last_passed_seconds: float,
    retry_after_seconds: float | None,
) -> State:
    """Return what becomes of the state when the destination did not take a push, for no fault of the push.

    Args:
        state: The state before.
        now: The moment, on the monotonic clock.
        random: Draws the moment of the next probe.
        began_seconds: When the push began.
        last_passed_seconds: When anybody's push passed last.
        retry_after_seconds: How long the far end asked everybody to wait; `None` when it did not.
    """
    asked_seconds = min(retry_after_seconds or 0.0, LONGEST_WAIT_SECONDS)
    if began_seconds < state.since_seconds:
        if state.phase != Phase.OPEN:
            return state
        # One of those that were under way when the circuit opened: only what it was asked is news.
        probe_at = max(state.probe_at_seconds, now + asked_seconds)
        return replace(state, probe_at_seconds=probe_at) if asked_seconds else state
    if state.phase == Phase.CLOSED and last_passed_seconds > began_seconds and not asked_seconds:
        return state
    failures = state.failures + 1
    wait_seconds = max(asked_seconds, BACKOFF.wait_seconds(round(failures), random))
    since = state.since_seconds if state.phase == Phase.OPEN else now
    return State(Phase.OPEN, since, probe_at_seconds=now + wait_seconds, failures=failures)


def let_go(state: State, *, began_seconds: float) -> State:
    """Return what becomes of the state when a push ended that says nothing about the destination."""
    if began_seconds < state.since_seconds:
        return state
    match state.phase:
        case Phase.OPEN if state.probe_until_seconds == began_seconds + PROBE_COUNTS_SECONDS:
            return replace(state, probe_until_seconds=0.0)
        case Phase.RAMPING:
            return _one_less(state)
    return state


def _admit_probe(state: State, now: float, random: Random) -> tuple[State, float]:
    if now < state.probe_at_seconds:
        return state, state.probe_at_seconds - now + _drawn(SPREAD_SECONDS, random)
    if now < state.probe_until_seconds:
        return state, _drawn(LOOK_AGAIN_SECONDS, random)
    return replace(state, probe_until_seconds=now + PROBE_COUNTS_SECONDS), 0.0


def _admit_to_ramp(state: State, now: float, random: Random) -> tuple[State, float]:
    ramped_seconds = max(0.0, now - state.since_seconds)
    if ramped_seconds >= RAMP_SECONDS:
        return State(Phase.CLOSED, since_seconds=now), 0.0
    if state.pushing < 2.0 ** (ramped_seconds // RAMP_STEP_SECONDS):
        return replace(state, pushing=state.pushing + 1), 0.0
    return state, _drawn(RAMP_STEP_SECONDS, random)


def _one_less(state: State) -> State:
    return replace(state, pushing=max(0.0, state.pushing - 1))


def _drawn(longest_seconds: float, random: Random) -> float:
    return random.uniform(NEVER_NOW * longest_seconds, longest_seconds)
