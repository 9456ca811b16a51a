"""What a service manager is told."""

from __future__ import annotations

import pytest

from shipper.supervise.lifecycle import Phase, Worker
from shipper.supervise.notify import STATUS_CHARACTERS, Notifier, status_text
from tests.support.clock import FakeClock
from tests.support.notify import RecordingNotifier

PID = 42


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notifier(clock: FakeClock) -> RecordingNotifier:
    return RecordingNotifier(clock, "@somewhere", watchdog_seconds=30.0)


def taken(**variables: str) -> tuple[str, float]:
    notifier = Notifier.taken_from(variables, pid=PID, clock=FakeClock())
    return notifier.address, notifier.watchdog_seconds


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        pytest.param({}, ("", 0), id="nobody listens"),
        pytest.param({"NOTIFY_SOCKET": "/run/n"}, ("/run/n", 0), id="a path"),
        pytest.param({"NOTIFY_SOCKET": "@n"}, ("@n", 0), id="an abstract name"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:1"}, ("", 0), id="not on this machine"),
        pytest.param(
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000"}, ("/n", 30), id="watched"
        ),
        pytest.param(
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"},
            ("/n", 30),
            id="watched by pid",
        ),
        pytest.param(
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"},
            ("/n", 0),
            id="another is watched",
        ),
        pytest.param(
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, ("/n", 0), id="not a number"
        ),
        pytest.param({"WATCHDOG_USEC": "30000000"}, ("", 0), id="watched, but nobody listens"),
    ],
)
def test_the_environment_says_who_listens_and_how_long_silence_is_borne(
    variables: dict[str, str], found: tuple[str, float]
) -> None:
    assert taken(**variables) == found


def test_the_variables_are_taken_away_from_children() -> None:
    variables = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.taken_from(variables, pid=PID, clock=FakeClock())

    assert variables == {"HOME": "/"}


def test_without_a_listener_nothing_is_sent_and_nothing_goes_wrong() -> None:
    notifier = Notifier(FakeClock(), watchdog_seconds=30.0)
    notifier.ready()
    notifier.alive()
    with notifier.patience(60):
        notifier.stopping()

    assert notifier.address == ""


def test_a_listener_that_is_gone_is_no_trouble() -> None:
    notifier = Notifier(FakeClock(), "@nobody-listens-here")
    notifier.ready()

    assert notifier._ready


def test_ready_is_said_once_and_again_after_a_reload(notifier: RecordingNotifier) -> None:
    notifier.ready()
    notifier.ready()
    notifier.reloading()
    notifier.ready()
    notifier.ready()

    assert notifier.sent == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=1000000000", "READY=1"]


def test_a_status_is_said_when_it_changed_and_on_one_line(notifier: RecordingNotifier) -> None:
    for text in ("good", "good", "bad\nand worse", "good"):
        notifier.status(text)

    assert notifier.sent == ["STATUS=good", "STATUS=bad and worse", "STATUS=good"]


def test_a_status_is_cut_to_what_is_taken(notifier: RecordingNotifier) -> None:
    notifier.status("x" * 5000)

    assert notifier.sent == ["STATUS=" + "x" * STATUS_CHARACTERS]


def test_life_is_shown_three_times_in_the_granted_time(
    notifier: RecordingNotifier, clock: FakeClock
) -> None:
    for _ in range(300):
        notifier.alive()
        clock.pass_seconds(0.1)

    assert notifier.sent == ["WATCHDOG=1"] * 3


def test_life_is_not_shown_when_nobody_minds(clock: FakeClock) -> None:
    notifier = RecordingNotifier(clock, "@somewhere")
    notifier.alive()

    assert notifier.sent == []


def test_patience_asks_for_time_and_shows_life(notifier: RecordingNotifier) -> None:
    with notifier.patience(60):
        pass

    assert notifier.sent == ["EXTEND_TIMEOUT_USEC=30000000", "WATCHDOG=1"]


def test_patience_has_an_end(notifier: RecordingNotifier) -> None:
    with notifier.patience(0):
        pass

    assert notifier.sent == []


@pytest.mark.parametrize(
    ("workers", "text"),
    [
        pytest.param({}, "0 of 0 workers run", id="none"),
        pytest.param(
            {"a": Worker(Phase.RUNNING), "b": Worker(Phase.STARTING)},
            "1 of 2 workers run",
            id="one starts",
        ),
        pytest.param(
            {"a": Worker(Phase.FAILED, reason="given up after 10 crashes"), "b": Worker()},
            "0 of 2 workers run; a: given up after 10 crashes",
            id="one was given up",
        ),
        pytest.param(
            {"a": Worker(Phase.RUNNING, reason="killed by SIGKILL")},
            "1 of 1 workers run",
            id="what is over is not told",
        ),
        pytest.param(
            {name: Worker(Phase.FAILED, reason="x") for name in "abcde"},
            "0 of 5 workers run; a: x; b: x; c: x; and 2 more",
            id="many in trouble",
        ),
    ],
)
def test_the_status_counts_who_runs_and_says_why_others_do_not(
    workers: dict[str, Worker], text: str
) -> None:
    assert status_text(workers) == text
