"""The process of a plan, with a real pipe to it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, cast

import pytest

from shipper.supervise.child import Child
from shipper.supervise.plan import WorkerPlan
from tests.support.processes import FakeContext

MORE_THAN_A_PIPE_HOLDS = "x" * 100_000


class ContextWithPipes(FakeContext):
    """Makes fake processes, and keeps for the test what a real one would hear."""

    heard: Connection

    def Pipe(self, duplex: bool = True) -> Any:  # noqa: N802 - its name there
        super().Pipe(duplex)
        ends = multiprocessing.Pipe(duplex)
        self.heard = Connection(os.dup(ends[0].fileno()), writable=False)
        return ends


@pytest.fixture
def context() -> Iterator[ContextWithPipes]:
    made = ContextWithPipes()
    yield made
    if not made.heard.closed:
        made.heard.close()


@pytest.fixture
def child(context: ContextWithPipes) -> Iterator[Child]:
    started = Child.start(WorkerPlan("a", print, ("assignment",)), cast("Any", context))
    yield started
    started.end()


def test_it_gets_its_arguments_a_pulse_and_an_end_of_a_pipe(
    child: Child, context: ContextWithPipes
) -> None:
    assignment, pulse, heard = context.newest("a").args

    assert (assignment, list(pulse.numbers)) == ("assignment", [0, 0, 0])
    assert heard.closed


def test_it_hears_what_it_is_told(child: Child, context: ContextWithPipes) -> None:
    child.tell("stop")

    assert context.heard.recv() == "stop"


def test_one_that_does_not_listen_holds_nobody_up(child: Child) -> None:
    with pytest.raises(BlockingIOError):
        child.tell(MORE_THAN_A_PIPE_HOLDS)


def test_one_that_is_gone_is_told_apart_from_one_that_does_not_listen(
    child: Child, context: ContextWithPipes
) -> None:
    context.heard.close()

    with pytest.raises(BrokenPipeError):
        child.tell("stop")


def test_it_is_seen_with_its_beats_until_it_has_ended(
    child: Child, context: ContextWithPipes
) -> None:
    context.newest("a").pulse[:] = [5.0, 4.0, 3.0]
    alive = child.sight(now_seconds=7.0)
    context.newest("a").die(3)
    dead = child.sight(now_seconds=8.0)

    assert (alive.now_seconds, alive.exit_code, alive.beat_seconds) == (7, None, 5)
    assert (alive.poll_began_seconds, alive.polls) == (4, 3)
    assert dead.exit_code == 3


def test_its_end_is_collected_and_its_exit_code_returned(
    child: Child, context: ContextWithPipes
) -> None:
    assert child.end() == -9
    assert context.newest("a").joined
