"""The watchdog acts once, after its deadline, unless it was disarmed."""

from __future__ import annotations

from threading import Event

from shipper.sources.sqream.watchdog import Watchdog

LONG_SECONDS = 30.0


def test_it_acts_after_its_deadline() -> None:
    acted = Event()
    watchdog = Watchdog(acted.set)

    watchdog.arm(0.01)

    assert acted.wait(LONG_SECONDS)


def test_a_shorter_deadline_wakes_it_from_a_longer_sleep() -> None:
    acted = Event()
    watchdog = Watchdog(acted.set)
    watchdog.arm(LONG_SECONDS * 10)
    watchdog.disarm()

    watchdog.arm(0.01)

    assert acted.wait(LONG_SECONDS)


def test_it_does_not_act_once_it_is_disarmed() -> None:
    acted, later = Event(), Event()
    watchdog = Watchdog(acted.set)
    watchdog.arm(0.02)
    watchdog.disarm()

    # Another one with a later deadline tells that the first deadline has passed.
    Watchdog(later.set).arm(0.06)
    assert later.wait(LONG_SECONDS)

    assert not acted.is_set()


def test_it_can_be_armed_again_after_it_acted() -> None:
    calls: list[int] = []
    acted = Event()

    def act() -> None:
        calls.append(1)
        acted.set()

    watchdog = Watchdog(act)
    watchdog.arm(0.0)
    assert acted.wait(LONG_SECONDS)
    acted.clear()
    watchdog.arm(0.0)

    assert acted.wait(LONG_SECONDS)
    assert len(calls) == 2


def test_its_thread_ends_when_it_is_closed() -> None:
    watchdog = Watchdog(lambda: None)
    watchdog.arm(LONG_SECONDS)
    thread = watchdog._thread
    assert thread is not None

    watchdog.close()
    thread.join(LONG_SECONDS)

    assert not thread.is_alive()
