"""Keeps channels in a file, so that they outlive the worker: what was written before it was killed is there again.

SQLite with a write-ahead log, which is not brought to disk with every message: nothing is lost when a process is
killed, and what a power failure takes are the last moments of a history. A file that cannot be written stops nobody.
The channels are in memory anyway, and all of them are written anew when the disk takes something again.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from logging import Logger
from pathlib import Path

from shipper.core.clock import Clock
from shipper.sources.zeromq.channels.channels import Changes
from shipper.sources.zeromq.channels.history import History
from shipper.sources.zeromq.channels.outcomes import Outcome

VERSION = 1
"""Kept in `user_version`; a file of a later version is left alone."""

RETRY_SECONDS = 5.0
BUSY_SECONDS = 1.0
LOG_PAGES = 256
LOG_BYTES = 1024 * 1024

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_SCHEMA = f"""
PRAGMA journal_mode=WAL;
BEGIN;
CREATE TABLE channels (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    last_ns INTEGER NOT NULL,
    passed_over INTEGER NOT NULL,
    is_over INTEGER NOT NULL,
    outcome TEXT NOT NULL
);
CREATE TABLE messages (
    channel INTEGER NOT NULL,
    place INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (channel, place)
) WITHOUT ROWID;
PRAGMA user_version={VERSION};
COMMIT;
"""
_CHANNEL = (
    "INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET last_ns = excluded.last_ns,"
    " passed_over = excluded.passed_over, is_over = excluded.is_over, outcome = excluded.outcome"
)
_MESSAGE = "INSERT INTO messages VALUES (?, ?, ?)"


class Archive:
    """The file of one metric. Belongs to one thread.

    Attributes:
        path: The file; its folder is made when it is opened.
    """

    def __init__(self, path: Path, *, clock: Clock, log: Logger) -> None:
        self.path = path
        self._clock = clock
        self._log = log
        self._connection: sqlite3.Connection | None = None
        self._retry_at_seconds = 0.0
        self._fault = ""

    def open(self) -> list[History]:
        """Return what was kept; nothing where that cannot be read, which is told."""
        try:
            return self._read()
        except (sqlite3.Error, OSError, ValueError) as error:
            self._broke(error)
            if _is_damage(error):
                self._set_aside()
            return []

    def keep(self, changes: Changes, everything: Callable[[], Iterable[History]]) -> None:
        """Write what happened; after a fault `everything` that is kept, when it is time to try again."""
        if self._fault and self._clock.monotonic_seconds() < self._retry_at_seconds:
            return
        try:
            with self._transaction() as connection:
                if self._fault:
                    _write_anew(connection, everything())
                else:
                    _write(connection, changes)
        except (sqlite3.Error, OSError) as error:
            self._broke(error)
            return
        if self._fault:
            self._log.info(
                "%(path)s is written again; the channels will outlive a restart.",
                {"event": "channels_kept_again", "path": self.path},
            )
            self._fault = ""

    def close(self) -> None:
        """Let go of the file. Never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # What a broken disk makes of the last checkpoint changes nothing: the log of the database has it.
            with suppress(sqlite3.Error):
                connection.close()

    def _read(self) -> list[History]:
        connection = self._opened()
        texts: dict[int, deque[str]] = {}
        for number, text in connection.execute(
            "SELECT channel, text FROM messages ORDER BY channel, place"
        ):
            texts.setdefault(number, deque()).append(text)
        return [
            History(
                number=number,
                name=name,
                last_ns=last_ns,
                messages=texts.get(number, deque()),
                passed_over=passed_over,
                is_over=bool(is_over),
                outcome=Outcome(outcome),
            )
            for number, name, last_ns, passed_over, is_over, outcome in connection.execute(
                "SELECT number, name, last_ns, passed_over, is_over, outcome FROM channels"
            )
        ]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connected(self.path)
        return self._connection

    def _broke(self, error: Exception) -> None:
        """Tell what is wrong, once, and begin with a new connection next time."""
        self.close()
        self._retry_at_seconds = self._clock.monotonic_seconds() + RETRY_SECONDS
        fault = getattr(error, "strerror", None) or str(error)
        if fault != self._fault:
            self._log.warning(
                "%(path)s: %(error)s. The channels are in memory alone, and would not outlive a restart.",
                {"event": "channels_unkept", "path": self.path, "error": fault},
            )
        self._fault = fault

    def _set_aside(self) -> None:
        aside = self.path.with_suffix(".damaged")
        try:
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            self._log.warning(
                "%(path)s cannot be set aside: %(error)s.",
                {"event": "channels_stuck", "path": self.path, "error": error.strerror},
            )
            return
        self._retry_at_seconds = 0.0
        self._log.warning(
            "It is set aside as %(aside)s, and begun anew.",
            {"event": "channels_begun_anew", "aside": aside},
        )


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here, because SQLite would let others read it; the files beside it get the same permissions.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
        _see_to_the_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_damage(error: Exception) -> bool:
    return isinstance(error, ValueError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _see_to_the_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.OperationalError("it was written by a later version of Shipper")
    if version == 0:
        connection.executescript(_SCHEMA)


def _write_anew(connection: sqlite3.Connection, everything: Iterable[History]) -> None:
    connection.execute("DELETE FROM messages")
    connection.execute("DELETE FROM channels")
    _write(connection, Changes(grown={history: history.passed_over for history in everything}))


def _write(connection: sqlite3.Connection, changes: Changes) -> None:
    grown = [history for history in changes.grown if history.forgotten is None]
    connection.executemany(_CHANNEL, map(_row, grown))
    for history in grown:
        connection.executemany(_MESSAGE, _new_messages(history, changes.grown[history]))
    connection.executemany(
        "DELETE FROM messages WHERE channel = ? AND place < ?",
        [(history.number, history.passed_over) for history in changes.shortened],
    )
    for table, column in (("messages", "channel"), ("channels", "number")):
        connection.executemany(
            f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608 - the two names above
            [(history.number,) for history in changes.gone],
        )


def _row(history: History) -> tuple[int, str, int, int, bool, str]:
    return (
        *(history.number, history.name, history.last_ns),
        *(history.passed_over, history.is_over, history.outcome.value),
    )


def _new_messages(history: History, told_before: int) -> Iterator[tuple[int, int, str]]:
    first = max(told_before, history.passed_over)
    texts = islice(history.messages, first - history.passed_over, None)
    return ((history.number, place, text) for place, text in enumerate(texts, first))
