"""What grows while nothing changes: TCP connections to both far ends, and streams in Loki, early and late in a run."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.bench.far_ends import FarEnd, emulator, null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import functions
from tests.bench.shipper_run import shipper

METRICS = 10
EARLY_SECONDS = 10.0
RUN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened so far; `pushes` shows that there was a run meanwhile."""

    to_sqream: int
    to_loki: int
    streams: int
    pushes: int


def measure() -> list[Figure]:
    """Count after 10 s and after 60 s."""
    served = functions(METRICS)
    with (
        emulator(served) as sqream,
        null_sink(counts_streams=True) as loki,
        shipper(served.names, every_seconds=1, sqream=sqream, loki=loki) as run,
    ):
        run.wait_for_polls(METRICS)
        time.sleep(EARLY_SECONDS)
        early = _opened(sqream, loki)
        time.sleep(RUN_SECONDS - EARLY_SECONDS)
        late = _opened(sqream, loki)
    note = (
        f"after {RUN_SECONDS:.0f} s and {late.pushes} pushes; goal: as after {EARLY_SECONDS:.0f} s"
    )
    return [
        Figure("connections to SQream", late.to_sqream, goal=_as(early.to_sqream), note=note),
        Figure("connections to Loki", late.to_loki, goal=_as(early.to_loki)),
        Figure("streams in Loki", late.streams, goal=_as(METRICS), note="one for each metric"),
    ]


def _as(count: int) -> Goal:
    return Goal("exactly", count)


def _opened(sqream: FarEnd, loki: FarEnd) -> Opened:
    seen = loki.ask("seen")
    return Opened(
        to_sqream=sqream.ask("counts").connections_opened,
        to_loki=seen.connections,
        streams=len(seen.streams),
        pushes=seen.pushes,
    )
