"""What a message of ZeroMQ costs until it is a row, beside the shortest loop that does the same.

The sender runs in a process of its own and sends as fast as it is taken; all share the machine. CPU is that of the
whole receiving process, the thread of ZeroMQ included. The loop has no bounds, no deadline and no refusals.
"""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median

import orjson
import zmq

from shipper.sources.zeromq.formats import RECODEX_KEYS, Format
from shipper.sources.zeromq.source import ZeromqSource
from shipper.sources.zeromq.wire import Endpoint, Wire
from tests.bench.figures import Figure, Goal

MESSAGES = 200_000
ROUNDS = 3
QUEUED_RECORDS = 10_000
BATCH_RECORDS = 1000
READ_SECONDS = 5.0

# A register change as a pysmurf server publishes it, 203 bytes.
REGISTER_CHANGE = (
    b'{"host":"smurf-srv20","id":"STREAMER:crate1slot2","script":"PySmurf_Server",'
    b'"time":1589517272.1,"seq_no":3,"type":"metadata",'
    b'"payload":{"path":"AMCc.FpgaTopLevel.AppTop.Foo[3]","value":42,"type":"int"}}'
)
SENT: dict[Format, list[bytes]] = {
    "json": [REGISTER_CHANGE],
    "recodex": [b"job-4711", b"TASK", b"compile-1", b"COMPLETED"],
}

Receive = Callable[[Endpoint, Format], Iterator[int]]
"""Yields 0 when it listens, and then how many messages came, again and again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn took.

    Attributes:
        cpu_us: CPU time of a message in the process that received it, microseconds.
        a_second: Messages a second.
    """

    cpu_us: float
    a_second: float


def measure() -> list[Figure]:
    """Let the source and the loop take turns with the same messages."""
    figures: list[Figure] = []
    for form in SENT:
        ours, loop = _turns(form)
        ratio = median(turn.cpu_us for turn in ours) / median(turn.cpu_us for turn in loop)
        figures += [
            Figure(f"{form}: CPU", median(turn.cpu_us for turn in ours), "us/message"),
            Figure(f"{form}: CPU of the loop", median(turn.cpu_us for turn in loop), "us/message"),
            Figure(f"{form}: CPU against the loop", ratio, "x", Goal("at most", 1.0)),
            Figure(f"{form}: speed", median(turn.a_second for turn in ours), "messages/s"),
            Figure(
                f"{form}: speed of the loop", median(turn.a_second for turn in loop), "messages/s"
            ),
        ]
    return figures


def _turns(form: Format) -> tuple[list[Turn], list[Turn]]:
    rounds = [(_turn(_with_the_source, form), _turn(_with_a_loop, form)) for _ in range(ROUNDS)]
    return [ours for ours, _ in rounds], [loop for _, loop in rounds]


def _turn(receive: Receive, form: Format) -> Turn:
    """Receive in a fresh process what another sends."""
    context = get_context("spawn")
    place = Endpoint("127.0.0.1", _free_port())
    ours, theirs = context.Pipe()
    receiving = context.Process(target=_timed, args=(receive, place, form, theirs), daemon=True)
    receiving.start()
    theirs.close()
    ours.recv()
    sending = context.Process(target=_send, args=(place, form), daemon=True)
    sending.start()
    turn: Turn = ours.recv()
    sending.join()
    receiving.join()
    return turn


def _send(place: Endpoint, form: Format) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as sending:
        sending.sndhwm = QUEUED_RECORDS
        sending.connect(f"tcp://{place}")
        frames = SENT[form]
        for _ in range(MESSAGES):
            sending.send_multipart(frames)


def _timed(receive: Receive, place: Endpoint, form: Format, pipe: Connection) -> None:
    """Time everything that comes behind the first of it, when the sender is at work."""
    counts = receive(place, form)
    next(counts)
    gc.freeze()  # as a worker does
    pipe.send("listening")
    left = MESSAGES - next(counts)
    timed, began, began_cpu = left, time.perf_counter(), time.process_time()
    while left > 0:
        left -= next(counts)
    took_seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    pipe.send(Turn(cpu_seconds / timed * 1e6, timed / took_seconds))


def _with_the_source(place: Endpoint, form: Format) -> Iterator[int]:
    source = ZeromqSource(Wire(place, most_queued_records=QUEUED_RECORDS), form)
    source.open()
    yield 0
    while True:
        yield len(source.read(READ_SECONDS).rows)


def _with_a_loop(place: Endpoint, form: Format) -> Iterator[int]:
    context = zmq.Context()
    receiving = context.socket(zmq.ROUTER)
    receiving.rcvhwm = QUEUED_RECORDS
    receiving.bind(f"tcp://{place}")
    yield 0
    while True:
        rows: list[dict[str, object]] = []
        while len(rows) < BATCH_RECORDS:
            _, *frames = receiving.recv_multipart()
            if form == "json":
                rows.append(orjson.loads(frames[0]))
            else:
                texts = [frame.decode() for frame in frames]
                rows.append(dict(zip(RECODEX_KEYS, texts, strict=False)))
        yield len(rows)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
