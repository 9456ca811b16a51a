"""Spools and parcels for the tests of this package."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from shipper.core.record import Stream
from shipper.pipeline.spool import Parcel, Spool
from tests.support.clock import FakeClock

PUSH_BYTES = 10_000


class Told(logging.Logger):
    """A log that remembers what was told, by level."""

    def __init__(self) -> None:
        super().__init__("test.spool")
        self.errors: list[str] = []
        self.infos: list[str] = []
        self.addHandler(_Remembering(self))


class _Remembering(logging.Handler):
    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        texts = self._told.errors if record.levelno >= logging.ERROR else self._told.infos
        texts.append(record.getMessage())


@dataclass
class Site:
    """Where a test has its spool, with what was told and counted."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    log: Told = field(default_factory=Told)
    damaged: list[int] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "spool" / "m.db"

    def spool(self, run: str = "first") -> Spool:
        return Spool(
            self.path, clock=self.clock, log=self.log, damaged=self.damaged.append, run=run
        )

    def aside(self) -> list[str]:
        """Return the suffixes of what was set aside."""
        folder = self.path.parent / "damaged"
        return sorted(path.suffix for path in folder.iterdir()) if folder.exists() else []


def parcel(number: int, *, job: str = "m", lines: int = 2, weight_bytes: int = 100) -> Parcel:
    """Return a parcel that no other number has."""
    stream = Stream(
        {"job": job},
        [number * 1000 + place for place in range(lines)],
        [b"%d of %s, %d" % (number, job.encode(), place) for place in range(lines)],
    )
    return Parcel(stream, weight_bytes, 10**18 + number)


def parcels(first: int, stop: int, *, job: str = "m") -> list[Parcel]:
    return [parcel(number, job=job) for number in range(first, stop)]


def put_ns_of(some: Sequence[Parcel]) -> list[int]:
    """Return by which numbers `parcel` made them."""
    return [each.put_ns - 10**18 for each in some]


def drained(
    spool: Spool, sink: str = "loki", *, max_weight_bytes: int = PUSH_BYTES
) -> list[Parcel]:
    """Take and forget until nothing is given out any more."""
    taken: list[Parcel] = []
    while some := spool.oldest(sink, max_weight_bytes=max_weight_bytes):
        taken += some
        spool.forget(sink, some)
    return taken


def recounted(path: Path) -> dict[str, int]:
    """Return how many lines of every sink the table has, looked at with a connection of our own."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT sink, SUM(lines) FROM parcels GROUP BY sink"))


def written(path: Path) -> dict[str, int]:
    """Return how many lines of every sink the file says it has."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sink, lines FROM totals WHERE lines")
        return dict(rows)
