from __future__ import annotations

import pytest

from shipper.sinks.loki.deadline import Deadline


def test_what_is_left_shrinks_as_time_passes() -> None:
    times = iter([100.0, 103.0])
    deadline = Deadline(lambda: next(times))
    deadline.start(10.0)

    assert deadline.remaining_seconds() == 7.0


def test_nothing_is_left_once_it_has_passed() -> None:
    times = iter([100.0, 110.0])
    deadline = Deadline(lambda: next(times))
    deadline.start(10.0)

    with pytest.raises(TimeoutError):
        deadline.remaining_seconds()


def test_a_deadline_that_was_never_started_has_passed() -> None:
    with pytest.raises(TimeoutError):
        Deadline(lambda: 1.0).remaining_seconds()
