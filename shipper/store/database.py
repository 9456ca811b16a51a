"""A database to write to: connects with limits on every wait, and tells what goes wrong in our own words."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from shipper.store.address import with_driver
from shipper.store.errors import RowsRefused, StoreError, StoreUnavailable
from shipper.store.verdict import told, verdict

RECYCLE_SECONDS = 1800
"""How old a connection gets: firewalls and servers forget those that live too long."""

SHORTEST_LOGIN_SECONDS = 2
"""libpq takes less for 2 (PostgreSQL 17)."""

GRACE_SECONDS = 5.0
"""How much longer than the server's own limit we wait for it to say that it is over, at most."""

MARIADB_SESSION = (
    "SET time_zone = '+00:00'",
    # Else a server that is not strict cuts text and numbers that do not fit, and only warns.
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
)

READS = "shipper_reads"
"""The option of a connection whose transaction only reads."""


class Database:
    """A database, with at most one connection to it. Used by one thread.

    What a transaction has written is on disk when its block has ended without an error, as far as the server is
    configured so.
    """

    def __init__(
        self,
        url: URL,
        *,
        connect_timeout_seconds: float = 5.0,
        statement_timeout_seconds: float | None = 30.0,
        lock_timeout_seconds: float | None = None,
        read_only: bool = False,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: Where it is.
            connect_timeout_seconds: The longest wait for a connection.
            statement_timeout_seconds: The longest a statement may take; `None` for as long as it wants. A
                transaction is cut after twice that.
            lock_timeout_seconds: The longest wait for a lock; `None` for the same as a statement.
            read_only: Never write, and make no file.

        Raises:
            StoreUnavailable: The driver cannot be imported.
        """
        self.url = with_driver(url)
        self._connect_seconds = connect_timeout_seconds
        self._statement_seconds = statement_timeout_seconds
        self._lock_seconds = lock_timeout_seconds or statement_timeout_seconds
        self._read_only = read_only
        try:
            self._engine = self._made()
        except ImportError as error:
            raise StoreUnavailable(
                f"the driver cannot be imported: {error}", reason="no_driver"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction, which is committed when the block ends without an error.

        Raises:
            StoreError: Nothing is known to be written.
        """
        with self._translated(), self._engine.begin() as connection, self._watched(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that keeps no writer waiting.

        Raises:
            StoreError: The question was not answered.
        """
        with self._translated(), self._engine.connect() as fresh:
            connection = fresh.execution_options(**{READS: True})
            with connection.begin(), self._watched(connection):
                yield connection

    def close(self) -> None:
        """Let go of the connection; the next transaction makes a new one. Never raises."""
        with contextlib.suppress(DBAPIError):
            self._engine.dispose()

    def _made(self) -> Engine:
        options: dict[str, Any] = {
            "poolclass": sa.pool.QueuePool,
            "pool_size": 1,
            "max_overflow": 0,
            "hide_parameters": True,  # what is written is nothing for the log
        }
        match self.url.get_backend_name():
            case "sqlite":
                engine = sa.create_engine(self.url, creator=self._open_file, **options)
                sa.event.listen(engine, "checkout", self._see_that_it_is_the_file)
                sa.event.listen(engine, "begin", _begin_sqlite)
            case "postgresql":
                options |= {"isolation_level": "READ COMMITTED", "pool_recycle": RECYCLE_SECONDS}
                engine = sa.create_engine(self.url, connect_args=self._of_postgres(), **options)
                sa.event.listen(engine, "checkout", self._see_that_postgres_answers)
                sa.event.listen(engine, "begin", self._limit_postgres)
            case _:
                options |= {"pool_pre_ping": True, "pool_recycle": RECYCLE_SECONDS}
                engine = sa.create_engine(self.url, connect_args=self._of_mariadb(), **options)
                sa.event.listen(engine, "connect", self._limit_mariadb)
        return engine

    def _open_file(self) -> sqlite3.Connection:
        path = self._path
        if not self._read_only:
            _make_folder(path.parent)
        seconds = self._lock_seconds or 0.0
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,  # we say when a transaction begins
            timeout=seconds,
            check_same_thread=False,  # a pool may close it from where it likes
        )
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode NORMAL would lose the last transactions when the power goes.
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    @property
    def _path(self) -> Path:
        return Path(self.url.database or "").absolute()

    def _see_that_it_is_the_file(
        self, opened: sqlite3.Connection, entry: ConnectionPoolEntry, _proxy: object
    ) -> None:
        """Open it anew when the path leads to another file now: writing to the old one would be lost."""
        del opened
        identity = _identity(self._path)
        if entry.info.setdefault("identity", identity) != identity or identity is None:
            raise DisconnectionError(f"{self._path} is another file now")

    def _of_postgres(self) -> dict[str, Any]:
        cut_ms = int((self._statement_seconds or 600.0) * 2000)
        wanted: dict[str, Any] = {
            "fallback_application_name": "shipper",
            "connect_timeout": max(SHORTEST_LOGIN_SECONDS, round(self._connect_seconds)),
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": cut_ms,
        }
        ours = {key: value for key, value in wanted.items() if key not in self.url.query}
        # A pooler may give every transaction another session, where ours is not prepared.
        return ours | {"prepare_threshold": None}

    def _of_mariadb(self) -> dict[str, Any]:
        # PyMySQL takes whole seconds for the limits of connections, and at least one.
        wanted: dict[str, Any] = {
            "connect_timeout": max(1, round(self._connect_seconds)),
            "program_name": "shipper",
        }
        if self._statement_seconds is not None:
            grace_seconds = min(GRACE_SECONDS, self._statement_seconds)
            wanted["read_timeout"] = wanted["write_timeout"] = (
                self._statement_seconds + grace_seconds
            )
        return {key: value for key, value in wanted.items() if key not in self.url.query}

    def _limit_postgres(self, connection: Connection) -> None:
        """Set limits for one transaction: behind a pooler the next may be somebody else's."""
        limits = {
            "statement_timeout": self._statement_seconds,
            "lock_timeout": self._lock_seconds,
        }
        connection.exec_driver_sql(
            "SET LOCAL TimeZone = 'UTC';"
            + ";".join(
                f"SET LOCAL {name} = {int((seconds or 0.0) * 1000)}"
                for name, seconds in limits.items()
            )
        )

    def _limit_mariadb(self, connection: Any, _entry: object) -> None:  # noqa: ANN401 - PyMySQL's own
        is_mariadb = "mariadb" in str(connection.get_server_info()).lower()
        statements = list(MARIADB_SESSION)
        if self._lock_seconds is not None:
            seconds = max(1, round(self._lock_seconds))
            statements.append(f"SET innodb_lock_wait_timeout = {seconds}")
            statements.append(f"SET lock_wait_timeout = {seconds}")
        if self._statement_seconds is not None and is_mariadb:
            statements.append(f"SET max_statement_time = {self._statement_seconds:f}")
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _see_that_postgres_answers(self, opened: Any, _entry: object, _proxy: object) -> None:  # noqa: ANN401
        """Find out whether a kept connection still stands, as SQLAlchemy's own ping does, but not without end."""
        import psycopg

        try:
            with _cut_after(self._connect_seconds, opened.fileno()):
                opened.execute("SELECT 1")
                opened.rollback()
        except psycopg.Error as error:
            raise DisconnectionError(str(error)) from error

    @contextmanager
    def _watched(self, connection: Connection) -> Iterator[None]:
        """Cut the connection when the transaction takes far too long; psycopg would wait without end."""
        if self.url.get_backend_name() != "postgresql" or self._statement_seconds is None:
            yield
            return
        driver: Any = connection.connection.dbapi_connection
        with _cut_after(2 * self._statement_seconds, driver.fileno()):
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except DBAPIError as error:
            raise verdict(error, self.url) from error
        except (OverflowError, UnicodeError) as error:
            # Drivers raise these as they are, about a value that they cannot write.
            raise RowsRefused(told(error, self.url), reason="wrong_value") from error


def _begin_sqlite(connection: Connection) -> None:
    # Two transactions that read first and write then would get into each other's way.
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _make_folder(folder: Path) -> None:
    """Make the folder of a file, for nobody else to look into."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"the folder {folder} cannot be made: {error.strerror}", reason="cannot_open"
        ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _cut_after(seconds: float, descriptor: int) -> Iterator[None]:
    """Shut a socket down when the block takes longer, so that whoever waits for it wakes up."""
    # The descriptor is the driver's to close; ours is a second one.
    with socket.socket(fileno=os.dup(descriptor)) as second:
        timer = Timer(seconds, _cut, (second,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(second: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile
        second.shutdown(socket.SHUT_RDWR)
