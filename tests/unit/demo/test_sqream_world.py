"""The invented cluster, under a clock that the test turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from random import Random

import pytest

from shipper.demo.sqream.world import (
    LONGEST_CATCH_UP_SECONDS,
    NODES,
    CallStats,
    Status,
    World,
)

NOON = 1_790_000_000.0


class TurnedClock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now_seconds = NOON

    def __call__(self) -> float:
        return self.now_seconds


def _world(seed: int = 7) -> tuple[World, TurnedClock]:
    clock = TurnedClock()
    return World(Random(seed), clock), clock


def _seconds(world: World, clock: TurnedClock, *, count: int) -> Iterator[int]:
    """Let time pass and hold the world still at each second."""
    for _ in range(count):
        clock.now_seconds += 1
        with world.moment() as now:
            yield now


def _snapshot(world: World) -> str:
    with world.moment() as now:
        return repr((now, world.running, world.locks, world.calls, world.compressed_gb))


def test_the_same_seed_and_clock_give_the_same_history() -> None:
    first, second = _world(), _world()
    for _, clock in (first, second):
        clock.now_seconds += 300

    assert _snapshot(first[0]) == _snapshot(second[0])


def test_nothing_happens_while_the_clock_stands_still() -> None:
    world, _ = _world()

    assert _snapshot(world) == _snapshot(world)


def test_a_clock_that_is_set_back_changes_nothing() -> None:
    world, clock = _world()
    before = _snapshot(world)
    clock.now_seconds -= 3600

    assert _snapshot(world) == before


def test_statements_pass_through_every_status_and_end() -> None:
    world, clock = _world()
    seen: dict[int, list[Status]] = {}
    for _ in _seconds(world, clock, count=600):
        for running in world.running:
            seen.setdefault(running.statement_id, []).append(running.status)
    alive = {running.statement_id for running in world.running}
    ended = {number: statuses for number, statuses in seen.items() if number not in alive}

    orders = {tuple(dict.fromkeys(statuses)) for statuses in ended.values()}

    usual = (Status.PREPARING, Status.QUEUED, Status.INITIALIZING, Status.EXECUTING)
    assert usual in orders
    assert (*usual, Status.STOPPING) in orders


def test_a_worker_runs_one_statement_at_a_time_and_the_others_queue() -> None:
    world, clock = _world()
    waited = False
    for now in _seconds(world, clock, count=600):
        nodes = [running.node for running in world.running if running.node]
        assert len(nodes) == len(set(nodes))
        waited |= any(
            each.status is Status.QUEUED and each.status_since < now - 2 for each in world.running
        )

    assert waited


def test_a_statement_in_the_queue_has_no_worker() -> None:
    world, clock = _world()
    queued = [
        running.node
        for _ in _seconds(world, clock, count=300)
        for running in world.running
        if running.status in (Status.PREPARING, Status.QUEUED)
    ]

    assert queued
    assert set(queued) == {None}


def test_locks_are_taken_released_and_sometimes_orphaned() -> None:
    world, clock = _world()
    seen = set()
    for _ in _seconds(world, clock, count=900):
        seen.add("some" if world.locks else "none")
        seen |= {"orphan" for lock in world.locks if lock.is_orphan}

    assert seen == {"none", "some", "orphan"}


def test_every_lock_that_is_no_orphan_belongs_to_a_running_statement() -> None:
    world, clock = _world()
    holders_running = {
        lock.running in world.running
        for _ in _seconds(world, clock, count=300)
        for lock in world.locks
        if not lock.is_orphan
    }

    assert holders_running == {True}


def test_calls_of_the_metadata_store_add_up_until_they_are_reset() -> None:
    world, clock = _world()

    def calls() -> int:
        with world.moment():
            return sum(stats.count for stats in world.calls.values())

    at_first = calls()
    clock.now_seconds += 10
    later = calls()
    world.reset_calls()

    assert 0 < at_first < later
    assert calls() == 0


def test_heartbeats_follow_the_clock() -> None:
    world, clock = _world()
    clock.now_seconds += 60
    with world.moment() as now:
        ages_seconds = [now - beat for beat in world.last_heartbeats.values()]

    assert len(ages_seconds) == len(NODES)
    assert all(0 <= age_seconds < 30 for age_seconds in ages_seconds)


def test_the_data_grow() -> None:
    world, clock = _world()
    before = world.compressed_gb
    clock.now_seconds += 300
    with world.moment():
        grown_gb = world.compressed_gb - before

    assert 3 < grown_gb < 9


def test_after_a_long_pause_only_its_end_is_lived_through() -> None:
    world, clock = _world()
    clock.now_seconds += 10 * 365 * 86_400
    with world.moment():
        oldest = min(running.started_at for running in world.running)

    assert oldest >= clock.now_seconds - LONGEST_CATCH_UP_SECONDS


def test_response_times_are_summed_up_as_statistics_does() -> None:
    times_ms = [1.0, 2.5, 9.0, 4.0]
    stats = CallStats()
    for second, milliseconds in enumerate(times_ms):
        stats.add(milliseconds, second)

    assert stats.count == 4
    assert stats.average == pytest.approx(statistics.fmean(times_ms))
    assert stats.variance == pytest.approx(statistics.pvariance(times_ms))
    assert (stats.longest, stats.longest_at) == (9.0, 2)
