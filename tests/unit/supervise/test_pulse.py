"""A worker's sign of life."""

from __future__ import annotations

import time
from ctypes import c_double

import pytest

from shipper.supervise.pulse import BEAT, POLL_BEGAN, POLLS, SharedPulse


@pytest.fixture
def pulse() -> SharedPulse:
    return SharedPulse((c_double * 3)())


def test_a_new_pulse_has_not_beaten(pulse: SharedPulse) -> None:
    assert list(pulse.numbers) == [0, 0, 0]


def test_a_beat_is_on_the_monotonic_clock(pulse: SharedPulse) -> None:
    before = time.monotonic()
    pulse.beat()

    assert before <= pulse.numbers[BEAT] <= time.monotonic()


def test_a_poll_that_runs_shows_since_when(pulse: SharedPulse) -> None:
    before = time.monotonic()
    pulse.poll_began()

    assert before <= pulse.numbers[POLL_BEGAN] <= time.monotonic()
    assert pulse.numbers[BEAT] == pulse.numbers[POLL_BEGAN]


def test_a_poll_that_ended_is_counted(pulse: SharedPulse) -> None:
    for _ in range(2):
        pulse.poll_began()
        pulse.poll_ended()

    assert (pulse.numbers[POLL_BEGAN], pulse.numbers[POLLS]) == (0, 2)
