"""SQLite through Python's sqlite3: a file, never opened for writing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement

from shipper.sources.sql.engines import Change, Column, Few, Parameters, Streamed

LONGEST_WAIT_FOR_LOCK_SECONDS = 5.0
"""SQLite sleeps while it waits for a lock, and cannot be interrupted then."""


class SqliteLink:
    """One opened file, which stays open as long as it is the one at its path."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = _identity(path)
        self._streaming: sqlite3.Cursor | None = None

    @property
    def connection(self) -> object:
        return self._connection

    @property
    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def begin(self, seconds: float) -> None:
        if _identity(self._path) != self._file:
            raise FileNotFoundError(f"{self._path} is another file now")
        wait_seconds = min(seconds / 2, LONGEST_WAIT_FOR_LOCK_SECONDS)
        # PRAGMA takes no parameters.
        self._connection.execute(f"PRAGMA busy_timeout = {int(wait_seconds * 1000)}")
        self._connection.execute("PRAGMA query_only = 1")
        # The first look into the file: tells a database from something else.
        self._connection.execute("PRAGMA schema_version").fetchone()

    def few(self, sql: str, parameters: Parameters) -> Few:
        cursor = self._connection.execute(sql, cast("Any", parameters))
        return Few(_columns(cursor), cursor.fetchall())

    def stream(self, sql: str, parameters: Parameters) -> Streamed:
        self._streaming = cursor = self._connection.execute(sql, cast("Any", parameters))
        return Streamed(_columns(cursor), cursor.fetchmany)

    def end(self) -> None:
        """Do nothing: no transaction was begun."""

    def cancel(self, seconds: float) -> None:
        del seconds
        self.cut()

    def cut(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed meanwhile
            self._connection.interrupt()

    def close(self) -> None:
        # SQLite keeps its lock on the file as long as there is a statement that was not read to its end.
        if self._streaming is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
                self._streaming.close()
        self._connection.close()


class Sqlite:
    """Files of SQLite 3.15 or newer, which compares rows."""

    dialect = URL.create("sqlite+pysqlite").get_dialect()()
    # What a cursor holds may be beyond what SQLite can: text that is no UTF-8, numbers of more than 64 bits.
    errors = (sqlite3.Error, OSError, ValueError, OverflowError)
    compares_rows = True
    mixes_types = True

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> SqliteLink:
        path = Path(url.database or "").absolute()
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=min(seconds / 2, 1),
            check_same_thread=False,
        )
        if forgiving:
            connection.text_factory = _text
        return SqliteLink(connection, path)

    def is_timeout(self, error: Exception) -> bool:
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT

    def is_lost(self, error: Exception) -> bool:
        code = getattr(error, "sqlite_errorcode", None)
        return isinstance(error, OSError) or code in {
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_NOTADB,
        }

    def is_unreadable(self, error: Exception) -> bool:
        # Said by Python, not by SQLite, so it has no code.
        return isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error)

    def told(self, error: Exception) -> str:
        return str(error)

    def change(self, column: Column) -> Change | None:
        del column
        return None

    def objection(self, column: Column) -> str:
        del column
        return ""

    def json_columns(self, table: str, schema: str | None) -> ClauseElement | None:
        del schema
        declared = sa.func.pragma_table_info(table).table_valued("name", "type")
        return sa.select(declared.c.name).where(sa.func.lower(declared.c.type) == "json")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _columns(cursor: sqlite3.Cursor) -> Sequence[Column]:
    return [Column(str(described[0])) for described in cursor.description or ()]


def _text(written: bytes) -> str:
    return written.decode("utf-8", errors="backslashreplace")
