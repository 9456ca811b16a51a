"""MariaDB and MySQL through PyMySQL: read-only transactions, with the time limit set on the server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import Any

import pymysql
import sqlalchemy as sa
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor
from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement

from shipper.sources.sql.engines import Change, Column, Few, Parameters, Streamed
from shipper.sources.sql.times import in_zone
from shipper.sources.sql.values import clock_text, number_of_bits, parsed_json

LONGEST_LOGIN_SECONDS = 10.0

SESSION = (
    # TIMESTAMP comes in the zone of the session: in one with summer time an hour would come twice.
    "SET time_zone = '+00:00'",
    "SET SESSION TRANSACTION READ ONLY",
)

STOPPED = frozenset({1317, 1969, 3024})
"""Query interrupted; max_statement_time exceeded (MariaDB); max_execution_time exceeded (MySQL)."""

LOST = frozenset({1040, 1044, 1045, 1049, 1053, 1129, 1130, 1152, 1203, 1226, 1698, 1927})
"""Too many connections, access denied, no such database, shutdown, blocked, killed: not now, not for us."""

CLIENT_ERRORS = range(2000, 3000)
"""Errors that no server sends: all about the connection."""

CANNOT_LOG_IN = 2061
"""A client's error: it cannot log in the way that the server wants."""

IDLE_TOO_LONG = 4031
"""How MySQL 8 says goodbye."""


class MariaDbLink:
    """One connection."""

    # The types of PyMySQL leave out much of what it has.
    def __init__(self, connection: Any, engine: MariaDb, url: URL) -> None:  # noqa: ANN401
        self._connection = connection
        self._engine = engine
        self._url = url
        self._thread_id: int = connection.thread_id()
        self._streaming: Any = None

    @property
    def connection(self) -> object:
        return self._connection

    @property
    def version(self) -> str:
        written = str(self._connection.get_server_info())
        # MariaDB before 11 calls itself a MySQL 5.5.5 first, for old clients.
        return (
            f"MariaDB {written.removeprefix('5.5.5-')}" if self._is_mariadb else f"MySQL {written}"
        )

    @property
    def _is_mariadb(self) -> bool:
        return "mariadb" in str(self._connection.get_server_info()).lower()

    def begin(self, seconds: float) -> None:
        with self._connection.cursor() as cursor:
            if self._is_mariadb:
                cursor.execute("SET max_statement_time = %s", (max(seconds, 0.001),))
            else:
                cursor.execute("SET max_execution_time = %s", (max(1, int(seconds * 1000)),))

    def few(self, sql: str, parameters: Parameters) -> Few:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return Few(_columns(cursor), cursor.fetchall())

    def stream(self, sql: str, parameters: Parameters) -> Streamed:
        self._streaming = cursor = self._connection.cursor(SSCursor)
        cursor.execute(sql, parameters)
        return Streamed(_columns(cursor), cursor.fetchmany)

    def end(self) -> None:
        self._connection.rollback()

    def cancel(self, seconds: float) -> None:
        other = self._engine.connect(self._url, seconds, forgiving=False)
        try:
            other.kill_query(self._thread_id)
        finally:
            other.close()

    def kill_query(self, thread_id: int) -> None:
        """Stop what another connection runs."""
        with self._connection.cursor() as cursor:
            cursor.execute("KILL QUERY %s", (thread_id,))

    def cut(self) -> None:
        opened = self._connection._sock  # noqa: SLF001 - PyMySQL 1.2 shows its socket nowhere
        if opened is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        # A cursor that was not read to its end would try to, when it is collected.
        if self._streaming is not None and self._streaming._result is not None:  # noqa: SLF001
            self._streaming._result.unbuffered_active = False  # noqa: SLF001
        with contextlib.suppress(*MariaDb.errors):  # says goodbye, and nobody is left to hear
            self._connection.close()


class MariaDb:
    """MariaDB 10.5 or newer, and MySQL 8."""

    dialect = URL.create("mysql+pymysql").get_dialect()()
    errors = (pymysql.Error, OSError, ValueError)
    # MariaDB 10.11 reads the index from its beginning for `(a, b) > (x, y)`.
    compares_rows = False
    mixes_types = False

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> MariaDbLink:
        del forgiving  # PyMySQL returns text for what is no date
        words, options = self.dialect.create_connect_args(url)
        wanted = {
            "connect_timeout": min(seconds, LONGEST_LOGIN_SECONDS),
            "read_timeout": seconds,
            "program_name": "shipper",
            **options,
        }
        try:
            connection = pymysql.connect(*words, **wanted)
        except (
            RuntimeError
        ) as error:  # without TLS some ways to log in want the package cryptography
            raise pymysql.OperationalError(CANNOT_LOG_IN, str(error)) from None
        with connection.cursor() as cursor:
            for statement in SESSION:
                cursor.execute(statement)
        return MariaDbLink(connection, self, url)

    def is_timeout(self, error: Exception) -> bool:
        return _number(error) in STOPPED

    def is_lost(self, error: Exception) -> bool:
        number = _number(error)
        of_the_client = number in CLIENT_ERRORS or number == IDLE_TOO_LONG
        return (
            of_the_client or number in LOST or isinstance(error, pymysql.InterfaceError | OSError)
        )

    def is_unreadable(self, error: Exception) -> bool:
        del error
        return False

    def told(self, error: Exception) -> str:
        if len(error.args) == 2:
            return f"{error.args[1]} (error {error.args[0]})"
        return str(error)

    def change(self, column: Column) -> Change | None:
        match column.code:
            case FIELD_TYPE.DATETIME:
                return partial(in_zone, zone=self._zone)
            case FIELD_TYPE.TIMESTAMP:
                return partial(in_zone, zone=UTC)
            case FIELD_TYPE.TIME:
                return clock_text
            case FIELD_TYPE.BIT:
                return number_of_bits
            case FIELD_TYPE.JSON:  # MySQL; MariaDB's JSON is a text
                return parsed_json
            case _:
                return None

    def objection(self, column: Column) -> str:
        if column.code == FIELD_TYPE.FLOAT:
            return "is of type FLOAT, which does not come back as it was; use DOUBLE or DECIMAL"
        return ""

    def json_columns(self, table: str, schema: str | None) -> ClauseElement | None:
        # JSON is a LONGTEXT with a constraint of the column's own name (MariaDB 10.4.3).
        rules = sa.table(
            "CHECK_CONSTRAINTS",
            *map(sa.column, ("CONSTRAINT_SCHEMA", "TABLE_NAME", "CONSTRAINT_NAME", "CHECK_CLAUSE")),
            schema="information_schema",
        )
        here = sa.func.database() if schema is None else sa.literal(schema)
        return sa.select(rules.c.CONSTRAINT_NAME).where(
            here == rules.c.CONSTRAINT_SCHEMA,
            sa.literal(table) == rules.c.TABLE_NAME,
            rules.c.CHECK_CLAUSE.startswith("json_valid("),
        )


def _number(error: Exception) -> int:
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def _columns(cursor: Any) -> Sequence[Column]:  # noqa: ANN401
    return [Column(described[0], described[1]) for described in cursor.description or ()]
