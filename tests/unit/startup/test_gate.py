"""The gate, with a process and a clock that the test owns."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, cast

import pytest

from shipper.core.checks import Check, Finding, Outcome
from shipper.startup import gate as gates
from shipper.startup.gate import CHECK_SECONDS, RETRY_SECONDS, Gate, Verdict
from tests.support.clock import FakeClock
from tests.support.processes import FakeCheckContext

GOOD = Finding(Outcome.PASSED, "all is well")
BAD = Finding(Outcome.FAILED, "connection refused", "is it running?")


class Rig:
    """A gate whose checks run in this process."""

    def __init__(self, *, silent: bool = False, crashes: bool = False) -> None:
        self.clock = FakeClock()
        self.context = FakeCheckContext(self.clock, silent=silent, crashes=crashes)
        self.stop = False
        self.gate = Gate(cast("Any", self.context), self.clock, stopped=lambda: self.stop)

    def verdicts(self, *checks: Check, wait_seconds: float = 0) -> list[Verdict]:
        return self.gate.verdicts(checks, wait_seconds=wait_seconds)


@pytest.fixture(autouse=True)
def _no_signals_and_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_arguments: None)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr(gates, "sleep", made.clock.pass_seconds)
    return made


def finding(*findings: Finding) -> Callable[[float], Finding]:
    """Return an attempt with these findings, the last of them for ever."""
    left = list(findings)
    return lambda _deadline_seconds: left.pop(0) if len(left) > 1 else left[0]


def test_there_is_a_verdict_for_every_check_in_order(rig: Rig) -> None:
    checks = [Check("first", finding(GOOD)), Check("second", finding(BAD))]
    verdicts = rig.verdicts(*checks)

    assert [(each.check.name, each.finding) for each in verdicts] == [
        ("first", GOOD),
        ("second", BAD),
    ]
    assert [each.failed for each in verdicts] == [False, True]


def test_no_checks_need_no_process(rig: Rig) -> None:
    assert rig.verdicts() == []
    assert rig.context.processes == []


def test_a_check_is_told_its_deadline(rig: Rig) -> None:
    told: list[float] = []

    def attempt(deadline_seconds: float) -> Finding:
        told.append(deadline_seconds)
        return GOOD

    rig.verdicts(Check("first", attempt))

    assert told == [CHECK_SECONDS]


def test_a_failing_check_that_is_not_required_is_a_note(rig: Rig) -> None:
    (verdict,) = rig.verdicts(Check("first", finding(BAD), required=False))

    assert verdict.finding == Finding(Outcome.NOTED, BAD.text, BAD.hint)
    assert not verdict.failed


def test_a_note_stays_a_note(rig: Rig) -> None:
    noted = Finding(Outcome.NOTED, "an old version")
    (verdict,) = rig.verdicts(Check("first", finding(noted), required=False))

    assert verdict.finding == noted


def test_a_fault_of_ours_in_a_check_fails_it_and_hides_no_other(rig: Rig) -> None:
    def broken(_deadline_seconds: float) -> Finding:
        raise RuntimeError("a bug")

    verdicts = rig.verdicts(Check("broken", broken), Check("good", finding(GOOD)))

    assert verdicts[0].finding.text == "the check itself failed: RuntimeError('a bug')"
    assert verdicts[1].finding == GOOD


def test_a_silent_check_fails_a_second_after_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Rig(silent=True)
    before = silent.clock.seconds
    (verdict,) = silent.verdicts(Check("first", finding(GOOD)))

    assert verdict.failed
    assert verdict.finding.text == "no answer within 15 s"
    assert verdict.finding.hint
    assert verdict.seconds == CHECK_SECONDS
    assert CHECK_SECONDS + 1 <= silent.clock.seconds - before < CHECK_SECONDS + 1.5


def test_a_silent_check_is_ended() -> None:
    silent = Rig(silent=True)
    silent.verdicts(Check("first", finding(GOOD)))

    assert [process.killed for process in silent.context.processes] == [True]


def test_a_process_that_crashes_fails_its_checks_at_once() -> None:
    crashing = Rig(crashes=True)
    before = crashing.clock.seconds
    (verdict,) = crashing.verdicts(Check("first", finding(GOOD)))

    assert verdict.failed
    assert crashing.clock.seconds == before


def test_without_patience_a_failed_check_is_tried_once(rig: Rig) -> None:
    (verdict,) = rig.verdicts(Check("first", finding(BAD, GOOD)))

    assert verdict.failed


def test_with_patience_a_failed_check_is_tried_until_it_passes(rig: Rig) -> None:
    before = rig.clock.seconds
    (verdict,) = rig.verdicts(Check("first", finding(BAD, BAD, GOOD)), wait_seconds=60)

    assert not verdict.failed
    assert rig.clock.seconds - before == 2 * RETRY_SECONDS


def test_only_failed_checks_are_tried_again(rig: Rig) -> None:
    tried: list[str] = []

    def good(_deadline_seconds: float) -> Finding:
        tried.append("good")
        return GOOD

    verdicts = rig.verdicts(Check("bad", finding(BAD, GOOD)), Check("good", good), wait_seconds=60)

    assert [each.check.name for each in verdicts] == ["bad", "good"]
    assert tried == ["good"]


def test_patience_ends(rig: Rig) -> None:
    before = rig.clock.seconds
    (verdict,) = rig.verdicts(Check("first", finding(BAD)), wait_seconds=5)

    assert verdict.failed
    assert 5 <= rig.clock.seconds - before <= 5 + RETRY_SECONDS


def test_a_note_is_not_waited_for(rig: Rig) -> None:
    rig.verdicts(Check("first", finding(BAD), required=False), wait_seconds=60)

    assert len(rig.context.processes) == 1


def test_an_operator_who_stops_ends_the_waiting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_seconds: float) -> None:
        rig.stop = True

    monkeypatch.setattr(gates, "sleep", stop)
    (verdict,) = rig.verdicts(Check("first", finding(BAD)), wait_seconds=60)

    assert verdict.failed
    assert len(rig.context.processes) <= 2


def test_an_operator_who_stops_does_not_wait_for_a_silent_check() -> None:
    silent = Rig(silent=True)
    silent.stop = True
    before = silent.clock.seconds
    silent.verdicts(Check("first", finding(GOOD)))

    assert silent.clock.seconds == before
