"""The circuit: when a push may begin, what its end means for everybody, and how it is shared."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shipper.pipeline.circuit import Circuit
from shipper.pipeline.circuit import circuit as shell
from shipper.pipeline.circuit.rules import (
    BACKOFF,
    LONGEST_WAIT_SECONDS,
    LOOK_AGAIN_SECONDS,
    PROBE_COUNTS_SECONDS,
    RAMP_SECONDS,
    RAMP_STEP_SECONDS,
    SPREAD_SECONDS,
    Phase,
    State,
    admit,
    credible,
    failed,
    let_go,
    passed,
)
from tests.support.clock import FakeClock, FakeRandom

NOW = 1000.0
LATEST = FakeRandom(1.0)
CLOSED = State()
OPEN = State(Phase.OPEN, since_seconds=990.0, probe_at_seconds=1002.0, failures=3)
DUE = replace(OPEN, probe_at_seconds=999.0)
RAMPING = State(Phase.RAMPING, since_seconds=NOW, failures=3)


def after_failure(state: State, **more: Any) -> State:
    random = more.pop("random", LATEST)
    given = {"began_seconds": NOW - 0.1, "last_passed_seconds": 0.0, "retry_after_seconds": None}
    return failed(state, NOW, random, **{**given, **more})


# rules: who may push


def test_everybody_pushes_while_it_is_closed() -> None:
    assert admit(CLOSED, NOW, LATEST) == (CLOSED, 0.0)


def test_nobody_pushes_before_the_probe_is_due() -> None:
    assert admit(OPEN, NOW, LATEST) == (OPEN, 2.0 + SPREAD_SECONDS)


def test_one_pushes_when_the_probe_is_due_and_the_others_look_again() -> None:
    probing, first_wait = admit(DUE, NOW, LATEST)
    after, second_wait = admit(probing, NOW + 0.1, LATEST)

    assert (first_wait, second_wait) == (0.0, LOOK_AGAIN_SECONDS)
    assert after == probing


def test_a_probe_that_does_not_end_is_followed_by_another() -> None:
    probing, _ = admit(DUE, NOW, LATEST)
    later = NOW + PROBE_COUNTS_SECONDS

    assert admit(probing, later - 0.1, LATEST)[1] > 0
    assert admit(probing, later, LATEST)[1] == 0


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "state",
    [
        pytest.param(OPEN, id="before the probe"),
        pytest.param(replace(DUE, probe_until_seconds=NOW + 1), id="while probing"),
        pytest.param(replace(RAMPING, pushing=1), id="while ramping"),
    ],
)
def test_a_wait_is_never_nothing(state: State, fraction: float) -> None:
    assert admit(state, NOW, FakeRandom(fraction))[1] > 0


@pytest.mark.parametrize(
    ("after_seconds", "allowed"), [(0.0, 1), (0.49, 1), (0.5, 2), (1.0, 4), (2.25, 16), (4.9, 512)]
)
def test_ramping_lets_twice_as_many_push_every_half_second(
    after_seconds: float, allowed: int
) -> None:
    now = NOW + after_seconds
    below = replace(RAMPING, pushing=allowed - 1)
    full = replace(RAMPING, pushing=allowed)

    assert admit(below, now, LATEST) == (full, 0.0)
    assert admit(full, now, LATEST) == (full, RAMP_STEP_SECONDS)


def test_ramping_ends_with_everybody_free_and_nothing_remembered() -> None:
    now = NOW + RAMP_SECONDS

    assert admit(replace(RAMPING, pushing=7), now, LATEST) == (State(since_seconds=now), 0.0)


# rules: what the end of a push means


def test_a_failure_opens_it_for_a_drawn_moment_of_at_most_half_a_second() -> None:
    assert after_failure(CLOSED) == State(
        Phase.OPEN, since_seconds=NOW, probe_at_seconds=NOW + 0.5, failures=1
    )
    assert after_failure(CLOSED, random=FakeRandom(0.2)).probe_at_seconds == NOW + 0.1


def test_a_failure_while_others_pass_opens_nothing() -> None:
    assert after_failure(CLOSED, last_passed_seconds=NOW - 0.05) == CLOSED


def test_a_success_before_the_push_began_does_not_excuse_its_failure() -> None:
    assert after_failure(CLOSED, last_passed_seconds=NOW - 0.2).phase == Phase.OPEN


def test_whoever_is_asked_to_wait_stops_everybody_even_while_others_pass() -> None:
    after = after_failure(CLOSED, last_passed_seconds=NOW - 0.05, retry_after_seconds=7.0)

    assert (after.phase, after.probe_at_seconds) == (Phase.OPEN, NOW + 7.0)


def test_the_waits_between_probes_grow_to_ten_seconds() -> None:
    ceilings = []
    state = CLOSED
    for _ in range(9):
        state = after_failure(state)
        ceilings.append(state.probe_at_seconds - NOW)
        state = replace(state, since_seconds=990.0)

    assert ceilings == [0.5, 1, 2, 4, 8, 10, 10, 10, 10]


def test_a_failed_probe_makes_room_for_the_next_one() -> None:
    probing, _ = admit(DUE, NOW - 0.1, LATEST)
    after = after_failure(probing, random=FakeRandom(0.0))

    assert admit(after, NOW, LATEST)[1] == 0


def test_what_was_under_way_when_it_opened_is_not_counted_again() -> None:
    assert after_failure(OPEN, began_seconds=989.0) == OPEN


def test_what_was_under_way_when_it_opened_may_still_tell_how_long_to_wait() -> None:
    after = after_failure(OPEN, began_seconds=989.0, retry_after_seconds=60.0)

    assert after == replace(OPEN, probe_at_seconds=NOW + 60.0)


@pytest.mark.parametrize("state", [RAMPING, State(since_seconds=NOW)], ids=["ramping", "closed"])
def test_a_push_from_before_an_outage_says_nothing_about_the_time_after(state: State) -> None:
    assert after_failure(state, began_seconds=NOW - 20, retry_after_seconds=5.0) == state
    assert passed(state, NOW, began_seconds=NOW - 20) == state
    assert let_go(state, began_seconds=NOW - 20) == state


def test_a_mistaken_retry_after_does_not_stop_everybody_for_a_day() -> None:
    after = after_failure(CLOSED, retry_after_seconds=86400.0)

    assert after.probe_at_seconds == NOW + LONGEST_WAIT_SECONDS


def test_a_wait_is_never_shorter_than_asked_for() -> None:
    after = after_failure(OPEN, random=FakeRandom(0.0), retry_after_seconds=3.0)

    assert after.probe_at_seconds == NOW + 3.0


def test_a_failure_while_ramping_opens_it_with_the_back_off_continued() -> None:
    after = after_failure(replace(RAMPING, since_seconds=NOW - 1, pushing=2))

    assert after == State(Phase.OPEN, since_seconds=NOW, probe_at_seconds=NOW + 4.0, failures=4)


def test_a_probe_that_passed_begins_the_ramp_with_the_failures_remembered() -> None:
    probing, _ = admit(DUE, NOW - 1, LATEST)

    assert passed(probing, NOW, began_seconds=NOW - 1) == RAMPING


def test_a_slow_probe_that_passed_counts_even_when_another_has_begun() -> None:
    first, _ = admit(DUE, NOW - 8, LATEST)
    second, _ = admit(first, NOW - 2, LATEST)

    assert passed(second, NOW, began_seconds=NOW - 8) == RAMPING


def test_a_push_that_passed_while_it_is_closed_changes_nothing() -> None:
    assert passed(CLOSED, NOW, began_seconds=NOW - 1) == CLOSED
    assert let_go(CLOSED, began_seconds=NOW - 1) == CLOSED


def test_a_push_that_passed_from_before_it_opened_does_not_end_the_wait() -> None:
    assert passed(OPEN, NOW, began_seconds=989.0) == OPEN


@pytest.mark.parametrize("end", ["passed", "let_go"])
def test_a_push_that_ended_makes_room_in_the_ramp(end: str) -> None:
    state = replace(RAMPING, pushing=2)
    later = NOW + 0.1
    after = (
        passed(state, later, began_seconds=NOW)
        if end == "passed"
        else let_go(state, began_seconds=NOW)
    )

    assert after == replace(RAMPING, pushing=1)


def test_a_probe_that_told_nothing_leaves_its_place_to_the_next() -> None:
    probing, _ = admit(DUE, NOW, LATEST)

    assert admit(let_go(probing, began_seconds=NOW), NOW + 0.1, LATEST)[1] == 0


def test_an_old_probe_that_told_nothing_does_not_end_the_present_one() -> None:
    first, _ = admit(DUE, NOW, LATEST)
    second, _ = admit(first, NOW + 6, LATEST)

    assert let_go(second, began_seconds=NOW) == second


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(replace(DUE, since_seconds=NOW + 50), id="begun in the future"),
        pytest.param(replace(OPEN, probe_at_seconds=NOW + 400), id="probe too far away"),
        pytest.param(replace(OPEN, since_seconds=float("nan")), id="no number"),
    ],
)
def test_what_was_written_before_the_machine_started_again_is_not_believed(state: State) -> None:
    assert credible(state, NOW) == State()


def test_what_others_wrote_a_moment_ago_is_believed() -> None:
    assert credible(replace(OPEN, since_seconds=NOW + 0.01), NOW).phase == Phase.OPEN


# the shared file


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "circuit" / "loki.circuit"


def circuit_on(path: Path, clock: FakeClock, fraction: float = 1.0) -> Circuit:
    return Circuit(path, clock=clock, random=FakeRandom(fraction))


def test_it_is_closed_at_first(path: Path, clock: FakeClock) -> None:
    circuit = circuit_on(path, clock)

    assert (circuit.wait_seconds(), circuit.last_passed_seconds) == (0.0, 0.0)
    assert circuit.alone_because == ""


def test_what_one_finds_out_all_know(path: Path, clock: FakeClock) -> None:
    one, other = circuit_on(path, clock), circuit_on(path, clock)
    one.wait_seconds()
    one.failed(None)

    assert other.wait_seconds() == 0.5 + SPREAD_SECONDS


def test_an_outage_is_probed_by_one_and_ends_for_all(path: Path, clock: FakeClock) -> None:
    one, other = circuit_on(path, clock), circuit_on(path, clock)
    one.wait_seconds()
    one.failed(None)
    clock.pass_seconds(1)
    assert (one.wait_seconds(), other.wait_seconds()) == (0.0, LOOK_AGAIN_SECONDS)
    one.passed()
    assert (other.wait_seconds(), one.wait_seconds()) == (0.0, RAMP_STEP_SECONDS)
    other.passed()
    clock.pass_seconds(RAMP_SECONDS)

    assert (one.wait_seconds(), other.wait_seconds()) == (0.0, 0.0)


def test_a_worker_alone_drains_at_full_speed_once_the_probe_passed(
    path: Path, clock: FakeClock
) -> None:
    circuit = circuit_on(path, clock)
    circuit.wait_seconds()
    circuit.failed(None)
    clock.pass_seconds(0.5)
    waits = []
    for _ in range(20):
        waits.append(circuit.wait_seconds())
        circuit.passed()

    assert waits == [0.0] * 20


def test_the_newest_success_of_anybody_is_known_to_all(path: Path, clock: FakeClock) -> None:
    one, other = circuit_on(path, clock), circuit_on(path, clock)
    one.wait_seconds()
    clock.pass_seconds(3)
    one.passed()

    assert other.last_passed_seconds == clock.seconds


def test_a_single_blip_makes_only_its_worker_wait_and_longer_every_time(
    path: Path, clock: FakeClock
) -> None:
    unlucky, other = circuit_on(path, clock), circuit_on(path, clock)
    waits = []
    for _ in range(3):
        assert unlucky.wait_seconds() == 0
        clock.pass_seconds(0.01)
        other.wait_seconds()
        other.passed()
        unlucky.failed(None)
        waits.append(round(unlucky.wait_seconds(), 3))
        clock.pass_seconds(waits[-1])

    assert waits == [0.5, 1, 2]
    assert other.wait_seconds() == 0


def test_a_success_ends_the_waits_of_a_worker_of_its_own(path: Path, clock: FakeClock) -> None:
    unlucky, other = circuit_on(path, clock), circuit_on(path, clock)
    unlucky.wait_seconds()
    clock.pass_seconds(0.01)
    other.passed()
    unlucky.failed(None)
    unlucky.passed()

    assert unlucky.wait_seconds() == 0


def test_only_who_opens_it_has_news_and_only_who_ends_it_has_the_outage(
    path: Path, clock: FakeClock
) -> None:
    opener, other = circuit_on(path, clock), circuit_on(path, clock)
    for each in (opener, other):
        assert each.wait_seconds() == 0
    clock.pass_seconds(1)
    first = (opener.failed(), other.failed())
    clock.pass_seconds(other.wait_seconds())
    assert other.wait_seconds() == 0
    probe = other.failed()
    clock.pass_seconds(2 * BACKOFF.max_seconds)
    assert other.wait_seconds() == 0
    outage = other.passed()

    assert (first, probe) == ((True, False), False)
    assert outage is not None
    assert outage.failures == 2
    assert outage.seconds == pytest.approx(20 + 0.5 + SPREAD_SECONDS)
    assert opener.passed() is None


def test_a_blip_of_one_worker_is_its_own_news(path: Path, clock: FakeClock) -> None:
    circuit, other = circuit_on(path, clock), circuit_on(path, clock)
    told = []
    for _ in range(2):
        clock.pass_seconds(BACKOFF.max_seconds)
        assert circuit.wait_seconds() == 0
        clock.pass_seconds(1)
        other.passed()
        told.append(circuit.failed())
    clock.pass_seconds(BACKOFF.max_seconds)
    assert circuit.wait_seconds() == 0
    outage = circuit.passed()

    assert told == [True, False]
    assert outage is not None
    assert (outage.failures, outage.seconds) == (2, 21.0)


def test_asking_again_lets_go_of_what_was_held(path: Path, clock: FakeClock) -> None:
    circuit = circuit_on(path, clock)
    circuit.wait_seconds()
    circuit.failed(None)
    clock.pass_seconds(1)

    assert [circuit.wait_seconds() for _ in range(3)] == [0.0] * 3


@pytest.mark.parametrize("end", [Circuit.let_go, Circuit.close], ids=["let_go", "close"])
def test_a_probe_that_is_given_up_goes_to_another(path: Path, clock: FakeClock, end: Any) -> None:
    one, other = circuit_on(path, clock), circuit_on(path, clock)
    one.wait_seconds()
    one.failed(None)
    clock.pass_seconds(1)
    one.wait_seconds()
    end(one)

    assert other.wait_seconds() == 0


def test_a_closed_one_can_be_asked_and_closed_again(path: Path, clock: FakeClock) -> None:
    circuit = circuit_on(path, clock)
    circuit.close()
    circuit.close()

    assert circuit.wait_seconds() == 0


def test_the_file_is_for_us_alone(path: Path, clock: FakeClock) -> None:
    circuit_on(path, clock)

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_former_run_is_forgotten(path: Path, clock: FakeClock) -> None:
    circuit = circuit_on(path, clock)
    circuit.wait_seconds()
    circuit.failed(None)
    foreign = path.with_name("notes.txt")
    foreign.touch()
    Circuit.forget_all(path.parent)

    assert circuit_on(path, clock).wait_seconds() == 0
    assert foreign.exists()


def test_there_may_be_nothing_to_forget(tmp_path: Path) -> None:
    Circuit.forget_all(tmp_path / "missing")

    assert list(tmp_path.iterdir()) == []


def outage_alone(circuit: Circuit, clock: FakeClock) -> list[float]:
    """Go through an outage of two pushes and return the waits."""
    waits = []
    for _ in range(2):
        circuit.wait_seconds()
        circuit.failed(None)
        waits.append(round(circuit.wait_seconds(), 3))
        clock.pass_seconds(waits[-1])
    circuit.wait_seconds()
    circuit.passed()
    return [*waits, circuit.wait_seconds()]


ALONE = [0.5 + SPREAD_SECONDS, 1.0 + SPREAD_SECONDS, 0.0]


def test_without_a_folder_to_write_it_works_alone(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").touch()
    circuit = circuit_on(tmp_path / "file" / "loki.circuit", clock)

    assert outage_alone(circuit, clock) == ALONE
    assert circuit.alone_because == "File exists"


@pytest.mark.parametrize(
    ("module", "name"), [(os, "posix_fallocate"), (os, "pwrite"), (fcntl, "flock")]
)
def test_with_a_full_or_a_failing_disk_it_works_alone(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, name, fail)
    circuit = circuit_on(path, clock)

    assert outage_alone(circuit, clock) == ALONE
    assert circuit.alone_because == "No space left on device"


def test_a_disk_that_fails_in_an_outage_does_not_make_it_forget(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit = circuit_on(path, clock)
    circuit.wait_seconds()
    circuit.failed(None)

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)

    assert circuit.wait_seconds() == 0.5 + SPREAD_SECONDS
    assert circuit.alone_because == "Input/output error"


def test_a_lock_that_is_never_let_go_of_is_passed_over(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    one, other = circuit_on(path, clock), circuit_on(path, clock)
    frozen = os.open(path, os.O_RDWR)
    fcntl.flock(frozen, fcntl.LOCK_EX)
    one.wait_seconds()
    one.failed(None)
    tries = len(paused)
    waited = other.wait_seconds(), one.wait_seconds()
    os.close(frozen)

    assert waited == (0.5 + SPREAD_SECONDS, 0.5 + SPREAD_SECONDS)
    assert tries == shell.LOCK_TRIES
    assert sum(paused) < 2


def test_whoever_found_the_lock_stuck_once_does_not_wait_for_it_again(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    circuit = circuit_on(path, clock)
    frozen = os.open(path, os.O_RDWR)
    fcntl.flock(frozen, fcntl.LOCK_EX)
    circuit.wait_seconds()
    circuit.failed(None)
    before = len(paused)
    circuit.wait_seconds()
    os.close(frozen)

    assert len(paused) == before + 1


def test_real_randomness_keeps_the_waits_in_their_bounds(path: Path, clock: FakeClock) -> None:
    one = Circuit(path, clock=clock, random=Random(7))
    one.wait_seconds()
    one.failed(None)
    waits = [one.wait_seconds() for _ in range(50)]

    assert all(0 < wait <= 0.5 + SPREAD_SECONDS for wait in waits)
    assert len(set(waits)) > 40
