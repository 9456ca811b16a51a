"""What a datagram costs on its way from a socket to Loki, and whether any is lost at 100,000 a second.

The sender and the far end run in processes of their own; all of them share the machine. CPU is that of our whole
process, all threads. The whole way is that of a worker without its schedule: socket, rows, lines, queue, push.
"""

from __future__ import annotations

import gc
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random

import orjson

from shipper.core.clock import SystemClock
from shipper.core.record import Batch
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.udp import DEFAULT_BUFFER_BYTES
from shipper.sources.udp.formats import MAX_DATAGRAM_BYTES, Format
from shipper.sources.udp.port import LocalPort, dropped_datagrams, given_buffer_bytes
from shipper.sources.udp.source import UdpSource
from shipper.telemetry.tally import Tally
from tests.bench.far_ends import null_sink
from tests.bench.figures import Figure, Goal

DATAGRAMS_A_SECOND = 100_000
SECONDS = 10
SECONDS_ALONE = 3
DRAIN_SECONDS = 30.0
READ_SECONDS = 1.0
MS_A_SECOND = 1000

UDP_SEGMENT = 103
"""Lets the kernel cut what is sent into datagrams (Linux 4.18). With a call for each the sender needs half a core."""

DATAGRAMS_A_CALL = 50

# A register change as a pysmurf server publishes it, 203 bytes.
DATAGRAM = (
    b'{"host":"smurf-srv20","id":"STREAMER:crate1slot2","script":"PySmurf_Server",'
    b'"time":1589517272.1,"seq_no":3,"type":"metadata",'
    b'"payload":{"path":"AMCc.FpgaTopLevel.AppTop.Foo[3]","value":42,"type":"int"}}'
)
FORMATS: tuple[Format, ...] = ("json", "text", "pysmurf")
LABELS = {"job": "registers", "service_name": "udp", "instance": "127.0.0.1:8200"}


Receive = Callable[[LocalPort, Format, int | None, Connection], None]
"""Receives in a process of its own, says when it listens, and in the end what came."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came of the datagrams of one turn.

    Attributes:
        rows: How many became rows.
        dropped: How many the kernel says it threw away.
        cpu_seconds: CPU time of the process that received them.
    """

    rows: int
    dropped: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Datagrams that were sent, how long that took, and what came of them."""

    sent: int
    took_seconds: float
    received: Received

    @property
    def cpu_us(self) -> float:
        """CPU time of a datagram that came, in microseconds."""
        return self.received.cpu_seconds / self.received.rows * 1e6

    @property
    def lost(self) -> int:
        """How many never came."""
        return self.sent - self.received.rows


def measure() -> list[Figure]:
    """Send datagrams at a fixed rate to the whole of it, and to the source alone."""
    with null_sink() as loki:
        whole = _turn("json", SECONDS, loki.port)
    alone = {form: _turn(form, SECONDS_ALONE, None) for form in FORMATS}
    bare = _turn("json", SECONDS_ALONE, None, receive=_receive_bare)
    sent_at = f"sent at {whole.sent / whole.took_seconds:,.0f}/s"
    return [
        Figure("json, the whole way: CPU", whole.cpu_us, "us/datagram", Goal("at most", 5.5)),
        Figure(
            f"json, the whole way, {SECONDS} s: lost",
            whole.lost,
            "datagrams",
            Goal("exactly", 0),
            f"{sent_at}; the kernel tells of {whole.received.dropped:,}",
        ),
        *(
            Figure(
                f"{form}, the source alone: CPU",
                turn.cpu_us,
                "us/datagram",
                note=f"{turn.lost:,} lost",
            )
            for form, turn in alone.items()
        ),
        Figure(
            "json, the source alone: CPU against a bare loop",
            alone["json"].cpu_us / bare.cpu_us,
            "x",
            note=f"recv and orjson.loads, {bare.cpu_us:.2f} us/datagram, {bare.lost:,} lost",
        ),
        Figure("json, the whole way: CPU against that loop", whole.cpu_us / bare.cpu_us, "x"),
        Figure(
            "receive buffer", _given_bytes(), "bytes", note=f"asked for {DEFAULT_BUFFER_BYTES:,}"
        ),
    ]


def _turn(
    form: Format, seconds: int, loki_port: int | None, *, receive: Receive | None = None
) -> Turn:
    """Receive in a fresh process what this one sends."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    port = LocalPort("127.0.0.1", _free_port(), DEFAULT_BUFFER_BYTES)
    child = context.Process(
        target=receive or _receive, args=(port, form, loki_port, theirs), daemon=True
    )
    child.start()
    theirs.close()
    ours.recv()
    sent, took_seconds = _send(port, seconds)
    ours.send("all sent")
    received = ours.recv()
    child.join()
    return Turn(sent, took_seconds, received)


