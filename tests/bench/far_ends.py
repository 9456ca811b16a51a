"""The far ends of a bench, each in a process of its own, so that their CPU is not taken for the shipper's."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from shipper.demo.sqream import Column, Row, SqreamEmulator
from shipper.demo.sqream.world import World
from tests.bench.null_sink import NullSink

START_SECONDS = 20.0
STOP_SECONDS = 5.0

Questions = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class FarEnd:
    """A server in another process: where it listens, and a line to ask it what it saw."""

    port: int
    _pipe: Connection

    def ask(self, question: str) -> Any:
        """Return the answer to one of the questions it knows."""
        self._pipe.send(question)
        return self._pipe.recv()


@dataclass(frozen=True, slots=True)
class Functions:
    """What an emulator answers: functions of these names, all with the same rows."""

    names: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Row]


@contextmanager
def null_sink(*, counts_streams: bool = False) -> Iterator[FarEnd]:
    """Run a null sink; it knows the question `seen`."""
    with _played(partial(_play_null_sink, counts_streams=counts_streams)) as far_end:
        yield far_end


@contextmanager
def emulator(functions: Functions) -> Iterator[FarEnd]:
    """Run a SQream emulator; it knows `counts` and `arrivals`, the moments of every function's statements."""
    with _played(partial(_play_emulator, functions)) as far_end:
        yield far_end


@contextmanager
def _played(play: Callable[[Connection], None]) -> Iterator[FarEnd]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=play, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise RuntimeError("the far end did not start")
        yield FarEnd(int(ours.recv()), ours)
    finally:
        ours.close()
        child.join(STOP_SECONDS)
        child.kill()


def _play_null_sink(pipe: Connection, *, counts_streams: bool) -> None:
    sink = NullSink(counts_streams=counts_streams)
    Thread(target=sink.serve_forever, daemon=True).start()
    pipe.send(sink.port)
    _answer(pipe, {"seen": lambda: sink.seen})


def _play_emulator(functions: Functions, pipe: Connection) -> None:
    emulator = SqreamEmulator(world=World(random.Random(7), time.time))
    arrivals: dict[str, list[float]] = {name: [] for name in functions.names}

    def rows(name: str) -> Sequence[Row]:
        arrivals[name].append(time.monotonic())
        return functions.rows

    for name in functions.names:
        emulator.serve(name, functions.columns, partial(rows, name))
    emulator.start()
    pipe.send(emulator.port)
    _answer(pipe, {"counts": lambda: emulator.counts, "arrivals": lambda: arrivals})


def _answer(pipe: Connection, questions: Questions) -> None:
    """Answer until the bench is gone."""
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        pipe.send(questions[question]())
