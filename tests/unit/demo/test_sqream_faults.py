"""Which faults strike, and how often."""

from __future__ import annotations

import pytest

from shipper.demo.sqream.faults import Cut, Delay, ErrorAnswer, Fault, Faults, Hang, Step


def test_a_fault_strikes_at_its_step_alone() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.EXECUTE, action=Cut()))

    assert faults.strike(Step.PREPARE, "t") == []
    assert faults.strike(Step.EXECUTE, "t") == [active]


def test_a_fault_for_one_function_spares_the_others() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.FETCH, function="show_locks", action=Cut()))

    assert faults.strike(Step.FETCH, "show_version") == []
    assert faults.strike(Step.FETCH, "show_locks") == [active]


def test_a_fault_strikes_as_often_as_it_was_told() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.LOGIN, action=ErrorAnswer("no"), times=2))

    strikes = [bool(faults.strike(Step.LOGIN)) for _ in range(4)]

    assert strikes == [True, True, False, False]
    assert active.strikes == 2


def test_a_fault_without_a_number_strikes_until_it_is_cleared() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.LOGIN, action=Hang()))
    before = [bool(faults.strike(Step.LOGIN)) for _ in range(3)]
    active.clear()

    assert before == [True, True, True]
    assert faults.strike(Step.LOGIN) == []


def test_several_faults_strike_in_the_order_they_were_added() -> None:
    faults = Faults()
    delay = faults.add(Fault(at=Step.EXECUTE, action=Delay(0.1)))
    cut = faults.add(Fault(at=Step.EXECUTE, action=Cut()))

    assert faults.strike(Step.EXECUTE, "t") == [delay, cut]


def test_a_fault_tells_that_it_struck() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.CONNECT, action=Hang()))
    before = active.struck.is_set()
    faults.strike(Step.CONNECT)

    assert (before, active.struck.is_set()) == (False, True)


def test_clearing_all_releases_whoever_waits() -> None:
    faults = Faults()
    active = faults.add(Fault(at=Step.CONNECT, action=Hang()))
    faults.clear()

    assert active.over.is_set()
    assert faults.strike(Step.CONNECT) == []


@pytest.mark.parametrize(
    ("step", "function"),
    [
        pytest.param(Step.CONNECT, None, id="nothing was asked at connect"),
        pytest.param(Step.BLOCK, None, id="the answer is on its way in the block"),
        pytest.param(Step.LOGIN, "show_locks", id="no function at login"),
    ],
)
def test_a_fault_that_cannot_happen_is_refused(step: Step, function: str | None) -> None:
    with pytest.raises(ValueError, match=step.name):
        Fault(at=step, function=function, action=ErrorAnswer("no"))
