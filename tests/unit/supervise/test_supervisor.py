"""The rules applied to processes that the test steers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from shipper.core.errors import ConfigError, EveryWorkerGaveUp
from shipper.supervise import child as children
from shipper.supervise import supervisor as supervising
from shipper.supervise.lifecycle import ENDED_EXIT_CODE, REFUSED_EXIT_CODE, Phase, Policy, Worker
from shipper.supervise.plan import WorkerPlan
from shipper.supervise.pulse import BEAT, POLL_BEGAN, POLLS
from shipper.supervise.supervisor import REPORT_SECONDS, STUCK_POLL_SECONDS, Supervisor
from tests.support.clock import FakeClock, FakeRandom
from tests.support.notify import RecordingNotifier
from tests.support.processes import FakeContext, FakeProcess

POLICY = Policy(first_wait_seconds=1, max_wait_seconds=8, start_seconds=60, max_crashes=3)


def work(*_arguments: Any) -> None:
    """Never called: the processes are fakes."""


def plan(name: str, says: str = "assignment") -> WorkerPlan:
    return WorkerPlan(name, work, (says,), timeout_seconds=30, fingerprint=says)


def attendant(says: str = "news") -> WorkerPlan:
    return WorkerPlan("web", work, (says,), attendant=True, fingerprint=says, news=says)


class Rig:
    """A supervisor of fake processes; its sleep lets the clock's time pass and then does what was asked for."""

    def __init__(self, *plans: WorkerPlan, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.context = FakeContext()
        self.hung: list[str] = []
        self.reports: list[tuple[dict[str, Worker], dict[str, int]]] = []
        self.words: list[str] = []
        self.while_sleeping: list[Callable[[], object]] = []
        self.wanted: Sequence[WorkerPlan] | ConfigError = plans
        self.notifier = RecordingNotifier(self.clock)
        monkeypatch.setattr(supervising, "wait", self._wait)
        monkeypatch.setattr(children, "set_blocking", lambda _number, _blocking: None)
        self.supervisor = Supervisor(
            plans=plans,
            replan=self._replan,
            context=cast("Any", self.context),
            clock=self.clock,
            random=FakeRandom(1.0),
            log=logging.getLogger("test.supervisor"),
            notifier=self.notifier,
            hung=self.hung.append,
            report=self._report,
            policy=POLICY,
        )

    def ticks(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.supervisor.tick()
            self.clock.pass_seconds(0.1)

    def run_until_stopped(self, *while_sleeping: Callable[[], object]) -> None:
        self.while_sleeping = [*while_sleeping, lambda: self.words.append("stop")]
        self.supervisor.run(self.words)

    def reload(self, *wanted: WorkerPlan) -> None:
        """Let the loop see a reload that wants these plans, and stop it after that."""
        self.wanted = wanted or self.wanted
        self.words.append("reload")
        self.supervisor._reload(self.words)
        self.supervisor.tick()

    def process(self, name: str = "a") -> FakeProcess:
        return self.context.newest(name)

    def worker(self, name: str = "a") -> Worker:
        return self.supervisor.workers[name]

    def beat(self, name: str = "a", *, polls: int = 0) -> None:
        numbers = self.process(name).pulse
        numbers[BEAT], numbers[POLLS] = self.clock.seconds, polls

    def hang(self, name: str = "a") -> None:
        self.beat(name)
        self.process(name).pulse[POLL_BEGAN] = self.clock.seconds

    def _replan(self) -> Sequence[WorkerPlan]:
        if isinstance(self.wanted, ConfigError):
            raise self.wanted
        return self.wanted

    def _wait(self, sentinels: Sequence[int], timeout: float) -> list[int]:
        self.clock.pass_seconds(timeout)
        if self.while_sleeping:
            self.while_sleeping.pop(0)()
        return []

    def _report(self, workers: Mapping[str, Worker], pids: Mapping[str, int]) -> None:
        self.reports.append((dict(workers), dict(pids)))


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(plan("a"), plan("b"), monkeypatch=monkeypatch)


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(plan("a"), attendant(), monkeypatch=monkeypatch)


def test_every_plan_gets_a_process_with_its_arguments_a_pulse_and_orders(rig: Rig) -> None:
    rig.supervisor.tick()

    assert [process.name for process in rig.context.processes] == ["a", "b"]
    assert rig.process().args[0] == "assignment"
    assert len(rig.process().args) == 3
    assert rig.process().started


def test_the_end_of_the_pipe_that_the_worker_hears_is_closed_here(rig: Rig) -> None:
    rig.supervisor.tick()

    assert rig.process().args[2].closed


def test_a_worker_that_beats_is_running(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.beat("a")
    rig.supervisor.tick()

    assert (rig.worker("a").phase, rig.worker("b").phase) == (Phase.RUNNING, Phase.STARTING)


def test_a_worker_that_died_is_started_again_after_its_wait_and_alone(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").die(1)
    rig.supervisor.tick()
    waiting = rig.context.started("a")
    rig.ticks(1.2)

    assert (waiting, rig.context.started("a"), rig.context.started("b")) == (1, 2, 1)
    assert rig.worker("a").restarts == 1


def test_the_end_of_a_worker_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.supervisor.tick()
    rig.process("a").die(-11)
    rig.supervisor.tick()

    assert caplog.messages == ["Worker a: killed by SIGSEGV. It is started again in 1.0 s."]


def test_the_end_of_a_worker_is_collected(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").die(1)
    rig.supervisor.tick()

    assert rig.process("a").joined
    assert rig.process("a").orders.closed


def test_a_worker_that_hangs_in_a_poll_is_killed_and_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.supervisor.tick()
    rig.hang("a")
    rig.supervisor.tick()
    rig.clock.pass_seconds(30.1)
    rig.supervisor.tick()

    assert rig.process("a").exitcode == -9
    assert rig.hung == ["a"]
    assert caplog.messages[0].startswith("Worker a: hung: it did not finish in time")


def test_a_worker_that_hung_is_started_again_for_ever(rig: Rig) -> None:
    for _ in range(5):
        rig.ticks(9)
        rig.hang("a")
        rig.ticks(30.5)

    assert rig.worker("a").phase is Phase.WAITING
    assert rig.context.started("a") == 5


def test_a_worker_that_never_beats_is_killed_but_no_poll_of_it_is_counted(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.clock.pass_seconds(60.1)
    rig.supervisor.tick()

    assert rig.process("a").exitcode == -9
    assert rig.hung == []


def test_a_worker_that_polled_is_forgiven_its_crashes(rig: Rig) -> None:
    for _ in range(5):
        rig.ticks(9)
        rig.beat("a", polls=1)
        rig.ticks(0.1)
        rig.process("a").die(1)

    assert rig.worker("a").phase is not Phase.FAILED


def test_a_worker_that_crashes_too_often_is_given_up_and_the_others_live(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        rig.ticks(9)
        rig.process("a").die(1)
    for _ in range(3):
        rig.beat("b")
        rig.ticks(20)

    assert (rig.worker("a").phase, rig.context.started("a")) == (Phase.FAILED, 3)
    assert rig.process("b").exitcode is None
    assert caplog.messages[-1] == (
        "Worker a: given up after 3 crashes: ended with exit code 1. It is not started again."
    )


def test_a_worker_that_can_never_work_is_not_started_again(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").die(REFUSED_EXIT_CODE)
    rig.ticks(60)

    assert rig.context.started("a") == 1


def test_when_every_worker_gave_up_the_run_ends_and_nothing_is_left(attended: Rig) -> None:
    attended.while_sleeping = [lambda: attended.process("a").die(REFUSED_EXIT_CODE)]

    with pytest.raises(EveryWorkerGaveUp, match=r"^every worker gave up; the log says why$"):
        attended.supervisor.run(attended.words)
    assert attended.process("web").exitcode == -9


@pytest.mark.parametrize("b_ends_with", [ENDED_EXIT_CODE, REFUSED_EXIT_CODE])
def test_when_no_worker_is_left_and_one_ended_as_ordered_the_run_ends_well(
    rig: Rig, b_ends_with: int
) -> None:
    rig.while_sleeping = [
        lambda: rig.process("a").die(ENDED_EXIT_CODE),
        lambda: rig.process("b").die(b_ends_with),
    ]
    rig.supervisor.run(rig.words)

    assert (rig.worker("a").phase, rig.words) == (Phase.ENDED, [])
    assert "STOPPING=1" in rig.notifier.sent


def test_a_run_goes_on_while_one_worker_of_two_ended_as_ordered(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.run_until_stopped(lambda: rig.process("a").die(ENDED_EXIT_CODE), lambda: None)

    assert rig.process("b").exitcode == 0
    assert rig.context.started("a") == 1
    assert (
        "Worker a: came to its end, as it was ordered. It is not started again." in caplog.messages
    )


def test_an_attendant_that_gave_up_does_not_end_the_run(attended: Rig) -> None:
    attended.run_until_stopped(lambda: attended.process("web").die(REFUSED_EXIT_CODE))

    assert attended.process("a").exitcode == 0


def test_reports_come_about_twice_a_second_with_the_pids_of_what_lives(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("b").die(1)
    rig.ticks(2)

    assert 3 <= len(rig.reports) <= 2 / REPORT_SECONDS + 1
    assert rig.reports[0][1] == {"a": 101, "b": 102}
    assert rig.reports[1][1] == {"a": 101}


def test_a_stop_lets_workers_end_by_themselves_and_attendants_last(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.run_until_stopped()

    assert attended.context.ended == ["a", "web"]
    assert list(attended.process("a").orders.waiting) == ["stop"]


def test_a_worker_that_does_not_obey_is_killed_after_the_drain(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    before = rig.clock.seconds
    rig.run_until_stopped()

    assert (rig.process("a").exitcode, rig.process("b").exitcode) == (-9, 0)
    assert 22 <= rig.clock.seconds - before < 23
    assert caplog.messages == ["Worker a did not stop in time and was killed."]


def test_a_worker_stuck_in_a_poll_is_killed_early(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.hang("a")
    before = rig.clock.seconds
    rig.run_until_stopped()

    assert rig.process("a").exitcode == -9
    assert STUCK_POLL_SECONDS <= rig.clock.seconds - before < STUCK_POLL_SECONDS + 1


def test_a_second_stop_ends_everything_at_once(
    attended: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    attended.supervisor.tick()
    attended.process("a").obeys = False
    before = attended.clock.seconds
    attended.while_sleeping = [lambda: attended.words.extend(["stop", "stop"])]
    attended.supervisor.run(attended.words)

    assert (attended.process("a").exitcode, attended.process("web").exitcode) == (-9, -9)
    assert attended.clock.seconds - before < 1
    assert caplog.messages == [
        "Stopped at once by a second signal; what waits on disk stays there for the next start."
    ]


def test_a_worker_that_is_gone_before_the_order_is_no_trouble(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").orders.broken = True
    rig.process("a").die(1)
    rig.words.append("stop")
    rig.supervisor.run(rig.words)

    assert rig.process("b").exitcode == 0


def test_no_worker_is_started_again_while_it_stops(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").die(1)
    rig.words.append("stop")
    rig.supervisor.run(rig.words)

    assert len(rig.context.processes) == 2


def test_a_fault_of_ours_leaves_no_process_behind(rig: Rig) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("a bug")

    rig.supervisor.report = fail

    with pytest.raises(RuntimeError, match="a bug"):
        rig.supervisor.run(rig.words)
    assert [process.exitcode for process in rig.context.processes] == [-9, -9]


# Reloads


def test_a_reload_in_the_loop_changes_the_plans(attended: Rig) -> None:
    attended.wanted = [plan("b"), attendant()]
    attended.run_until_stopped(lambda: attended.words.append("reload"), lambda: None)

    assert [process.name for process in attended.context.processes] == ["a", "web", "b"]
    assert attended.context.ended == ["a", "b", "web"]


def test_what_did_not_change_keeps_its_process_and_its_plan(rig: Rig) -> None:
    before = rig.supervisor.plans[0]
    rig.supervisor.tick()
    rig.reload(plan("a"), plan("b", "another"))

    assert rig.process("a").exitcode is None
    assert rig.context.started("a") == 1
    assert rig.supervisor.plans[0] is before


def test_what_was_added_is_started_at_once(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.reload(plan("a"), plan("b"), plan("c"))

    assert rig.process("c").started


def test_what_was_removed_is_told_to_stop_and_not_started_again(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.reload(plan("a"))
    rig.ticks(60)

    assert list(rig.process("b").orders.waiting) == ["stop"]
    assert rig.process("b").joined
    assert rig.context.started("b") == 1
    assert list(rig.supervisor.workers) == ["a"]


def test_a_changed_worker_starts_only_after_its_predecessor_has_ended(rig: Rig) -> None:
    rig.supervisor.tick()
    old = rig.process("a")
    old.obeys = False
    rig.reload(plan("a", "another"), plan("b"))
    rig.ticks(2)
    too_early = rig.context.started("a")
    old.die(0)
    rig.ticks(0.1)

    assert too_early == 1
    assert rig.process("a").args[0] == "another"


def test_a_changed_worker_that_does_not_stop_is_killed_and_replaced(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.reload(plan("a", "another"), plan("b"))
    rig.ticks(21.9)
    before = rig.context.started("a")
    rig.ticks(0.5)

    assert (before, rig.context.started("a")) == (1, 2)
    assert "Worker a did not stop in time and was killed." in caplog.messages


def test_the_others_are_looked_after_while_one_leaves(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.reload(plan("a", "another"), plan("b"))
    rig.process("b").die(1)
    rig.ticks(2)

    assert (rig.context.started("a"), rig.context.started("b")) == (1, 2)


def test_a_worker_that_changes_twice_while_it_leaves_starts_with_the_newest_plan(rig: Rig) -> None:
    rig.supervisor.tick()
    old = rig.process("a")
    old.obeys = False
    rig.reload(plan("a", "second"), plan("b"))
    rig.reload(plan("a", "third"), plan("b"))
    old.die(0)
    rig.ticks(0.1)

    assert (rig.context.started("a"), rig.process("a").args[0]) == (2, "third")
    assert list(old.orders.waiting) == ["stop"]


def test_a_worker_that_is_taken_away_and_given_back_while_it_leaves_starts_after_it(
    rig: Rig,
) -> None:
    rig.supervisor.tick()
    old = rig.process("a")
    old.obeys = False
    rig.reload(plan("b"))
    rig.reload(plan("a"), plan("b"))
    meanwhile = rig.context.started("a")
    old.die(0)
    rig.ticks(0.1)

    assert (meanwhile, rig.context.started("a")) == (1, 2)


def test_a_stop_while_one_leaves_waits_for_it_and_starts_nothing(rig: Rig) -> None:
    rig.supervisor.tick()
    old = rig.process("a")
    old.obeys = False
    rig.reload(plan("a", "another"), plan("b"))
    rig.run_until_stopped(lambda: None, lambda: None)

    assert (old.exitcode, rig.context.started("a")) == (-9, 1)


def test_a_second_stop_leaves_nobody_behind_who_was_leaving(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.reload(plan("b"))
    rig.words.extend(["stop", "stop"])
    rig.supervisor.run(rig.words)

    assert rig.process("a").exitcode == -9


def test_a_configuration_that_cannot_be_used_changes_nothing_and_is_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.supervisor.tick()
    rig.wanted = ConfigError("metrics.json: metrics.a: must be greater than 0")
    rig.reload()

    assert [process.exitcode for process in rig.context.processes] == [None, None]
    assert caplog.messages == [
        "Nothing was reloaded: metrics.json: metrics.a: must be greater than 0"
    ]
    assert caplog.records[0].levelno == logging.ERROR


def test_a_reload_says_in_one_line_what_it_did(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig.supervisor.tick()
    rig.reload(plan("a", "another"), plan("c"))

    assert caplog.messages == ["Reloaded: 1 added (c), 1 removed (b), 1 changed (a), 0 unchanged."]


def test_several_signals_ask_for_one_reload(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig.words.extend(["reload"] * 3)
    rig.run_until_stopped(lambda: None)

    assert sum(line.startswith("Reloaded") for line in caplog.messages) == 1


@pytest.mark.parametrize("says", ["assignment", "another"])
@pytest.mark.parametrize("exit_code", [REFUSED_EXIT_CODE, ENDED_EXIT_CODE])
def test_a_worker_that_was_given_up_or_ended_gets_another_chance(
    rig: Rig, says: str, exit_code: int
) -> None:
    rig.supervisor.tick()
    rig.process("a").die(exit_code)
    rig.supervisor.tick()
    rig.reload(plan("a", says), plan("b"))

    assert rig.worker("a").phase is Phase.STARTING
    assert rig.context.started("a") == 2


def test_restarts_are_counted_on_over_a_reload_that_is_none_itself(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").die(1)
    rig.ticks(2)
    rig.reload(plan("a", "another"), plan("b"))
    rig.ticks(0.1)

    assert (rig.worker("a").restarts, rig.context.started("a")) == (1, 3)


def test_an_attendant_is_told_the_news_and_lives_on(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.reload(plan("a"), attendant("newer"))

    assert list(attended.process("web").orders.waiting) == ["newer"]
    assert attended.process("web").exitcode is None


def test_an_attendant_that_starts_again_starts_with_the_newest_plan(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.reload(plan("a"), attendant("newer"))
    attended.process("web").die(1)
    attended.ticks(2)

    assert attended.process("web").args[0] == "newer"


def test_an_attendant_that_does_not_run_hears_the_news_when_it_starts(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.process("web").die(1)
    attended.supervisor.tick()
    attended.reload(plan("a"), attendant("newer"))
    attended.ticks(2)

    assert attended.process("web").args[0] == "newer"


def test_an_attendant_that_does_not_listen_is_replaced(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.process("web").orders.full = True
    attended.reload(plan("a"), attendant("newer"))
    attended.ticks(2)

    assert attended.context.started("web") == 2
    assert attended.process("web").args[0] == "newer"


def test_an_attendant_that_is_gone_before_the_news_is_no_trouble(attended: Rig) -> None:
    attended.supervisor.tick()
    attended.process("web").orders.broken = True
    attended.process("web").die(1)
    attended.reload(plan("a"), attendant("newer"))
    attended.ticks(2)

    assert attended.process("web").args[0] == "newer"


# What the service manager is told


def test_it_is_told_that_the_run_is_ready_stops_and_how_it_goes(rig: Rig) -> None:
    rig.run_until_stopped(lambda: rig.beat("a"), *[lambda: None] * 5)

    assert rig.notifier.sent == [
        "STATUS=0 of 2 workers run",
        "READY=1",
        "STATUS=1 of 2 workers run",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("wanted", [[plan("a")], ConfigError("no")], ids=["used", "refused"])
def test_it_is_told_when_a_reload_begins_and_when_it_is_over(
    rig: Rig, wanted: Sequence[WorkerPlan] | ConfigError
) -> None:
    rig.wanted = wanted
    rig.run_until_stopped(lambda: rig.words.append("reload"))
    told = [line for line in rig.notifier.sent if not line.startswith("STATUS")]

    assert told == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=1000100000", "READY=1", "STOPPING=1"]


def test_it_sees_signs_of_life_while_workers_deliver_for_long(rig: Rig) -> None:
    rig.notifier.watchdog_seconds = 3.0
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.run_until_stopped()

    assert 22 <= rig.notifier.sent.count("WATCHDOG=1") <= 25


def test_reports_go_on_while_workers_deliver_for_long(rig: Rig) -> None:
    rig.supervisor.tick()
    rig.process("a").obeys = False
    rig.run_until_stopped()

    assert len(rig.reports) > 40
    assert rig.reports[20][1] == {"a": 101}


def test_attendants_are_not_among_the_workers_that_are_reported(attended: Rig) -> None:
    attended.supervisor.tick()

    assert set(attended.reports[0][0]) == {"a"}
