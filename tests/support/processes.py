"""Processes that a test steers: they live, beat, hang and die when it says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.support.clock import FakeClock


@dataclass
class FakePipeEnd:
    """One end of a pipe; what is sent goes to `hear`, or waits for the other end."""

    hear: Callable[[Any], None] | None = None
    waiting: deque[Any] = field(default_factory=deque)
    closed: bool = False
    broken: bool = False
    full: bool = False

    def fileno(self) -> int:
        return -1

    def send(self, message: Any) -> None:
        if self.broken:
            raise BrokenPipeError(32, "Broken pipe")
        if self.full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.waiting.append(message)
        if self.hear is not None:
            self.hear(message)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeProcess:
    """A process of a supervisor: lives until it is killed, told to stop, or made to die."""

    target: Callable[..., None]
    args: tuple[Any, ...]
    name: str
    pid: int
    orders: FakePipeEnd
    ended: list[str]
    obeys: bool = True
    exitcode: int | None = None
    started: bool = False
    joined: bool = False

    @property
    def sentinel(self) -> int:
        return self.pid

    @property
    def pulse(self) -> list[float]:
        numbers: list[float] = self.args[-2].numbers
        return numbers

    def start(self) -> None:
        self.started = True
        self.orders.hear = self._obey

    def die(self, exit_code: int) -> None:
        if self.exitcode is None:
            self.exitcode = exit_code
            self.ended.append(self.name)

    def kill(self) -> None:
        self.die(-9)

    def join(self) -> None:
        self.joined = True

    def _obey(self, order: object) -> None:
        if self.obeys and order == "stop":
            self.die(0)


@dataclass
class FakeContext:
    """Stands in for a multiprocessing context."""

    processes: list[FakeProcess] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    pids: Any = field(default_factory=lambda: count(101))
    _orders: list[FakePipeEnd] = field(default_factory=list)

    def RawArray(self, _kind: object, length: int) -> list[float]:  # noqa: N802 - its name there
        return [0.0] * length

    def Pipe(self, duplex: bool = True) -> tuple[FakePipeEnd, FakePipeEnd]:  # noqa: N802 - its name there
        assert not duplex
        self._orders.append(FakePipeEnd())
        return FakePipeEnd(), self._orders[-1]

    def Process(  # noqa: N802 - its name there
        self, *, target: Callable[..., None], args: tuple[Any, ...], name: str
    ) -> FakeProcess:
        process = FakeProcess(target, args, name, next(self.pids), self._orders[-1], self.ended)
        self.processes.append(process)
        return process

    def newest(self, name: str) -> FakeProcess:
        return [process for process in self.processes if process.name == name][-1]

    def started(self, name: str) -> int:
        return sum(process.started for process in self.processes if process.name == name)


@dataclass
class FakeAnswers:
    """The gate's end of a pipe: findings that wait, or silence while the clock goes on."""

    clock: FakeClock
    waiting: deque[Any] = field(default_factory=deque)
    over: bool = False
    closed: bool = False

    def poll(self, timeout_seconds: float) -> bool:
        if self.waiting or self.over:
            return True
        self.clock.pass_seconds(timeout_seconds)
        return False

    def recv(self) -> Any:
        if not self.waiting:
            raise EOFError
        return self.waiting.popleft()

    def send(self, message: Any) -> None:
        self.waiting.append(message)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeCheckProcess:
    """Runs what it was given at once, in this process, or never."""

    target: Callable[..., None]
    args: tuple[Any, ...]
    silent: bool
    killed: bool = False

    def start(self) -> None:
        if not self.silent:
            self.target(*self.args)

    def kill(self) -> None:
        self.killed = True

    def join(self) -> None:
        assert self.killed


@dataclass
class FakeCheckContext:
    """Makes the process of a gate's checks; a silent one never answers, one that crashes hangs up."""

    clock: FakeClock
    silent: bool = False
    crashes: bool = False
    processes: list[FakeCheckProcess] = field(default_factory=list)

    def Pipe(self, duplex: bool = True) -> tuple[FakeAnswers, FakeAnswers]:  # noqa: N802 - its name there
        assert not duplex
        answers = FakeAnswers(self.clock, over=self.crashes)
        return answers, answers

    def Process(  # noqa: N802 - its name there
        self, *, target: Callable[..., None], args: tuple[Any, ...], name: str
    ) -> FakeCheckProcess:
        assert name == "startup checks"
        self.processes.append(FakeCheckProcess(target, args, self.silent or self.crashes))
        return self.processes[-1]
