"""How lost datagrams are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.udp.losses import LATE_NUMBERS, MAX_SENDERS, DropCounter, Sequences


def gaps(*numbers: int) -> int:
    sequences = Sequences()
    for number in numbers:
        sequences.follow("sender", number)
    return sequences.gaps


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        pytest.param([0, 1, 2], 0, id="none"),
        pytest.param([14, 15], 0, id="begun before we listened"),
        pytest.param([0, 2, 3, 6], 3, id="left out"),
        pytest.param([7, 8, 0, 1], 0, id="begun anew"),
        pytest.param([7, 8, 0, 2], 1, id="begun anew and left out"),
        pytest.param([900, 5, 6, 8], 1, id="begun anew, its first ones lost"),
        pytest.param([5, 6, 6, 7], 0, id="twice"),
        pytest.param([5, 8, 6, 7, 9], 2, id="late ones were counted, and count no more"),
    ],
)
def test_numbers_that_were_left_out_are_lost(numbers: list[int], lost: int) -> None:
    assert gaps(*numbers) == lost


def test_a_late_number_does_not_turn_the_sequence_back() -> None:
    assert gaps(LATE_NUMBERS + 5, 6, LATE_NUMBERS + 6) == 0


@given(st.lists(st.integers(min_value=0, max_value=10**6)))
def test_the_number_of_gaps_never_falls(numbers: list[int]) -> None:
    sequences = Sequences()
    seen = [0]
    for number in numbers:
        sequences.follow("sender", number)
        seen.append(sequences.gaps)

    assert seen == sorted(seen)


@given(st.sets(st.integers(min_value=1, max_value=300)))
def test_what_is_left_out_between_first_and_last_is_counted_exactly(missing: set[int]) -> None:
    came = [number for number in range(302) if number not in missing]

    assert gaps(*came) == len(missing)


def test_of_too_many_senders_the_one_that_was_silent_longest_is_forgotten() -> None:
    sequences = Sequences()
    for sender in range(MAX_SENDERS):
        sequences.follow(sender, 1)
    sequences.follow(0, 2)
    sequences.follow("one more", 1)
    sequences.follow(1, 9)
    sequences.follow(0, 5)

    assert sequences.gaps == 2


def test_gaps_are_taken_once_and_the_numbers_go_on() -> None:
    sequences = Sequences()
    for number in (0, 3):
        sequences.follow("sender", number)

    assert [sequences.take(), sequences.take()] == [2, 0]
    sequences.follow("sender", 5)
    assert sequences.take() == 1


def test_drops_are_added_up_over_sockets() -> None:
    drops = DropCounter()
    for counts in ([3, 3, 8], [2]):
        drops.start()
        for count in counts:
            drops.read(count)

    assert drops.total == 10


def test_a_counter_of_the_kernel_that_overflows_goes_on() -> None:
    drops = DropCounter()
    drops.read(2**32 - 1)
    drops.read(4)

    assert drops.total == 2**32 + 4


def test_drops_are_taken_once_and_the_counter_goes_on() -> None:
    drops = DropCounter()
    drops.read(3)

    assert [drops.take(), drops.take()] == [3, 0]
    drops.read(5)
    assert drops.take() == 2
