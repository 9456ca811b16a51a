"""What a line costs on its way from a row to Loki, beside one POST a row, python-logging-loki, and a bare socket.

The far end takes everything at once and runs in another process. CPU is that of our whole process, all threads. What
comes before the rows (the driver) is not part of it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from random import Random
from statistics import median
from tempfile import mkdtemp

import logging_loki
import requests
import zmq

from shipper.core.clock import SystemClock
from shipper.core.record import Batch, Stream
from shipper.live.lines import LineSender
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.showing import Show
from shipper.sinks.loki.client import PUSH_PATH
from shipper.sinks.loki.encode import encode_protobuf
from shipper.sinks.loki.settings import LokiSettings
from shipper.telemetry.tally import Tally
from tests.bench.far_ends import null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import rows
from tests.bench.shipper_run import KEEP_FREED_MEMORY

ROUNDS = 5
LABELS = {"job": "show_server_status", "service_name": "sqream", "instance": "10.0.0.5:5000"}
DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to deliver lines.

    Attributes:
        name: For the table.
        turns: How often `deliver` is called in a round.
        deliver: Delivers some lines and returns how many.
    """

    name: str
    turns: int
    deliver: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a line cost, as medians of the rounds."""

    cpu_us: float
    wall_us: float


def measure() -> list[Figure]:
    """Let all contenders take turns, and the shipper once more with another setting of glibc."""
    costs = _in_a_child({})
    kept = _in_a_child(KEEP_FREED_MEMORY)
    large, small = costs["shipper, 5,000 rows"], costs["shipper, 200 rows"]
    return [
        Figure("5,000 rows a batch: CPU", large.cpu_us, "us/line", Goal("at most", 2.0)),
        Figure("200 rows a batch: CPU", small.cpu_us, "us/line", Goal("at most", 2.0)),
        Figure("5,000 rows a batch: speed", 1e6 / large.wall_us, "lines/s", note="wall clock"),
        Figure("200 rows a batch: speed", 1e6 / small.wall_us, "lines/s", note="wall clock"),
        _against(costs["one POST a row"], "one POST a row", large, Goal("at least", 50)),
        _against(costs["python-logging-loki"], "python-logging-loki", large, Goal("at least", 20)),
        _multiple("5,000 rows", large, costs["bare socket, 5,000 rows"]),
        _multiple("200 rows", small, costs["bare socket, 200 rows"]),
        Figure(
            "5,000 rows, freed memory kept",
            kept["shipper, 5,000 rows"].cpu_us,
            "us/line",
            note="by MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_",
        ),
        Figure("200 rows, freed memory kept", kept["shipper, 200 rows"].cpu_us, "us/line"),
        _of_the_feed("5,000 rows", costs["shipper with the feed, 5,000 rows"], large),
        _of_the_feed("200 rows", costs["shipper with the feed, 200 rows"], small),
        Figure("without queue and thread", costs["filing and sink"].cpu_us, "us/line"),
    ]


def _against(rival: Cost, name: str, shipper: Cost, goal: Goal) -> Figure:
    return Figure(
        f"lines per CPU second against {name}",
        rival.cpu_us / shipper.cpu_us,
        "x",
        goal,
        f"which needs {rival.cpu_us:,.0f} us/line",
    )


def _of_the_feed(size: str, with_feed: Cost, without: Cost) -> Figure:
    return Figure(
        f"{size} a batch: with the live feed that nobody watches",
        with_feed.cpu_us / without.cpu_us,
        "x",
        Goal("at most", 1.05),
        f"{with_feed.cpu_us:.2f} us/line",
    )


def _multiple(size: str, shipper: Cost, floor: Cost) -> Figure:
    return Figure(
        f"{size} a batch: multiple of a bare socket",
        shipper.cpu_us / floor.cpu_us,
        "x",
        note=f"which needs {floor.cpu_us:.2f} us/line for bodies encoded before",
    )


def _in_a_child(environment: Mapping[str, str]) -> dict[str, Cost]:
    """Measure in a fresh process, because glibc reads its environment once."""
    with null_sink() as loki, _environment(environment), get_context("spawn").Pool(1) as pool:
        return pool.apply(_compete, (loki.port, not environment))


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]


def _compete(port: int, everybody: bool) -> dict[str, Cost]:
    url = f"http://127.0.0.1:{port}"
    contenders = [
        Contender("shipper, 5,000 rows", 10, _shipper(url, 5000)),
        Contender("shipper, 200 rows", 100, _shipper(url, 200)),
        Contender("shipper with the feed, 5,000 rows", 10, _shipper(url, 5000, feed=True)),
        Contender("shipper with the feed, 200 rows", 100, _shipper(url, 200, feed=True)),
        Contender("filing and sink", 10, _filing_and_sink(url, 5000)),
        Contender("bare socket, 5,000 rows", 10, _bare_socket(port, 5000)),
        Contender("bare socket, 200 rows", 100, _bare_socket(port, 200)),
    ]
    if everybody:
        contenders += [
            Contender("one POST a row", 400, _one_post_a_row(url + PUSH_PATH)),
            Contender("python-logging-loki", 300, _logging_loki(url + PUSH_PATH)),
        ]
    for contender in contenders:
        contender.deliver()
    rounds = [{each.name: _cost(each) for each in contenders} for _ in range(ROUNDS)]
    return {
        each.name: Cost(
            cpu_us=median(costs[each.name].cpu_us for costs in rounds),
            wall_us=median(costs[each.name].wall_us for costs in rounds),
        )
        for each in contenders
    }


def _cost(contender: Contender) -> Cost:
    wall_began, cpu_began = time.perf_counter(), time.process_time()
    lines = sum(contender.deliver() for _ in range(contender.turns))
    cpu_seconds = time.process_time() - cpu_began
    wall_seconds = time.perf_counter() - wall_began
    return Cost(cpu_us=cpu_seconds / lines * 1e6, wall_us=wall_seconds / lines * 1e6)


def _filing() -> Filing:
    return Filing(FilingRules(LABELS), overflowed=lambda _field: None)


def _batch(row_count: int) -> Callable[[], Batch]:
    polled = rows(row_count)
    return lambda: Batch(polled, read_at_ns=time.time_ns())


def _shipper(url: str, row_count: int, *, feed: bool = False) -> Callable[[], int]:
    """Return the whole way of a worker, but for the source: filing, queue, delivery thread, sink, counters."""
    settings, clock, tally, random = LokiSettings(url=url), SystemClock(), Tally(), Random()
    batch_bytes, log = settings.max_batch_bytes, logging.getLogger("bench")
    queue = DeliveryQueue(max_bytes=settings.queue_max_bytes, batch_bytes=batch_bytes, clock=clock)
    delivery = Delivery(
        metric="bench",
        sink=settings.build(),
        queue=queue,
        pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
        refusals=Refusals(metric="bench", sink="loki", tally=tally, log=log, clock=clock),
        tally=tally,
        log=log,
        clock=clock,
        settled=lambda: None,
        random=random,
        show=_unwatched() if feed else None,
    )
    delivery.start()
    filing, batch = _filing(), _batch(row_count)

    def deliver() -> int:
        for stream in filing.streams(batch()):
            queue.put(stream)
        if not queue.wait_until_empty(DRAIN_SECONDS):
            raise RuntimeError(f"nothing was delivered: {delivery.fault}")
        return row_count

    return deliver


def _unwatched() -> Show:
    """Return where lines are shown while nobody looks."""
    address = f"ipc://{mkdtemp(prefix='bench-')}/feed.sock"
    return LineSender("bench", address, zmq.Context()).show


def _filing_and_sink(url: str, row_count: int) -> Callable[[], int]:
    sink = LokiSettings(url=url, max_batch_bytes=4_000_000).build()
    filing, batch = _filing(), _batch(row_count)

    def deliver() -> int:
        for stream in filing.streams(batch()):
            sink.write(stream)
        return row_count

    return deliver


def _bare_socket(port: int, row_count: int) -> Callable[[], int]:
    """Return the least that any sender has to do: bodies that are there already, over a kept connection."""
    (stream,) = _filing().streams(_batch(row_count)())
    halves = [0, row_count // 2, row_count]
    requests_bytes = [_request(stream.part(*ends)) for ends in pairwise(halves)]
    connection = socket.create_connection(("127.0.0.1", port))

    def deliver() -> int:
        for request in requests_bytes:
            connection.sendall(request)
            connection.recv(1024)
        return row_count

    return deliver


def _request(stream: Stream) -> bytes:
    body = encode_protobuf("{}", stream)
    head = (
        f"POST {PUSH_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _one_post_a_row(url: str) -> Callable[[], int]:
    """Return what the monitor of 2024 did: every row a request of its own, its columns as labels."""
    polled = _endless(rows(200))

    def deliver() -> int:
        labels = {"timestamp": time.strftime("%F %T"), "job": "show_server_status", **next(polled)}
        values = [[str(time.time_ns()), str(labels)]]
        answer = requests.post(
            url, json={"streams": [{"stream": labels, "values": values}]}, timeout=10
        )
        answer.raise_for_status()
        return 1

    return deliver


def _logging_loki(url: str) -> Callable[[], int]:
    log = logging.getLogger("bench.rival")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging_loki.LokiHandler(url=url, tags=LABELS, version="1"))
    polled = _endless(rows(200))

    def deliver() -> int:
        log.info(json.dumps(next(polled)))
        return 1

    return deliver


def _endless(polled: Sequence[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    while True:
        yield from polled
