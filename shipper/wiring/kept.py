"""Reads what is kept in SQL for the web process; what reads a database is only loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, TypeVar

from shipper.core.errors import ConfigError
from shipper.live.kept import Answer, Away
from shipper.store.settings import StoreSettings

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from shipper.store.database import Database
    from shipper.store.timeframes.queries import RunReport

FOUND = TypeVar("FOUND")

MOST_SECONDS = 10.0
"""How long a question may take before it is given up."""


@dataclass(slots=True)
class Tables:
    """A database that is only read, one question at a time.

    Attributes:
        store: Where it is.
        state_dir: Where it is by default.
    """

    store: StoreSettings
    state_dir: Path
    _database: Database | None = None

    def ask(self, question: Callable[[Connection], FOUND]) -> FOUND:
        """Ask it.

        Raises:
            Away: It cannot be reached, has other tables, or takes too long.
        """
        from shipper.store.errors import StoreError

        try:
            with self._opened().reading() as connection, _given_up_after(MOST_SECONDS, connection):
                return question(connection)
        except (StoreError, ConfigError) as error:
            place = self.store.shown(self.state_dir)
            raise Away(f"{place} cannot be asked now: {str(error).rstrip('.')}") from error

    def _opened(self) -> Database:
        from shipper.store.database import Database

        if self._database is None:
            self._database = Database(
                self.store.address(self.state_dir),
                connect_timeout_seconds=self.store.connect_timeout_seconds,
                statement_timeout_seconds=min(MOST_SECONDS, self.store.statement_timeout_seconds),
                read_only=True,
            )
        return self._database


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """Answers questions about runs of Time Frames."""

    tables: Tables = field(repr=False)

    def overview(self, limit: int) -> Answer:
        """Return the newest runs.

        Raises:
            Away: They cannot be had now.
        """
        from shipper.store.timeframes import queries

        found = self.tables.ask(lambda connection: queries.reports(connection, limit))
        return {"runs": [_run(report) for report in found]}

    def run(self, number: int) -> Answer | None:
        """Return what is known of a run; `None` when there is no such run.

        Raises:
            Away: That cannot be had now.
        """
        return self.tables.ask(lambda connection: _one_run(connection, number))


@dataclass(frozen=True, slots=True)
class KeptJobs:
    """Answers questions about batch jobs."""

    tables: Tables = field(repr=False)

    def tasks(self, limit: int, offset: int, tags: Sequence[str]) -> Answer:
        """Return some tasks, and how many there are.

        Raises:
            Away: They cannot be had now.
        """
        from shipper.store.jobs import queries

        return self.tables.ask(
            lambda connection: queries.tasks_page(connection, limit=limit, offset=offset, tags=tags)
        )

    def jobs(self, task: str, process: str, limit: int, offset: int) -> Answer | None:
        """Return some jobs of a process, and how many there are; `None` when there is no such process.

        Raises:
            Away: They cannot be had now.
        """
        from shipper.store.jobs import queries

        return self.tables.ask(
            lambda connection: queries.jobs_page(
                connection, task, process, limit=limit, offset=offset
            )
        )


def _one_run(connection: Connection, number: int) -> Answer | None:
    from shipper.store.timeframes import queries

    report = queries.run(connection, number)
    if report is None:
        return None
    rate = queries.rate(connection, number)
    return {
        **_run(report),
        "by_status": queries.by_status(connection, number),
        "rate": None
        if rate is None
        else {
            "from": rate.from_seconds,
            "bucket_seconds": rate.bucket_seconds,
            "counts": rate.counts,
            "bytes": rate.sizes_bytes,
        },
    }


def _run(report: RunReport) -> Mapping[str, Any]:
    first, last = report.first_tf, report.last_tf
    return {
        "run_number": report.run_number,
        "start_time": report.start_time.isoformat(),
        "total_tfs": report.total_tfs,
        "total_bytes": report.total_size_bytes,
        "first_at": None if first is None else first.isoformat(),
        "last_at": None if last is None else last.isoformat(),
    }


@contextmanager
def _given_up_after(seconds: float, connection: Connection) -> Iterator[None]:
    """Interrupt SQLite when it takes too long; the others are told a limit of their own."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    timer = Timer(seconds, driver.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
