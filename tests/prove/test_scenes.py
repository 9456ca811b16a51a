"""The script is the seed's alone, and keeps what the program does not promise out of it."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from tests.prove.scenes import (
    Act,
    Begin,
    End,
    FillDisk,
    FreeDisk,
    Kill,
    Start,
    StartSource,
    StartStore,
    StopSource,
    StopStore,
    Terminate,
    Troubles,
    UntilDrained,
    UntilUp,
    Victim,
)

ENDS_THE_PROGRAM = (Victim.SUPERVISOR, Victim.SESSION)


def troubles(seed: int) -> Troubles:
    return Troubles(Random(seed), ["a", "b", "c"], longest_outage_seconds=5)


def acts(seed: int, rounds: int = 5) -> list[Act]:
    """Return the acts of so many whole rounds."""
    scenes = rounds * len(troubles(seed).scenes())
    return [act for scene in islice(troubles(seed).script(), scenes) for act in scene]


def test_the_same_seed_is_the_same_script_and_another_seed_another() -> None:
    assert acts(7) == acts(7)
    assert acts(7) != acts(8)


def test_everybody_is_killed_in_every_round() -> None:
    kills = {act.victim for act in acts(7, rounds=1) if isinstance(act, Kill)}

    assert kills == set(Victim)


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [(Begin, End), (StopStore, StartStore), (StopSource, StartSource), (FillDisk, FreeDisk)],
)
def test_a_scene_mends_what_it_breaks(breaks: type[Act], mends: type[Act]) -> None:
    scenes = [scene() for scene in troubles(7).scenes()]
    broken = [[type(act) for act in scene if isinstance(act, breaks | mends)] for scene in scenes]

    assert [breaks, mends] in broken
    assert [kinds for kinds in broken if kinds not in ([], [breaks, mends])] == []


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_killed_or_stopped_while_only_memory_holds_what_was_polled(seed: int) -> None:
    only_memory = False
    meanwhile = []
    for act in acts(seed):
        only_memory = isinstance(act, FillDisk) or (
            only_memory and not isinstance(act, UntilDrained)
        )
        if only_memory:
            meanwhile.append(act)

    assert any(isinstance(act, FreeDisk) for act in meanwhile)
    assert not [act for act in meanwhile if isinstance(act, Kill | Terminate | Start)]


@pytest.mark.parametrize("seed", range(5))
def test_a_program_that_was_ended_is_started_before_anything_else_needs_it(seed: int) -> None:
    runs = True
    for act in acts(seed):
        if isinstance(act, Start):
            assert not runs
            runs = True
        elif isinstance(act, Kill | Terminate | UntilUp | UntilDrained):
            assert runs
            runs = isinstance(act, UntilUp | UntilDrained) or (
                isinstance(act, Kill) and act.victim not in ENDS_THE_PROGRAM
            )
