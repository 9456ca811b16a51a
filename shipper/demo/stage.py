"""The demo's far ends, each in a child process that ends with this one."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self, TypeVar

from setproctitle import setproctitle

from shipper.core.errors import StartupError
from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from shipper.demo.sqream.world import World

USUAL_SQREAM_PORT = 5000
USUAL_LOKI_PORT = 3100
START_SECONDS = 30.0
STOP_SECONDS = 5.0
SERVER = TypeVar("SERVER", SqreamEmulator, LogStore)


@dataclass(slots=True)
class Stage:
    """A SQream emulator and a log store, running: `with Stage() as stage: stage.sqream_port ...`.

    They take their usual ports when those are free, so that Grafana can be pointed at the log store.

    Attributes:
        sqream_port: Where the emulator listens, on 127.0.0.1.
        loki_port: Where the log store listens, on 127.0.0.1.
    """

    sqream_port: int = 0
    loki_port: int = 0
    _exit: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start both.

        Raises:
            StartupError: One of them does not start.
        """
        with ExitStack() as starting:
            sqream = starting.enter_context(_Player("SQream emulator", _play_sqream))
            loki = starting.enter_context(_Player("log store", _play_loki))
            self.sqream_port, self.loki_port = sqream.port(), loki.port()
            self._exit = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()


class _Player:
    """One far end in its process; a pipe tells its port, and its end when the pipe closes."""

    def __init__(self, name: str, play: Callable[[Connection], None]) -> None:
        self._name = name
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._child: BaseProcess = context.Process(target=_act, args=(name, play, theirs))
        self._child.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._child.join(STOP_SECONDS)
        self._child.kill()

    def port(self) -> int:
        """Wait until it listens and return its port."""
        try:
            if self._ours.poll(START_SECONDS):
                return int(self._ours.recv())
        except EOFError:
            pass
        raise StartupError(f"the {self._name} of the demo did not start")


def _act(name: str, play: Callable[[Connection], None], pipe: Connection) -> None:
    # Ctrl-C reaches the whole process group; the far ends go on until the shipper has drained.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setproctitle(f"shipper demo: {name}")
    play(pipe)
    # A session that hangs by request would keep the process; nothing here needs tidying.
    os._exit(0)


def _play_sqream(pipe: Connection) -> None:
    world = World(random.Random(), time.time)  # noqa: S311 - a play, no secret

    def start(port: int) -> SqreamEmulator:
        emulator = SqreamEmulator(port=port, world=world)
        emulator.start()
        return emulator

    emulator = _on_usual_port(start, USUAL_SQREAM_PORT)
    pipe.send(emulator.port)
    _wait_for_end(pipe)
    emulator.stop()


def _play_loki(pipe: Connection) -> None:
    def start(port: int) -> LogStore:
        store = LogStore(port=port)
        store.start()
        return store

    store = _on_usual_port(start, USUAL_LOKI_PORT)
    pipe.send(store.port)
    _wait_for_end(pipe)
    store.close()


def _on_usual_port(start: Callable[[int], SERVER], port: int) -> SERVER:
    try:
        return start(port)
    except OSError:
        return start(0)


def _wait_for_end(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, ConnectionResetError):
        return
