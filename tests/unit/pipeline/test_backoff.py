"""Waits between attempts."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.pipeline.backoff import Backoff
from tests.support.clock import FakeRandom


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 30), (8, 30), (10_000, 30)],
)
def test_the_ceiling_doubles_up_to_the_longest_wait(attempt: int, seconds: float) -> None:
    assert Backoff(0.5, 30).wait_seconds(attempt, FakeRandom(1.0)) == seconds


def test_the_jitter_is_full() -> None:
    waits = [Backoff(8, 30).wait_seconds(1, FakeRandom(fraction)) for fraction in (0, 0.25, 1)]

    assert waits == [0, 2, 8]


@given(attempt=st.integers(1, 10**6), seed=st.integers())
def test_a_wait_is_never_longer_than_the_longest(attempt: int, seed: int) -> None:
    assert 0 <= Backoff(0.5, 30).wait_seconds(attempt, Random(seed)) <= 30
