"""How long it takes from the start of the process, with startup checks, to the first push."""

from __future__ import annotations

import time
from statistics import median

from tests.bench.far_ends import emulator, null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import functions
from tests.bench.shipper_run import shipper

METRICS = 5
RUNS = 5
PATIENCE_SECONDS = 30.0


def measure() -> list[Figure]:
    """Start five times and return the median."""
    _seconds_to_first_push()  # the first one compiles
    took = sorted(_seconds_to_first_push() for _ in range(RUNS))
    return [
        Figure("first push", median(took), "s", Goal("at most", 1.0), f"{METRICS} metrics"),
        Figure("first push, slowest run", took[-1], "s", note=f"of {RUNS}"),
    ]


def _seconds_to_first_push() -> float:
    served = functions(METRICS)
    with emulator(served) as sqream, null_sink() as loki:
        began = time.monotonic()
        with shipper(served.names, every_seconds=60, sqream=sqream, loki=loki) as run:
            while time.monotonic() < began + PATIENCE_SECONDS:
                first_push_seconds: float = loki.ask("seen").first_push_seconds
                if first_push_seconds:
                    return first_push_seconds - began
                time.sleep(0.05)
            raise RuntimeError(f"no push in {PATIENCE_SECONDS} s:\n{run.log.read_text()}")