def _send(port: LocalPort, seconds: int) -> tuple[int, float]:
    """Send at the fixed rate, a millisecond's worth at a time, and return how many and how long it took."""
    calls_a_ms = DATAGRAMS_A_SECOND // MS_A_SECOND // DATAGRAMS_A_CALL
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(DATAGRAM))
        sending.connect((port.host, port.number))
        began = time.perf_counter()
        for number in range(seconds * MS_A_SECOND):
            time.sleep(max(0.0, began + number / MS_A_SECOND - time.perf_counter()))
            for _ in range(calls_a_ms):
                sending.send(DATAGRAM * DATAGRAMS_A_CALL)
        return seconds * DATAGRAMS_A_SECOND, time.perf_counter() - began


def _receive(port: LocalPort, form: Format, loki_port: int | None, pipe: Connection) -> None:
    # A pysmurf entry has labels by default, so that somebody looks at the fields.
    source = UdpSource(port, form, fields_wanted=form == "pysmurf")
    source.open()
    way = None if loki_port is None else _Way(f"http://127.0.0.1:{loki_port}")
    gc.freeze()  # as a worker does
    pipe.send("listening")
    began_seconds, rows, dropped = time.process_time(), 0, 0
    while (batch := source.read(READ_SECONDS)).rows or not pipe.poll():
        rows += len(batch.rows)
        dropped += batch.lost.get("kernel", 0)
        if way is not None:
            way.take(batch)
    if way is not None:
        way.finish()
    pipe.send(Received(rows, dropped, time.process_time() - began_seconds))


def _receive_bare(port: LocalPort, form: Format, loki_port: int | None, pipe: Connection) -> None:
    """Receive like a loop that anybody would write: a call for each datagram, and the same parsing; rows are let go."""
    del form, loki_port
    with port.bind() as bound:
        bound.settimeout(READ_SECONDS)
        pipe.send("listening")
        began_seconds, rows = time.process_time(), 0
        while True:
            try:
                orjson.loads(bound.recv(MAX_DATAGRAM_BYTES))
                rows += 1
            except TimeoutError:
                if pipe.poll():
                    break
        dropped = dropped_datagrams(bound)
        pipe.send(Received(rows, dropped, time.process_time() - began_seconds))


class _Way:
    """What a worker does with a batch: filing, queue, delivery thread, sink, counters."""

    def __init__(self, url: str) -> None:
        settings, clock, tally, random = LokiSettings(url=url), SystemClock(), Tally(), Random()
        log = logging.getLogger("bench")
        self._queue = DeliveryQueue(
            max_bytes=settings.queue_max_bytes, batch_bytes=settings.max_batch_bytes, clock=clock
        )
        self._filing = Filing(FilingRules(LABELS), overflowed=lambda _field: None)
        self._delivery = Delivery(
            metric="bench",
            sink=settings.build(),
            queue=self._queue,
            pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
            refusals=Refusals(metric="bench", sink="loki", tally=tally, log=log, clock=clock),
            tally=tally,
            log=log,
            clock=clock,
            settled=lambda: None,
            random=random,
        )
        self._delivery.start()

    def take(self, batch: Batch) -> None:
        """Put a batch on its way."""
        for stream in self._filing.streams(batch):
            self._queue.put(stream)

    def finish(self) -> None:
        """Wait until everything is delivered."""
        if not self._queue.wait_until_empty(DRAIN_SECONDS):
            raise RuntimeError(f"not everything was delivered: {self._delivery.fault}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _given_bytes() -> int:
    with LocalPort("127.0.0.1", _free_port(), DEFAULT_BUFFER_BYTES).bind() as bound:
        return given_buffer_bytes(bound)
