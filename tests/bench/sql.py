"""What a row costs on its way from a database to a row of ours, beside the driver's own fetch loop.

All take turns in one process; figures are medians of the rounds, and ratios medians of the ratios within a round. CPU
is that of our whole process, all threads: SQLite's own work is in it, PostgreSQL's is not. The bare driver sends the
statements that the source sends, and throws away what it fetches. `One SELECT` reads the whole table in portions that
are not kept; what goes on from where it was cannot read like that.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from shipper.sources.sql import SqlSettings
from shipper.sources.sql.source import SqlSource
from tests.bench.figures import Figure, Goal
from tests.support.databases import running_server

ROUNDS = 7
ROWS = 100_000
PAGE_ROWS = 10_000
PORTION_ROWS = 1000
READ_SECONDS = 30.0
MOST_OF_BARE = 1.5
LEAST_ROWS_A_SECOND = 300_000

WHOLE = "SELECT * FROM events ORDER BY at, id"
# As the source writes it for both; %s is the driver's way to write a parameter.
PAGE = (
    'SELECT * FROM "events" WHERE "at" IS NOT NULL AND "id" IS NOT NULL '
    'AND ("at", "id") > (%s, %s) ORDER BY "at", "id" LIMIT 10000'
)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=10)
BEFORE_ALL = FIRST - STEP

Connect = Callable[[], Any]
"""Opens a connection of a driver."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a row cost."""

    cpu_us: float
    wall_us: float


@dataclass(frozen=True, slots=True)
class Contest:
    """What a row of one database cost the source and the bare driver, round by round."""

    source: Sequence[Cost]
    pages: Sequence[Cost]
    whole: Sequence[Cost]


def measure() -> list[Figure]:
    """Let the source and the bare driver take turns at SQLite and at PostgreSQL."""
    with get_context("spawn").Pool(1) as pool:
        sqlite, postgres = pool.apply(_sqlite), pool.apply(_postgres)
    return [
        *_figures("SQLite", sqlite, Goal("at least", LEAST_ROWS_A_SECOND)),
        *_figures("PostgreSQL", postgres, None),
    ]


def _figures(name: str, contest: Contest, least: Goal | None) -> list[Figure]:
    wall_us = median(cost.wall_us for cost in contest.source)
    return [
        Figure(f"{name}: speed", 1e6 / wall_us, "rows/s", least, "wall clock"),
        Figure(f"{name}: CPU", median(cost.cpu_us for cost in contest.source), "us/row"),
        _against(f"{name}: time against the bare driver", contest, contest.pages, MOST_OF_BARE),
        _against(f"{name}: time against one SELECT", contest, contest.whole, None),
    ]


def _against(name: str, contest: Contest, bare: Sequence[Cost], most: float | None) -> Figure:
    ratios = [
        ours.wall_us / theirs.wall_us for ours, theirs in zip(contest.source, bare, strict=True)
    ]
    speed = 1e6 / median(cost.wall_us for cost in bare)
    goal = None if most is None else Goal("at most", most)
    return Figure(name, median(ratios), "x", goal, f"which reads {speed:,.0f} rows/s")


def _sqlite() -> Contest:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(path)

        with closing(connect()) as connection:
            connection.execute(
                "CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT NOT NULL, "
                "device TEXT, level INTEGER, value REAL, text TEXT)"
            )
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                ((number, str(at), *others) for number, at, *others in _rows()),
            )
            connection.execute("CREATE INDEX events_by_time ON events (at, id)")
            connection.commit()
        return _contest(f"sqlite:///{path}", connect, PAGE.replace("%s", "?"), str(BEFORE_ALL))


def _postgres() -> Contest:
    server = running_server("postgresql")
    try:
        url = server.url(server.empty_database())

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(url)

        with connect() as connection:
            connection.execute(
                "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, "
                "device text, level int, value float8, text text)"
            )
            with connection.cursor().copy("COPY events FROM STDIN") as copy:
                for row in _rows():
                    copy.write_row(row)
            connection.execute("CREATE INDEX events_by_time ON events (at, id)")
            connection.execute("ANALYZE events")
        return _contest(url, connect, PAGE, BEFORE_ALL)
    finally:
        server.remove()


def _rows() -> list[tuple[object, ...]]:
    return [
        (
            *(number, FIRST + number * STEP, f"device_{number % 50}", number % 5, number * 0.37),
            f"the door of cabinet {number} was opened",
        )
        for number in range(ROWS)
    ]


def _contest(url: str, connect: Connect, page: str, before_all: object) -> Contest:
    contenders: Sequence[Callable[[], int]] = (
        lambda: _with_source(url),
        lambda: _with_pages(connect, page, before_all),
        lambda: _with_one_select(connect),
    )
    for read in contenders:
        read()
    gc.freeze()  # as a worker does
    rounds = [[_cost(read) for read in contenders] for _ in range(ROUNDS)]
    source, pages, whole = zip(*rounds, strict=True)
    return Contest(source, pages, whole)


def _cost(read: Callable[[], int]) -> Cost:
    wall_began, cpu_began = time.perf_counter(), time.process_time()
    count = read()
    cpu_seconds = time.process_time() - cpu_began
    wall_seconds = time.perf_counter() - wall_began
    if count != ROWS:
        raise RuntimeError(f"{count} rows were read, not {ROWS}")
    return Cost(cpu_us=cpu_seconds / count * 1e6, wall_us=wall_seconds / count * 1e6)


def _with_source(url: str) -> int:
    written = {"url": url, "table": "events", "cursor": ["at", "id"], "page_rows": PAGE_ROWS}
    source = SqlSource(SqlSettings.model_validate(written).reading("bench"))
    source.open()
    count, more = 0, True
    with closing(source):
        while more:
            batch = source.read(READ_SECONDS)
            count, more = count + len(batch.rows), batch.more
    return count


def _with_pages(connect: Connect, page: str, before_all: object) -> int:
    count, place = 0, (before_all, 0)
    with closing(connect()) as connection:
        while rows := connection.execute(page, place).fetchall():
            count, place = count + len(rows), (rows[-1][1], rows[-1][0])
    return count


def _with_one_select(connect: Connect) -> int:
    count = 0
    with closing(connect()) as connection:
        cursor = connection.execute(WHOLE)
        while rows := cursor.fetchmany(PORTION_ROWS):
            count += len(rows)
    return count
