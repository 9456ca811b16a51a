"""The circuit between real processes: an outage, the time after it, and processes that are killed or frozen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import pytest

from shipper.pipeline.circuit.rules import BACKOFF, PROBE_COUNTS_SECONDS, RAMP_SECONDS
from tests.support.shipper_process import ROOT, until

WORKERS = 20
PUSH_SECONDS = 0.02

WORKER = """
import socket, sys, time
from pathlib import Path
from random import Random
from shipper.core.clock import SystemClock
from shipper.pipeline.circuit import Circuit

port, path, pushes = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
circuit = Circuit(path, clock=SystemClock(), random=Random())
while pushes:
    if wait_seconds := circuit.wait_seconds():
        time.sleep(wait_seconds)
        continue
    with socket.create_connection(("127.0.0.1", port)) as connection:
        taken = connection.recv(1) == b"y"
    if taken:
        circuit.passed()
        pushes -= 1
    else:
        circuit.failed(None)
circuit.close()
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One push: when it came and went, and how many others were under way when it came."""

    began: float
    beside: int
    taken: bool


@dataclass
class Destination:
    """Takes connections and says yes or no after a while; a silent one says nothing until it changes."""

    answer: bytes = b"y"
    attempts: list[Attempt] = field(default_factory=list)
    under_way: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def since(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in list(self.attempts) if attempt.began >= moment]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            answer = self.answer
            self.attempts.append(Attempt(time.monotonic(), self.under_way, answer == b"y"))
            self.under_way += 1
        with connection, suppress(OSError):
            time.sleep(PUSH_SECONDS)
            connection.settimeout(0.05)
            while not answer and not _hung_up(connection):
                answer = self.answer
            connection.sendall(answer)
        with self._lock:
            self.under_way -= 1


def _hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.fixture
def destination() -> Iterator[Destination]:
    with Destination() as running:
        yield running


@contextmanager
def workers(
    destination: Destination, path: Path, *, count: int = WORKERS, pushes: int = 10**9
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run processes that push as fast as they may, until they are through."""
    words = [sys.executable, "-c", WORKER, str(destination.port), str(path), str(pushes)]
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = stack.enter_context(
                subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
            )
            stack.callback(process.kill)
            started.append(process)
        yield started


def test_an_outage_is_left_alone_and_its_end_is_taken_gently(
    destination: Destination, tmp_path: Path
) -> None:
    with workers(destination, tmp_path / "loki.circuit"):
        until(lambda: max((each.beside for each in destination.attempts), default=0) >= 5)
        destination.answer = b"n"
        down = time.monotonic()
        time.sleep(4)
        back = time.monotonic()
        destination.answer = b"y"
        until(lambda: any(each.taken for each in destination.since(back)))
        first = next(each.began for each in destination.since(back) if each.taken)
        time.sleep(RAMP_SECONDS + 1.5)
        seen = destination.since(down)
    while_down = [each for each in seen if each.began < back and not each.taken]
    # Those that were under way, or began before they could hear of it, and then the probes.
    probes = [each for each in while_down if each.began > down + 0.5]
    second = [each for each in seen if first <= each.began < first + 1.0]

    assert len(while_down) <= WORKERS + 12
    assert len(probes) <= 10
    assert {each.beside for each in probes} <= {0}
    assert first - back < BACKOFF.first_seconds * 2 ** (len(probes) + 1) + 1
    assert max(each.beside for each in second) < 4
    assert max(each.beside for each in seen if each.began > first + RAMP_SECONDS) >= 5


def test_everybody_is_through_soon_after_the_destination_is_back(
    destination: Destination, tmp_path: Path
) -> None:
    destination.answer = b"n"
    with workers(destination, tmp_path / "loki.circuit", pushes=10) as running:
        until(lambda: len(destination.attempts) >= 3)
        destination.answer = b"y"
        back = time.monotonic()
        until(lambda: all(process.poll() is not None for process in running))
        through_seconds = time.monotonic() - back

    assert sum(each.taken for each in destination.attempts) == WORKERS * 10
    assert through_seconds < 10


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_whoever_is_killed_or_frozen_while_he_probes_does_not_stop_the_others(
    destination: Destination, tmp_path: Path, fate: signal.Signals
) -> None:
    destination.answer = b"n"
    with workers(destination, tmp_path / "loki.circuit", count=5) as running:
        until(lambda: len(destination.attempts) >= 3)
        destination.answer = b""
        silent = time.monotonic()
        until(lambda: destination.since(silent))
        (prober,) = until(lambda: _connected(running))
        prober.send_signal(fate)
        struck = time.monotonic()
        destination.answer = b"y"
        until(lambda: sum(each.taken for each in destination.since(struck)) >= 20)
        passed_after = next(each.began for each in destination.since(struck) if each.taken) - struck

    assert passed_after < PROBE_COUNTS_SECONDS + 2


def test_whoever_is_frozen_with_the_lock_in_his_hand_does_not_stop_the_others(
    destination: Destination, tmp_path: Path
) -> None:
    path = tmp_path / "loki.circuit"
    destination.answer = b"n"
    with workers(destination, path, count=5):
        until(lambda: len(destination.attempts) >= 2)
        holder = subprocess.Popen(["flock", str(path), "sleep", "60"], start_new_session=True)
        try:
            time.sleep(0.2)
            destination.answer = b"y"
            back = time.monotonic()
            until(lambda: sum(each.taken for each in destination.since(back)) >= 100)
        finally:
            os.killpg(holder.pid, signal.SIGKILL)
            holder.wait()
        through_seconds = time.monotonic() - back

    assert through_seconds < 15


def _connected(processes: Sequence[subprocess.Popen[bytes]]) -> list[subprocess.Popen[bytes]]:
    return [one for one in processes if psutil.Process(one.pid).net_connections(kind="tcp")]
