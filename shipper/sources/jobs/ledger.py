"""Writes what clients want, in a thread of its own: what has come meanwhile is committed together.

A commit costs a disk its fsync, whether it holds one event or hundreds. And with one who writes, under the lock of the
tables, ids become visible in their order, so that the outbox passes over none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from logging import Logger
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

from shipper.core.errors import ConfigError
from shipper.store import versions
from shipper.store.database import Database
from shipper.store.errors import RowsRefused, StoreError, StoreUnavailable
from shipper.store.jobs.refusal import JobsRefusal
from shipper.store.jobs.wishes import NewEvent, Taken
from shipper.store.jobs.writing_events import add_events

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

BRANCH = "jobs"

MOST_TOGETHER = 500
"""How many wishes one transaction fulfils at most."""

MOST_WAITING = 5000
"""How many wait at most; whoever comes then is told to come again."""

Change = Callable[["Connection"], Taken | None]
"""Changes something within a transaction, or raises `JobsRefusal` before it has."""


class LedgerBusy(Exception):
    """Nothing more can wait, or nobody writes any more."""


@dataclass(frozen=True, slots=True)
class _Entry:
    wish: NewEvent | Change
    settled: Future[Taken] = field(default_factory=Future)

    @property
    def is_event(self) -> bool:
        return isinstance(self.wish, NewEvent)


class Ledger:
    """The only one in this process who writes to the tables of jobs."""

    def __init__(self, connect: Callable[[], Database], log: Logger) -> None:
        """Write nothing yet.

        Args:
            connect: Returns a database with tables as we know them.
            log: Where a fault of ours is told.
        """
        self.committed = Event()
        """Set after every commit; whoever waits for it clears it."""

        self._connect = connect
        self._log = log
        self._waiting: Queue[_Entry | None] = Queue(MOST_WAITING)
        self._database: Database | None = None
        self._thread = Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, wish: NewEvent | Change) -> Future[Taken]:
        """Let something be written; the future is done when it is committed, or will never be.

        It may raise `JobsRefusal`, `StoreError` and `ConfigError`.

        Raises:
            LedgerBusy: Too much waits already.
        """
        entry = _Entry(wish)
        try:
            self._waiting.put_nowait(entry)
        except Full:
            raise LedgerBusy from None
        return entry.settled

    def close(self, seconds: float) -> None:
        """Write what waits, within some time, and let go of the database."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        for taken in iter(self._next, []):
            # From here on nobody can take a wish back; what was taken back before is not written.
            entries = [each for each in taken if each.settled.set_running_or_notify_cancel()]
            try:
                if entries:
                    self._settle(entries)
            except Exception as error:  # noqa: BLE001 - the thread outlives a fault of ours, and tells
                self._log.exception(
                    "Writing failed because of a fault of ours.", {"event": "fault"}
                )
                _fail(entries, error)
        self._forget_database()

    def _next(self) -> list[_Entry]:
        """Wait for entries and return what is there; none at the end."""
        first = self._waiting.get()
        entries = [] if first is None else [first]
        while entries and len(entries) < MOST_TOGETHER:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                self._waiting.put(None)  # the end comes after these
                break
            entries.append(more)
        return entries

    def _settle(self, entries: Sequence[_Entry]) -> None:
        try:
            with self._opened().writing() as connection:
                versions.hold(connection, BRANCH)
                outcomes = list(_apply(connection, entries))
        except (StoreError, ConfigError) as error:
            if not isinstance(error, RowsRefused):
                # The next transaction connects anew, and looks at the tables again.
                self._forget_database()
            if len(entries) > 1 and not isinstance(error, (StoreUnavailable, ConfigError)):
                for entry in entries:
                    self._settle([entry])
                return
            _fail(entries, error)
            return
        self.committed.set()
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, JobsRefusal):
                entry.settled.set_exception(outcome)
            else:
                entry.settled.set_result(outcome)

    def _opened(self) -> Database:
        if self._database is None:
            self._database = self._connect()
        return self._database

    def _forget_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _apply(connection: Connection, entries: Sequence[_Entry]) -> Iterator[Taken | JobsRefusal]:
    for are_events, run in groupby(entries, key=lambda entry: entry.is_event):
        wishes = [entry.wish for entry in run]
        if are_events:
            yield from add_events(
                connection, [each for each in wishes if isinstance(each, NewEvent)]
            )
            continue
        for wish in wishes:
            if not isinstance(wish, NewEvent):
                yield _changed(connection, wish)


def _changed(connection: Connection, change: Change) -> Taken | JobsRefusal:
    try:
        return change(connection) or Taken()
    except JobsRefusal as refusal:
        return refusal


def _fail(entries: Sequence[_Entry], error: Exception) -> None:
    for entry in entries:
        if not entry.settled.done():
            entry.settled.set_exception(error)
