"""How late polls begin: 100 metrics at 1 s for 30 s.

Two readings: what the workers say themselves (a histogram, so a share of a bucket is estimated), and when statements
arrive at the far end, against the earliest arrival on each metric's own grid of 1 s. The second is exact and
includes the driver's first requests and the far end's own delay.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.bench.far_ends import emulator, null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import functions
from tests.bench.shipper_run import ShipperRun, shipper

METRICS = 100
WARM_UP_SECONDS = 5.0
RUN_SECONDS = 30.0

Histogram = Mapping[float, float]
"""Upper bound in seconds to how many observations lie at or below it."""


def measure() -> list[Figure]:
    """Let a hundred metrics poll for half a minute, after they have all connected."""
    served = functions(METRICS)
    with (
        emulator(served) as sqream,
        null_sink() as loki,
        shipper(served.names, every_seconds=1, sqream=sqream, loki=loki) as run,
    ):
        run.wait_for_polls(METRICS)
        time.sleep(WARM_UP_SECONDS)
        began, before, missed_before = time.monotonic(), _histogram(run), _missed(run)
        time.sleep(RUN_SECONDS)
        after, missed = _histogram(run), _missed(run) - missed_before
        arrivals: Mapping[str, Sequence[float]] = sqream.ask("arrivals")
    during = [[moment for moment in each if moment >= began] for each in arrivals.values()]
    exact = sorted(late for each in during for late in lateness_seconds(each))
    told = {bound: count - before.get(bound, 0) for bound, count in after.items()}
    return [
        Figure("p99 at the far end", _share(exact, 0.99) * 1e3, "ms", Goal("at most", 20)),
        Figure("p50 at the far end", _share(exact, 0.5) * 1e3, "ms", note=f"{len(exact)} polls"),
        Figure("worst at the far end", exact[-1] * 1e3, "ms"),
        Figure("p99 told by the workers", quantile(told, 0.99) * 1e3, "ms", Goal("at most", 20)),
        Figure("p50 told by the workers", quantile(told, 0.5) * 1e3, "ms"),
        Figure("polls missed", missed, goal=Goal("exactly", 0)),
    ]


def lateness_seconds(moments: Sequence[float]) -> list[float]:
    """Return how far every moment lies behind the earliest one on a grid of 1 s."""
    first = moments[0]
    offsets = [(moment - first) - round(moment - first) for moment in moments]
    return [offset - min(offsets) for offset in offsets]


def quantile(histogram: Histogram, share: float) -> float:
    """Return the value below which `share` of the observations lie, taking buckets to be filled evenly."""
    bounds = sorted(histogram)
    wanted = share * histogram[bounds[-1]]
    for low, high in pairwise([0.0, *bounds]):
        below = histogram.get(low, 0.0)
        if histogram[high] >= wanted:
            return low + (high - low) * (wanted - below) / max(histogram[high] - below, 1)
    return bounds[-1]


def _share(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def _histogram(run: ShipperRun) -> Histogram:
    counts: dict[float, float] = {}
    for sample in run.samples("shipper_poll_lateness_seconds_bucket"):
        bound = float(sample.labels["le"])
        counts[bound] = counts.get(bound, 0.0) + sample.value
    return counts


def _missed(run: ShipperRun) -> float:
    return sum(sample.value for sample in run.samples("shipper_missed_polls_total"))
