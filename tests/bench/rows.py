"""Rows as SQreamDB's show_server_status tells them, cut to eight columns: about 200 bytes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from shipper.demo.sqream import Column, WireType
from tests.bench.far_ends import Functions

COLUMNS = (
    Column("service", WireType.TEXT),
    Column("instanceid", WireType.TEXT),
    Column("connection_id", WireType.INT),
    Column("user_name", WireType.TEXT),
    Column("statementid", WireType.BIGINT),
    Column("statement", WireType.TEXT),
    Column("statementstatus", WireType.TEXT),
    Column("statementstarttime", WireType.TEXT),
)
STATEMENTS = (
    "select count(*) from t",
    "select a from trips",
    "insert into t select 1",
    "select show_locks()",
)


def tuples(count: int) -> list[tuple[object, ...]]:
    """Return rows as a driver does; the same ones every time."""
    random = Random(7)
    return [
        (
            random.choice(("monitor", "etl", "sqream")),
            f"node_{random.randrange(9000, 9100)}",
            random.randrange(1, 4000),
            random.choice(("sqream", "etl", "report")),
            2_484_923 + number,
            random.choice(STATEMENTS),
            random.choice(("Executing", "Preparing", "In queue")),
            f"20-05-2024 17:{random.randrange(10, 60)}:{random.randrange(10, 60)}",
        )
        for number in range(count)
    ]


def rows(count: int) -> list[Mapping[str, object]]:
    """Return rows as a source does."""
    names = [column.name for column in COLUMNS]
    return [dict(zip(names, values, strict=True)) for values in tuples(count)]


def functions(count: int, *, row_count: int = 2) -> Functions:
    """Return functions for an emulator, one for each metric: `bench_000`, `bench_001`, ..."""
    return Functions([f"bench_{number:03}" for number in range(count)], COLUMNS, tuples(row_count))
