"""What it costs to keep lines on disk and to drain them later, beside delivering the same lines at once.

Batches are kept one after the other, each durably, as a worker does while Loki is away; then, as after a restart, the
real sink delivers them to a far end that takes everything. Filing is not part of it. The disk is the one of the
system's temporary folder; `TMPDIR` names another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from shipper.core.clock import SystemClock
from shipper.core.record import Batch, Stream
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.spool import Shelf, Spool
from shipper.sinks.loki.settings import LokiSettings
from shipper.telemetry.tally import Tally
from tests.bench.far_ends import null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.lines import DRAIN_SECONDS, LABELS, ROUNDS, Cost
from tests.bench.rows import rows

SIZES = {5000: 20, 200: 100, 2: 500}
"""Rows of a batch, and how many batches wait."""

SIZES_WITH_A_GOAL = (5000, 200)
"""Two rows in memory are joined for nothing; on disk each pair is a row of the database."""

SPOOL_BYTES = 1024 * 1024 * 1024
LOG = logging.getLogger("bench")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to.

    Attributes:
        keep: The cost of keeping.
        keep_ms: How long it took to keep one batch; the median.
        drain: The cost of draining.
        direct: The cost of delivering from memory.
        disk_bytes: What a line takes on disk.
        raw_bytes: What a line is.
    """

    keep: Cost
    keep_ms: float
    drain: Cost
    direct: Cost
    disk_bytes: float
    raw_bytes: float


def measure() -> list[Figure]:
    """Keep, drain and deliver batches of each size, in turns."""
    with null_sink() as loki:
        url = f"http://127.0.0.1:{loki.port}"
        rounds: dict[int, list[Round]] = {size: [] for size in SIZES}
        for turn in range(ROUNDS + 1):
            for size, batches in SIZES.items():
                done = _round(url, _streams(size, batches))
                if turn:  # the first only warms up
                    rounds[size].append(done)
    return [figure for size, some in rounds.items() for figure in _figures(size, some)]


def _figures(size: int, rounds: Sequence[Round]) -> Iterator[Figure]:
    name = f"{size:,} rows a batch"
    keep, drain, direct = (
        Cost(median(each.cpu_us for each in costs), median(each.wall_us for each in costs))
        for costs in zip(*((each.keep, each.drain, each.direct) for each in rounds), strict=True)
    )
    disk_bytes = median(each.disk_bytes for each in rounds)
    raw_bytes = median(each.raw_bytes for each in rounds)
    keep_ms = median(each.keep_ms for each in rounds)
    yield Figure(f"{name}: keep, CPU", keep.cpu_us, "us/line")
    yield Figure(f"{name}: keep, one batch", keep_ms, "ms", note="wall clock, with its fsync")
    yield Figure(f"{name}: keep, speed", 1e6 / keep.wall_us, "lines/s", note="wall clock")
    yield Figure(f"{name}: drain, CPU", drain.cpu_us, "us/line")
    yield Figure(f"{name}: drain, speed", 1e6 / drain.wall_us, "lines/s", note="wall clock")
    yield Figure(
        f"{name}: drain against delivery from memory",
        drain.cpu_us / direct.cpu_us,
        "x CPU",
        Goal("at most", 1.5) if size in SIZES_WITH_A_GOAL else None,
        f"which needs {direct.cpu_us:.2f} us/line",
    )
    yield Figure(
        f"{name}: keep and drain against the same",
        (keep.cpu_us + drain.cpu_us) / direct.cpu_us,
        "x CPU",
    )
    yield Figure(
        f"{name}: on disk", disk_bytes, "bytes/line", note=f"raw lines are {raw_bytes:.0f} bytes"
    )


def _round(url: str, streams: Sequence[Stream]) -> Round:
    lines = sum(map(len, streams))
    raw_bytes = sum(len(line) for stream in streams for line in stream.lines)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        spool = _spool(path)
        queue = _queue(Shelf(spool, "loki", SPOOL_BYTES))
        keeps_seconds: list[float] = []
        with _measured(lines) as keep:
            for stream in streams:
                began = time.perf_counter()
                queue.put(stream)
                queue.keep()
                keeps_seconds.append(time.perf_counter() - began)
        if not queue.wait_until_safe(0):
            raise RuntimeError(f"nothing was kept: {spool.trouble}")
        spool.close()
        disk_bytes = path.stat().st_size
        spool = _spool(path)
        drain = _delivered(url, _queue(Shelf(spool, "loki", SPOOL_BYTES)), lines)
        spool.close()
    memory = _queue(None)
    for stream in streams:
        memory.put(stream)
    return Round(
        keep=keep[0],
        keep_ms=median(keeps_seconds) * 1000,
        drain=drain,
        direct=_delivered(url, memory, lines),
        disk_bytes=disk_bytes / lines,
        raw_bytes=raw_bytes / lines,
    )


def _delivered(url: str, queue: DeliveryQueue, lines: int) -> Cost:
    """Deliver what waits, over a new connection, and return the cost of a line."""
    clock, tally, random = SystemClock(), Tally(), Random()
    delivery = Delivery(
        metric="bench",
        sink=LokiSettings(url=url).build(),
        queue=queue,
        pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
        refusals=Refusals(metric="bench", sink="loki", tally=tally, log=LOG, clock=clock),
        tally=tally,
        log=LOG,
        clock=clock,
        settled=lambda: None,
        random=random,
    )
    with _measured(lines) as cost:
        delivery.start()
        if not queue.wait_until_empty(DRAIN_SECONDS):
            raise RuntimeError(f"nothing was delivered: {delivery.fault}")
    delivery.finish(DRAIN_SECONDS)
    return cost[0]


@contextmanager
def _measured(lines: int) -> Iterator[list[Cost]]:
    """Measure the block; its cost is in the list at its end."""
    cost: list[Cost] = []
    wall_began, cpu_began = time.perf_counter(), time.process_time()
    yield cost
    cpu_seconds = time.process_time() - cpu_began
    wall_seconds = time.perf_counter() - wall_began
    cost.append(Cost(cpu_us=cpu_seconds / lines * 1e6, wall_us=wall_seconds / lines * 1e6))


def _spool(path: Path) -> Spool:
    return Spool(path, clock=SystemClock(), log=LOG, damaged=lambda _lines: None)


def _queue(shelf: Shelf | None) -> DeliveryQueue:
    settings = LokiSettings()
    return DeliveryQueue(
        max_bytes=SPOOL_BYTES,
        batch_bytes=settings.max_batch_bytes,
        clock=SystemClock(),
        shelf=shelf,
    )


def _streams(size: int, batches: int) -> list[Stream]:
    filing = Filing(FilingRules(LABELS), overflowed=lambda _field: None)
    polled = rows(size)
    began_ns = time.time_ns()
    return [
        stream
        for number in range(batches)
        for stream in filing.streams(Batch(polled, began_ns + number * 10**6))
    ]
