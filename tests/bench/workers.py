"""What one more worker costs in memory: 25 metrics against 5, in a real run.

USS is what would come free if a process ended. PSS adds its share of what it has in common with others, so the sum of
all PSS is what the run takes from the machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from tests.bench.far_ends import emulator, null_sink
from tests.bench.figures import Figure, Goal
from tests.bench.rows import functions
from tests.bench.shipper_run import KEEP_FREED_MEMORY, shipper

FEW, MANY = 5, 25
SETTLE_SECONDS = 1.5
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run holds, in MiB: USS of its workers together, USS of its other processes, PSS of all."""

    workers_mib: float
    others_mib: Mapping[str, float]
    all_pss_mib: float


def measure() -> list[Figure]:
    """Compare few with many workers, after polls of 2 and of 5,000 rows, with and without a setting of glibc."""
    few, many = _run(FEW), _run(MANY)
    kept = _each(_run(FEW, KEEP_FREED_MEMORY), _run(MANY, KEEP_FREED_MEMORY))
    busy = _each(_run(FEW, row_count=5000), _run(MANY, row_count=5000))
    busy_kept = _each(
        _run(FEW, KEEP_FREED_MEMORY, row_count=5000), _run(MANY, KEEP_FREED_MEMORY, row_count=5000)
    )
    return [
        Figure("USS of one more worker", _each(few, many), "MB", Goal("at most", 6.0)),
        Figure("the same, freed memory kept", kept, "MB"),
        Figure("after a poll of 5,000 rows", busy, "MB"),
        Figure("the same, freed memory kept", busy_kept, "MB"),
        *(Figure(f"USS of the {name}", mib, "MB") for name, mib in many.others_mib.items()),
        Figure(f"PSS of all, {FEW} metrics", few.all_pss_mib, "MB"),
        Figure(f"PSS of all, {MANY} metrics", many.all_pss_mib, "MB"),
    ]


def _each(few: Memory, many: Memory) -> float:
    return (many.workers_mib - few.workers_mib) / (MANY - FEW)


def _run(
    metrics: int, environment: Mapping[str, str] | None = None, *, row_count: int = 2
) -> Memory:
    served = functions(metrics, row_count=row_count)
    with (
        emulator(served) as sqream,
        null_sink() as loki,
        shipper(
            served.names, every_seconds=3600, sqream=sqream, loki=loki, environment=environment
        ) as run,
    ):
        run.wait_for_polls(metrics)
        time.sleep(SETTLE_SECONDS)
        workers, others = run.workers(), run.attendants()
        return Memory(
            workers_mib=sum(map(_uss_mib, workers)),
            others_mib={name: _uss_mib(process) for name, process in others.items()},
            all_pss_mib=sum(map(_pss_mib, [*workers, *others.values()])),
        )


def _uss_mib(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss) / MIB


def _pss_mib(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss) / MIB
