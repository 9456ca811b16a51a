"""What a small poll costs: 20 metrics at 1 s whose function has two rows, all CPU of all workers.

Beside it what the parts of a poll cost when they run one right after the other, which is less: a worker that wakes
once a second finds the caches cold.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shipper.config.secret import Secret
from shipper.core.record import Batch
from shipper.pipeline.filing import Filing, FilingRules
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.source import SqreamSource
from tests.bench.far_ends import FarEnd, emulator, null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import functions, rows
from tests.bench.shipper_run import cpu_seconds, shipper

METRICS = 20
WARM_UP_SECONDS = 3.0
RUN_SECONDS = 20.0
REPEATS = 300
POLL_SECONDS = 30.0


def measure() -> list[Figure]:
    """Let a real run poll for 20 s, then take the parts apart."""
    served = functions(METRICS)
    with emulator(served) as sqream, null_sink() as loki:
        with shipper(served.names, every_seconds=1, sqream=sqream, loki=loki) as run:
            run.wait_for_polls(METRICS)
            time.sleep(WARM_UP_SECONDS)
            workers = run.workers()
            cpu_before, polls_before = cpu_seconds(workers), run.polls()
            time.sleep(RUN_SECONDS)
            cpu_after, polls = cpu_seconds(workers), run.polls() - polls_before
        parts = _parts(served.names[0], sqream, loki)
    whole_ms = (cpu_after - cpu_before) / polls * 1e3
    return [
        Figure(
            "CPU of a poll, in the whole worker",
            whole_ms,
            "ms",
            Goal("at most", 1.2),
            f"{polls} polls",
        ),
        *parts,
    ]


def _parts(function: str, sqream: FarEnd, loki: FarEnd) -> list[Figure]:
    connection = SqreamConnection(
        host="127.0.0.1", port=sqream.port, password=Secret("literal", "sqream")
    )
    source = SqreamSource(connection, f"select {function}()")
    source.open()
    filing = Filing(FilingRules({"job": "bench"}), overflowed=lambda _field: None)
    sink = LokiSettings(url=f"http://127.0.0.1:{loki.port}").build()
    batch = Batch(rows(2), read_at_ns=time.time_ns())
    (stream,) = filing.streams(batch)
    figures = [
        _part("source", lambda: source.read(POLL_SECONDS)),
        _part("filing", lambda: filing.streams(batch)),
        _part("sink", lambda: sink.write(stream)),
    ]
    source.close()
    sink.close()
    return figures


def _part(name: str, step: Callable[[], object]) -> Figure:
    for _ in range(REPEATS // 10):
        step()
    began = time.process_time()
    for _ in range(REPEATS):
        step()
    taken_ms = (time.process_time() - began) / REPEATS * 1e3
    return Figure(f"{name}, again and again", taken_ms, "ms")
