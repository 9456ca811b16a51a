"""How many clients a process has files for."""

from __future__ import annotations

from collections.abc import Iterator
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import pytest

from shipper.sources.zeromq.channels.site import OTHER_FILES, make_room_for, room_for

FEW = 300


@pytest.fixture
def hard() -> Iterator[int]:
    """A low soft limit of open files; gives the hard one."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (min(soft, FEW), hard))
    yield hard
    setrlimit(RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised_as_far_as_clients_need(hard: int) -> None:
    assert make_room_for(100) == 100
    assert getrlimit(RLIMIT_NOFILE) == (100 + OTHER_FILES, hard)


def test_the_hard_limit_is_the_end(hard: int) -> None:
    assert make_room_for(hard) == hard - OTHER_FILES
    assert getrlimit(RLIMIT_NOFILE) == (hard, hard)


def test_a_limit_that_is_high_enough_is_left_alone(hard: int) -> None:
    setrlimit(RLIMIT_NOFILE, (hard, hard))
    make_room_for(1)

    assert getrlimit(RLIMIT_NOFILE) == (hard, hard)


def test_to_look_changes_nothing(hard: int) -> None:
    assert room_for(100) == 100
    assert getrlimit(RLIMIT_NOFILE) == (FEW, hard)
