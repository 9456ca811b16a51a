"""Workers of the whole program under trouble: one of them alone is killed, restarted or given up, and none is left."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from shipper.demo.log_store import Answer, Limits, LogStore
from shipper.demo.sqream import Column, Cut, Fault, Hang, SqreamEmulator, Step, WireType
from tests.support.shipper_process import ShipperProcess, command, far_ends, until, write_config

EVERY_WORKER_GAVE_UP_EXIT_CODE = 4
NUMBERS = [Column("n", WireType.BIGINT)]
STEADY = {"every_seconds": 0.25}
METRICS = {"show_locks": {**STEADY, "timeout_seconds": 1.5}, "show_conf": STEADY}
SHARED_METRICS = {**METRICS, "show_node_info": STEADY, "reset_leveldb_stats": 3600}
POLLED_OFTEN = ("show_locks", "show_conf", "show_node_info")

Started = Callable[..., AbstractContextManager[ShipperProcess]]


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        for function in METRICS:
            running.serve(function, NUMBERS, [(1,), (2,)])
        yield running


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def started(emulator: SqreamEmulator, store: LogStore, tmp_path: Path) -> Started:
    """Start a shipper against the two, with two metrics unless others are given."""

    def start(metrics: Mapping[str, Any] | None = None, **loki: Any) -> ShipperProcess:
        config = write_config(tmp_path, metrics or METRICS, loki=loki)
        return ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path)

    return start


@dataclass(frozen=True)
class Play:
    """A shipper and its far ends, shared by tests that leave it as well as they found it."""

    shipper: ShipperProcess
    emulator: SqreamEmulator
    store: LogStore

    def restarts(self, metric: str) -> float:
        return self.shipper.value("shipper_worker_restarts_total", metric=metric)

    def missed(self, metric: str) -> float:
        return self.shipper.value("shipper_missed_polls_total", metric=metric)

    def kill(self, metric: str) -> None:
        """Kill the worker of a metric and wait until another process runs instead."""
        before = self.shipper.worker_pids()[metric]
        os.kill(before, signal.SIGKILL)
        until(lambda: self.shipper.state()[metric]["pid"] not in (0, before))


@pytest.fixture(scope="module")
def lasting_play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("shared")
    config = write_config(folder, SHARED_METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve("show_locks", NUMBERS, [(1,), (2,)])
        emulator.serve("show_conf", NUMBERS, [(1,), (2,)])
        emulator.serve("reset_leveldb_stats", NUMBERS, [(1,)])
        emulator.serve("show_node_info", NUMBERS, counting_up())
        flags = far_ends(emulator, store.url, config)
        with ShipperProcess(["run", *flags], folder) as shipper:
            yield Play(shipper, emulator, store)


@pytest.fixture
def play(lasting_play: Play) -> Play:
    """The shared play, in which everything works, whatever became of the test before."""
    lasting_play.emulator.faults.clear()
    lasting_play.store.answers.clear()
    lasting_play.shipper.until_ready()
    polled(lasting_play.shipper, *POLLED_OFTEN)
    return lasting_play


def counting_up() -> Callable[[], list[tuple[int]]]:
    """Return rows that hold the next number at every call."""
    calls = count(1)
    return lambda: [(next(calls),)]


def polled(shipper: ShipperProcess, *metrics: str, more: int = 1) -> None:
    """Wait until each of the metrics was polled `more` times from now on."""
    before = {metric: shipper.polls(metric) for metric in metrics}
    until(lambda: all(shipper.polls(metric) >= before[metric] + more for metric in metrics))


def hang_at(emulator: SqreamEmulator, function: str) -> None:
    """Wait until a call of `function` hangs; it hangs for good."""
    hang = emulator.faults.add(Fault(at=Step.EXECUTE, function=function, action=Hang()))
    until(hang.struck.is_set)


def numbers(store: LogStore, job: str) -> list[int]:
    """Return the numbers in the lines of a metric, in the order of their time."""
    return [json.loads(stored.line)["n"] for stored in store.lines(f'{{job="{job}"}}')]


def without_a_gap(arrived: list[int]) -> list[int]:
    """Return the numbers that should have arrived between the first and the last that did."""
    return list(range(arrived[0], arrived[-1] + 1))


# Who is who


def test_the_title_of_every_process_tells_what_it_does(play: Play) -> None:
    pids = play.shipper.worker_pids()
    titles = {pid: " ".join(psutil.Process(pid).cmdline()).strip() for pid in pids.values()}

    assert titles == {pids[metric]: f"shipper: {metric}" for metric in SHARED_METRICS}
    assert {"shipper: supervisor", "shipper: web"} <= set(play.shipper.titles())


# One worker in trouble


def test_a_hung_query_costs_only_its_own_worker_and_only_after_its_timeout(play: Play) -> None:
    shipper, victim = play.shipper, "show_locks"
    before = shipper.worker_pids()
    restarts, missed = play.restarts(victim), play.missed("show_conf")
    hang_at(play.emulator, victim)
    polled(shipper, "show_conf", more=3)
    too_early = shipper.polls(victim, "timeout")
    until(lambda: shipper.polls(victim, "timeout") == 1)
    play.emulator.faults.clear()
    until(lambda: shipper.state()[victim]["pid"] not in (0, before[victim]))
    polled(shipper, *POLLED_OFTEN)
    after = shipper.worker_pids()

    assert too_early == 0
    assert {metric for metric in after if after[metric] != before[metric]} == {victim}
    assert play.restarts(victim) == restarts + 1
    assert play.missed("show_conf") == missed
    assert "hung" in shipper.state()[victim]["last_end"]


def test_a_worker_that_is_killed_is_started_again_alone(play: Play) -> None:
    before, restarts = play.shipper.worker_pids(), play.restarts("show_locks")
    play.kill("show_locks")
    polled(play.shipper, *POLLED_OFTEN)
    after = play.shipper.worker_pids()

    assert {metric for metric in after if after[metric] != before[metric]} == {"show_locks"}
    assert play.restarts("show_locks") == restarts + 1
    assert play.shipper.state()["show_locks"]["last_end"] == "killed by SIGKILL"


def test_a_worker_that_was_started_again_does_not_count_its_predecessors_ticks_as_missed(
    play: Play,
) -> None:
    many = 20
    until(lambda: play.shipper.polls("show_conf") >= many)
    missed = play.missed("show_conf")
    play.kill("show_conf")
    polled(play.shipper, "show_conf", more=2)

    assert play.missed("show_conf") - missed < many


def test_a_worker_that_was_started_again_does_not_poll_before_its_next_tick(play: Play) -> None:
    until(lambda: play.shipper.polls("reset_leveldb_stats") == 1)
    play.kill("reset_leveldb_stats")
    play.shipper.until_ready()
    polled(play.shipper, "show_conf", more=4)

    assert play.emulator.counts.statements["reset_leveldb_stats"] == 1


# The database in trouble


def test_a_database_that_restarts_is_connected_to_again_by_the_same_processes(play: Play) -> None:
    before = play.shipper.worker_pids()
    errors = {metric: play.shipper.polls(metric, "error") for metric in POLLED_OFTEN}
    play.emulator.stop()
    until(lambda: all(play.shipper.polls(name, "error") > errors[name] for name in errors))
    play.emulator.start()
    polled(play.shipper, *POLLED_OFTEN, more=2)

    assert play.shipper.worker_pids() == before


def test_a_connection_that_is_cut_in_the_middle_of_a_result_is_made_again(play: Play) -> None:
    before, errors = play.shipper.worker_pids(), play.shipper.polls("show_locks", "error")
    cut = Fault(at=Step.BLOCK, function="show_locks", action=Cut(), times=1)
    until(play.emulator.faults.add(cut).struck.is_set)
    until(lambda: play.shipper.polls("show_locks", "error") == errors + 1)
    polled(play.shipper, "show_locks", more=2)

    assert play.shipper.worker_pids() == before


def test_a_result_that_was_cut_ships_none_of_its_rows(play: Play) -> None:
    until(lambda: play.shipper.state()["show_locks"]["lines_waiting"] == 0)
    arrived = numbers(play.store, "show_locks")

    assert arrived == [1, 2] * (len(arrived) // 2)


# Loki in trouble


def test_polling_goes_on_while_loki_is_down_and_lines_arrive_in_order_afterwards(
    play: Play,
) -> None:
    metric = "show_node_info"
    seen = len(numbers(play.store, metric))
    play.store.stop()
    polled(play.shipper, *POLLED_OFTEN, more=4)
    waiting = play.shipper.value("shipper_spool_lines", metric=metric, sink="loki")
    play.store.start()
    until(lambda: play.shipper.state()[metric]["lines_waiting"] == 0)
    arrived = numbers(play.store, metric)[seen:]

    assert waiting >= 3
    assert len(arrived) >= waiting
    assert arrived == without_a_gap(arrived)


def test_what_a_worker_counts_stays_fresh_while_a_push_hangs(play: Play) -> None:
    play.store.answers.script([Answer(never=True, repeat=True)])
    before = {metric: play.shipper.polls(metric) for metric in POLLED_OFTEN}
    try:
        # At most one poll of each is told after a push that went through.
        until(
            lambda: all(play.shipper.polls(metric) > before[metric] + 4 for metric in POLLED_OFTEN),
            within_seconds=8,
        )
    finally:
        play.store.answers.clear()
        until(lambda: not any(each["lines_waiting"] for each in play.shipper.state().values()))


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "rate_limited"), (500, "server_error"), (503, "not_ready")]
)
def test_a_push_that_loki_puts_off_is_tried_again_and_arrives_once(
    play: Play, *, status: int, reason: str
) -> None:
    metric, seen = "show_node_info", len(numbers(play.store, "show_node_info"))
    play.store.answers.script([Answer(status=status)] * 4)
    until(
        lambda: (
            sum(push.status == status for push in play.store.pushes) == 4
            and not any(each.get("lines_waiting") for each in play.shipper.state().values())
        ),
        # The outages of other tests were a moment ago, so the back-off goes on from there.
        within_seconds=100,
    )
    polled(play.shipper, metric)
    retries = sum(
        play.shipper.value("shipper_push_retries_total", metric=name, sink="loki", reason=reason)
        for name in POLLED_OFTEN
    )
    arrived = numbers(play.store, metric)[seen:]

    assert retries == 4
    assert arrived == without_a_gap(arrived)
    assert play.shipper.state()[metric]["lines_rejected"] == 0


def test_what_waits_for_loki_is_bounded_and_the_oldest_lines_are_dropped_and_counted(
    emulator: SqreamEmulator, store: LogStore, started: Started
) -> None:
    most_bytes = 5_000
    rows = [(number,) for number in range(100)]
    emulator.serve("show_locks", NUMBERS, rows)
    with started({"show_locks": 0.1}, spool_max_bytes=most_bytes) as shipper:
        shipper.until_ready()
        until(lambda: numbers(store, "show_locks"))
        store.stop()
        until(
            lambda: (
                shipper.value(
                    "shipper_lines_dropped_total", metric="show_locks", reason="spool_full"
                )
                >= 100
            )
        )

        waiting = shipper.value("shipper_spool_bytes", metric="show_locks", sink="loki")
        assert 0 < waiting <= most_bytes
        assert shipper.polls("show_locks", "error") == 0


def test_a_line_that_loki_refuses_is_counted_and_the_others_of_its_poll_arrive(
    emulator: SqreamEmulator, tmp_path: Path
) -> None:
    when = [Column("n", WireType.BIGINT), Column("at", WireType.BIGINT)]
    now, long_ago = 1, 2
    with LogStore(limits=Limits(old_seconds=3600)) as store:
        config = write_config(tmp_path, {"show_locks": {"every_seconds": 60, "time_field": "at"}})
        seconds_now = store._clock() // 10**9
        rows = [(now, seconds_now), (long_ago, seconds_now - 7200), (now, seconds_now - 1)]
        emulator.serve("show_locks", when, rows)
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as shipper:
            until(lambda: shipper.state()["show_locks"].get("lines_rejected") == 1)
            delivered = shipper.state()["show_locks"]["lines_delivered"]
            shipper.terminate()

        assert delivered == 2
        assert numbers(store, "show_locks") == [now, now]
    assert "refused 1 of 3 lines for good" in shipper.stderr


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_with_exit_code_0(
    started: Started, number: signal.Signals
) -> None:
    with started() as shipper:
        shipper.until_ready()
        many = len(shipper.living())
        shipper.signal(number)

        assert shipper.wait() == 0
        shipper.until_nothing_lives()
    assert many >= len(METRICS) + 4
    assert "Traceback" not in shipper.stderr


def test_ctrl_c_reaches_all_processes_and_ends_as_quietly(started: Started) -> None:
    with started() as shipper:
        shipper.until_ready()
        os.killpg(shipper.pid, signal.SIGINT)

        assert shipper.wait() == 0
        shipper.until_nothing_lives()
    assert "Traceback" not in shipper.stderr + shipper.stdout


def test_a_signal_ends_everything_even_while_a_query_hangs(
    emulator: SqreamEmulator, started: Started
) -> None:
    metrics = {"show_locks": {"every_seconds": 0.25, "timeout_seconds": 3600}, "show_conf": STEADY}
    with started(metrics) as shipper:
        shipper.until_ready()
        hang_at(emulator, "show_locks")

        assert shipper.terminate() == 0
        shipper.until_nothing_lives()


def test_a_second_signal_does_not_wait_for_lines_that_loki_does_not_take(
    store: LogStore, started: Started
) -> None:
    with started() as shipper:
        shipper.until_ready()
        store.stop()
        until(lambda: shipper.state()["show_locks"]["lines_waiting"] > 0)
        shipper.signal(signal.SIGTERM)
        polling = shipper.worker_pids()
        shipper.signal(signal.SIGTERM)

        assert shipper.wait(within_seconds=10) == 0
        shipper.until_nothing_lives()
    assert polling
    assert "Stopped at once by a second signal" in shipper.stderr


def test_nothing_lives_on_when_the_supervisor_is_killed(
    emulator: SqreamEmulator, started: Started
) -> None:
    with started() as shipper:
        shipper.until_ready()
        hang_at(emulator, "show_locks")
        shipper.signal(signal.SIGKILL)
        shipper.wait()

        shipper.until_nothing_lives(within_seconds=10)


def test_a_fork_server_that_is_killed_costs_every_worker_one_start_and_leaves_none_behind(
    started: Started,
) -> None:
    with started() as shipper:
        before = set(shipper.worker_pids().values())
        (fork_server,) = [
            child
            for child in psutil.Process(shipper.pid).children()
            if "forkserver" in " ".join(child.cmdline())
        ]

        fork_server.kill()

        until(lambda: before.isdisjoint(process.pid for process in shipper.living()))
        until(lambda: before.isdisjoint(shipper.worker_pids().values()))
        shipper.until_ready()


def test_when_no_worker_can_ever_work_the_run_ends_with_exit_code_4(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    # pysqream runs `vmstat` when it is imported; entries that are not required pass the gate without it.
    metrics = {name: {"every_seconds": 0.25, "required": False} for name in METRICS}
    config = write_config(tmp_path, metrics)
    flags = far_ends(emulator, store.url, config)
    ended = command(["run", *flags], tmp_path, variables={"PATH": str(tmp_path)})

    assert ended.exit_code == EVERY_WORKER_GAVE_UP_EXIT_CODE
    assert "install procps" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "shipper: every worker gave up; the log says why"


# The log file


def test_all_processes_write_one_log_file(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    log_file = tmp_path / "logs" / "shipper.log"
    config = write_config(tmp_path, METRICS)
    for function in METRICS:
        emulator.serve(function, NUMBERS, [])
    flags = [*far_ends(emulator, store.url, config), "--log_file_path", str(log_file)]
    flags += ["--log_format", "json", "--log_level", "debug"]
    with ShipperProcess(["run", *flags], tmp_path) as shipper:
        until(lambda: all(shipper.polls(metric) >= 1 for metric in METRICS))
        shipper.terminate()
    lines = [json.loads(line) for line in log_file.read_text().splitlines()]

    assert {line.get("metric", "") for line in lines} == {"", *METRICS}
    assert lines[-1]["message"] == "Stopped."
    assert log_file.read_text() == shipper.stderr
