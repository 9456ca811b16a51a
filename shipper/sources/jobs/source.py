"""The outbox as a source: events are rows once they are committed, and come again until they are acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import ConfigError, SourceUnavailable
from shipper.core.record import Batch, Cursor, Measured, Row
from shipper.sources.jobs.answers import Answers
from shipper.sources.jobs.back import Back
from shipper.sources.jobs.ledger import Ledger, LedgerBusy
from shipper.sources.jobs.place import Place
from shipper.sources.jobs.service import Service
from shipper.store.database import Database
from shipper.store.errors import StoreError
from shipper.store.jobs import outbox
from shipper.store.jobs.queries import figures
from shipper.store.jobs.state import KNOWN_CLASSES
from shipper.telemetry import families

MAX_BATCH_RECORDS = 2000
MAX_BATCH_BYTES = 1024 * 1024

GATHER_SECONDS = 0.2
"""How long the first event of a batch waits for others: a slow trickle costs five pushes a second at most."""

FIGURES_SECONDS = 2.0
"""How old the gauges may be when something was written since."""

UNCHANGED_SECONDS = 60.0
"""How old they may be otherwise: others may write to the tables as well."""

MOST_SERIES = 100
"""How many processes have their progress in a gauge."""

FORGET_SECONDS = 60.0
"""How often events of deleted tasks are thrown away once they are shipped."""

OTHER_CLASS = "other"
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Entrance:
    """How clients come in.

    Attributes:
        place: The port.
        max_connections: How many may be connected.
        app: Makes the application.
    """

    place: Place
    max_connections: int
    app: Callable[[Back], ASGIApp]


@dataclass(frozen=True, slots=True)
class _Behind:
    """The port, and who answers behind it."""

    service: Service
    ledger: Ledger
    answers: Answers

    def close(self) -> None:
        self.service.close()
        self.answers.close()
        self.ledger.close(CLOSE_SECONDS)


class JobsSource:
    """Serves the REST interface, and reads what it has written; its cursor is the id of an event.

    While the database is away the port stays open, so that clients are told to come again later: `close` after
    `SourceUnavailable` lets go of the database only.
    """

    def __init__(
        self,
        entrance: Entrance,
        connect: Callable[[], Database],
        *,
        ledger: Callable[[], Ledger],
        start: Literal["beginning", "now"] = "beginning",
        gather_seconds: float = GATHER_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        """Serve nothing yet.

        Args:
            entrance: How clients come in.
            connect: Returns a database with tables as we know them; each is used by one thread.
            ledger: Makes who writes.
            start: Where to begin without a cursor.
            gather_seconds: How long the first event of a batch waits for others.
            clock: Time.
        """
        self._entrance = entrance
        self._connect = connect
        self._make_ledger = ledger
        self._start = start
        self._gather_seconds = gather_seconds
        self._clock = clock or SystemClock()
        self._database: Database | None = None
        self._behind: _Behind | None = None
        self._place_in_outbox: tuple[int, str] = (0, "")
        self._shipped_id = 0
        self._has_to_settle = False
        self._database_is_away = False
        self._forget_due_seconds = 0.0
        self._changed = False
        self._figured_seconds = float("-inf")

    @property
    def port(self) -> int:
        """The port that is served.

        Raises:
            SourceUnavailable: None is.
        """
        if self._behind is None:
            raise SourceUnavailable(f"{self._entrance.place} is not served")
        return self._behind.service.port

    def open(self, cursor: Cursor | None = None) -> None:
        self._let_go_of_database()
        # Who waits to begin with the events from now on lets nobody in before that place is durable.
        self._has_to_settle = cursor is None and self._start == "now"
        try:
            if not self._has_to_settle:
                self._serve()
            self._open_database(cursor)
        except SourceUnavailable:
            self._database_is_away = self._behind is not None
            raise

    def read(self, timeout_seconds: float) -> Batch:
        database = self._database
        if database is None:
            raise SourceUnavailable("the tables of jobs are not open")
        if self._behind is not None and not self._behind.service.runs:
            raise SourceUnavailable(f"{self._entrance.place} is not served any more")
        if self._has_to_settle:
            return Batch(read_at_ns=self._clock.now_ns(), cursor=self._place_in_outbox)
        try:
            return self._batch(database, timeout_seconds)
        except StoreError as error:
            self._database_is_away = True
            raise SourceUnavailable(f"the database cannot be used: {error}") from error

    def acknowledge(self, cursor: Cursor) -> None:
        """Remember what is shipped: of deleted tasks it need not be kept any more."""
        self._shipped_id = int(str(cursor[0]))
        if self._has_to_settle:
            self._has_to_settle = False
            self._serve()
        now = self._clock.monotonic_seconds()
        if self._behind is not None and now >= self._forget_due_seconds:
            self._forget_due_seconds = now + FORGET_SECONDS
            self._forget(self._behind.ledger)

    def close(self) -> None:
        self._let_go_of_database()
        if self._database_is_away:
            self._database_is_away = False
            return
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.close()

    def _serve(self) -> None:
        if self._behind is not None and self._behind.service.runs:
            return
        ledger, answers = self._make_ledger(), Answers(self._connect)
        back = Back(ledger, answers, lambda: self._shipped_id, self._clock)
        try:
            service = Service(
                self._entrance.place, self._entrance.app(back), self._entrance.max_connections
            )
        except SourceUnavailable:
            answers.close()
            ledger.close(CLOSE_SECONDS)
            raise
        self._behind = _Behind(service, ledger, answers)

    def _open_database(self, cursor: Cursor | None) -> None:
        try:
            database = self._connect()
            try:
                with database.reading() as connection:
                    name = outbox.name_of_tables(connection)
                    newest_id = outbox.newest_id(connection) if self._has_to_settle else 0
            except BaseException:
                database.close()
                raise
        except (StoreError, ConfigError) as error:
            raise SourceUnavailable(f"the database cannot be used: {error}") from error
        match cursor:
            case (int(last_id), str(of)) if of == name:
                self._place_in_outbox = (last_id, name)
            case _:
                # None, or one that was left by other tables, whose ids mean nothing here.
                self._place_in_outbox = (newest_id, name)
        self._shipped_id = self._place_in_outbox[0]
        self._database = database
        self._figured_seconds = float("-inf")

    def _batch(self, database: Database, timeout_seconds: float) -> Batch:
        rows, read_at_ns = self._next(database), self._clock.now_ns()
        if not rows and self._committed_within(timeout_seconds):
            time.sleep(min(self._gather_seconds, timeout_seconds))
            rows, read_at_ns = self._next(database), self._clock.now_ns()
        if rows:
            self._place_in_outbox = (int(str(rows[-1]["id"])), self._place_in_outbox[1])
        return Batch(
            rows=rows,
            read_at_ns=read_at_ns,
            cursor=self._place_in_outbox,
            more=len(rows) == MAX_BATCH_RECORDS,
            counted=_by_class(rows),
            shown=self._figures(database),
        )

    def _next(self, database: Database) -> Sequence[Row]:
        if self._behind is not None:
            # Cleared before it is looked: what is committed meanwhile is seen now or makes the next look come soon.
            self._changed |= self._behind.ledger.committed.is_set()
            self._behind.ledger.committed.clear()
        with database.reading() as connection:
            return outbox.behind(
                connection,
                self._place_in_outbox[0],
                most_records=MAX_BATCH_RECORDS,
                most_bytes=MAX_BATCH_BYTES,
            )

    def _committed_within(self, seconds: float) -> bool:
        if self._behind is None:
            return False
        return self._behind.ledger.committed.wait(seconds)

    def _figures(self, database: Database) -> Measured:
        """Return the gauges, if they are due."""
        now = self._clock.monotonic_seconds()
        wait_seconds = FIGURES_SECONDS if self._changed else UNCHANGED_SECONDS
        if now < self._figured_seconds + wait_seconds:
            return {}
        with database.reading() as connection:
            found = figures(connection, most_series=MOST_SERIES)
        self._figured_seconds, self._changed = now, False
        return {
            families.JOB_PROGRESS.name: dict(found.progress.items()),
            families.JOBS.name: {(state,): number for state, number in found.jobs.items()},
        }

    def _forget(self, ledger: Ledger) -> None:
        shipped_id = self._shipped_id
        with suppress(LedgerBusy):
            ledger.submit(lambda connection: outbox.forget(connection, shipped_id))

    def _let_go_of_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _by_class(rows: Sequence[Row]) -> Measured:
    """Count events by class; words of one's own count together, because there may be any number of them."""
    classes = Counter(
        str(row["eventClass"]) if row["eventClass"] in KNOWN_CLASSES else OTHER_CLASS
        for row in rows
    )
    return {families.JOB_EVENTS.name: {(name,): count for name, count in classes.items()}}
