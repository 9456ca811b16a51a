"""What lookers-on cost: the real program ships 50,000 lines a second with nobody at `/live`, with one who reads, and
with a hundred who do not.

Lines come as datagrams, and a Loki that takes everything runs in another process. CPU is that of the worker and of the
web process; the sender, the far end and the viewers share the machine.
"""

from __future__ import annotations

import base64
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Thread

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.bench.far_ends import null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.shipper_run import ShipperRun, configured, cpu_seconds
from tests.bench.udp import DATAGRAM, UDP_SEGMENT
from tests.support.services import free_port

DATAGRAMS_A_CALL = 50
CALLS_A_SECOND = 1000
SECONDS = 5
STALLED = 100
SETTLE_SECONDS = 1.0
METRIC = "registers"
DELIVERED = "shipper_lines_delivered_total"


@dataclass(frozen=True, slots=True)
class Turn:
    """What some seconds came to.

    Attributes:
        lines_a_second: How many lines Loki took.
        worker_us: CPU of the worker for one line.
        web_percent: How much of a core the web process took.
    """

    lines_a_second: float
    worker_us: float
    web_percent: float


def measure() -> list[Figure]:
    """Run the program once, and let viewers come and go."""
    port = free_port()
    entry = {"type": "udp", "port": port, "format": "json", "every_seconds": 0.5}
    with null_sink() as loki:
        document = {"loki": {"url": f"http://127.0.0.1:{loki.port}"}, "metrics": {METRIC: entry}}
        with configured(document) as run:
            run.wait_for(lambda: bool(run.workers()))
            with _sending(port):
                alone = _turn(run, [])
                stalled = _turn(run, [_stalled] * STALLED)
                reading = _turn(run, [_reading])
                again = _turn(run, [])
    nobody = Turn(*((a + b) / 2 for a, b in zip(_values(alone), _values(again), strict=True)))
    return [
        Figure("lines a second, nobody looks", nobody.lines_a_second, "lines/s"),
        _ratio("lines a second", nobody.lines_a_second, stalled.lines_a_second, "at least", 0.98),
        _ratio("worker's CPU of a line", nobody.worker_us, stalled.worker_us, "at most", 1.15),
        Figure("worker's CPU of a line, nobody looks", nobody.worker_us, "us/line"),
        Figure("the same, 100 stalled viewers", stalled.worker_us, "us/line"),
        Figure("the same, one viewer who reads", reading.worker_us, "us/line"),
        Figure("web process, nobody looks", nobody.web_percent, "% of a core"),
        Figure("web process, 100 stalled viewers", stalled.web_percent, "% of a core"),
        Figure("web process, one viewer who reads", reading.web_percent, "% of a core"),
    ]


def _ratio(name: str, without: float, stalled: float, bound: str, goal: float) -> Figure:
    wanted = Goal("at least" if bound == "at least" else "at most", goal)
    return Figure(f"{name}: 100 stalled viewers against none", stalled / without, "x", wanted)


def _values(turn: Turn) -> tuple[float, float, float]:
    return turn.lines_a_second, turn.worker_us, turn.web_percent


def _turn(run: ShipperRun, viewers: Sequence[Callable[[str, ExitStack], None]]) -> Turn:
    (worker,), web = run.workers(), run.attendants()["web"]
    with ExitStack() as stack:
        for viewer in viewers:
            viewer(run.address, stack)
        time.sleep(SETTLE_SECONDS)
        began, lines = time.perf_counter(), run.total(DELIVERED)
        cpu, web_cpu = cpu_seconds([worker]), cpu_seconds([web])
        time.sleep(SECONDS)
        worker_cpu, web_cpu = cpu_seconds([worker]) - cpu, cpu_seconds([web]) - web_cpu
        lines, took = run.total(DELIVERED) - lines, time.perf_counter() - began
    return Turn(lines / took, worker_cpu / lines * 1e6, web_cpu / took * 100)


def _stalled(address: str, stack: ExitStack) -> None:
    """Open a WebSocket as a browser does, and read nothing but the answer to that."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    viewer = stack.enter_context(socket.create_connection((host, int(port))))
    key = base64.b64encode(os.urandom(16)).decode()
    viewer.sendall(
        f"GET /live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    if b" 101 " not in viewer.recv(64):
        raise RuntimeError("the viewer was not let in")


def _reading(address: str, stack: ExitStack) -> None:
    viewer = stack.enter_context(connect(address.replace("http", "ws") + "/live"))

    def read() -> None:
        try:
            for _message in viewer:
                pass
        except ConnectionClosed:
            pass

    reader = Thread(target=read, daemon=True)
    reader.start()
    # Closed first, so that the reader ends.
    stack.callback(reader.join, 5)
    stack.callback(viewer.close)


@contextmanager
def _sending(port: int) -> Iterator[None]:
    child = get_context("spawn").Process(target=_send, args=(port,), daemon=True)
    child.start()
    try:
        yield
    finally:
        child.terminate()
        child.join()


def _send(port: int) -> None:
    """Send 50,000 datagrams a second, a millisecond's worth at a time, until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(DATAGRAM))
        sending.connect(("127.0.0.1", port))
        began, number = time.perf_counter(), 0
        while True:
            number += 1
            time.sleep(max(0.0, began + number / CALLS_A_SECOND - time.perf_counter()))
            sending.send(DATAGRAM * DATAGRAMS_A_CALL)
