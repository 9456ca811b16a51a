"""PostgreSQL through psycopg 3: every read is a transaction of its own, with its limits set on the server."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
from itertools import chain, islice
from typing import Any, cast

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.abc import Loader as AbstractLoader
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.sql import SQL
from psycopg.types.string import TextLoader
from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement

from shipper.sources.sql.engines import CHUNK_ROWS, Change, Column, Few, Parameters, Streamed
from shipper.sources.sql.times import in_zone

LONGEST_LOGIN_SECONDS = 10
SHORTEST_LOGIN_SECONDS = 2
"""libpq takes less for 2 (PostgreSQL 17)."""

TIMESTAMP = 1114
REAL = 700
"""Types by their oid in pg_type."""

WITH_MORE_VALUES = ("date", "time", "timetz", "timestamp", "timestamptz")
"""Types with values that Python has none for: infinity, years before 1 and after 9999, 24:00."""

BEGIN = SQL(
    "BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}; SET LOCAL TimeZone = {zone}"
)

QUERY_CANCELED = "57014"


class PostgresLink:
    """One connection."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], zone: tzinfo) -> None:
        self._connection = connection
        self._zone = zone

    @property
    def connection(self) -> object:
        return self._connection

    @property
    def version(self) -> str:
        return f"PostgreSQL {self._connection.info.parameter_status('server_version')}"

    def begin(self, seconds: float) -> None:
        # One journey for all of it. LOCAL, because behind a pooler the next transaction may be somebody else's.
        milliseconds = max(1, int(seconds * 1000))
        self._connection.execute(BEGIN.format(milliseconds=milliseconds, zone=str(self._zone)))

    def few(self, sql: str, parameters: Parameters) -> Few:
        cursor = self._connection.execute(sql.encode(), cast("Any", parameters))
        return Few(_columns(cursor), cursor.fetchall())

    def stream(self, sql: str, parameters: Parameters) -> Streamed:
        # Streaming works for whatever returns rows, where a cursor of the server would want a SELECT.
        cursor = self._connection.cursor()
        rows = cursor.stream(sql.encode(), cast("Any", parameters), size=CHUNK_ROWS)
        first = next(rows, None)
        if first is None:
            return Streamed((), lambda _count: ())
        begun = chain((first,), rows)
        return Streamed(_columns(cursor), lambda count: list(islice(begun, count)))

    def end(self) -> None:
        self._connection.execute("ROLLBACK")

    def cancel(self, seconds: float) -> None:
        self._connection.cancel_safe(timeout=seconds)

    def cut(self) -> None:
        # The descriptor is libpq's to close; ours is a second one. Both may be closed meanwhile.
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as second,
        ):
            second.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


class Postgres:
    """PostgreSQL 9.6 or newer."""

    dialect = URL.create("postgresql+psycopg").get_dialect()()
    errors = (psycopg.Error, OSError, ValueError)
    compares_rows = True
    mixes_types = False

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> PostgresLink:
        words, options = self.dialect.create_connect_args(url)
        connection = psycopg.connect(
            *words,
            **{
                "fallback_application_name": "shipper",
                "connect_timeout": _login_seconds(seconds),
                **options,
            },
            autocommit=True,
            # A pooler may give every transaction another session, where ours is not prepared.
            prepare_threshold=None,
        )
        # A timedelta has no months, which psycopg would turn into 30 days.
        connection.adapters.register_loader("interval", TextLoader)
        if forgiving:
            for name in WITH_MORE_VALUES:
                oid = connection.adapters.types[name].oid
                strict = connection.adapters.get_loader(oid, Format.TEXT)
                if strict is not None:
                    connection.adapters.register_loader(oid, _forgiving(strict))
        return PostgresLink(connection, self._zone)

    def is_timeout(self, error: Exception) -> bool:
        return getattr(error, "sqlstate", None) == QUERY_CANCELED

    def is_lost(self, error: Exception) -> bool:
        # Errors of the connection itself have no SQLSTATE; class 57P is the server going down or away.
        state = getattr(error, "sqlstate", None)
        if state is None:
            return isinstance(error, psycopg.OperationalError | OSError)
        return str(state).startswith(("57P", "08", "28", "3D", "53"))

    def is_unreadable(self, error: Exception) -> bool:
        # What the server says has a SQLSTATE; what psycopg says about a value has none.
        return isinstance(error, psycopg.DataError) and error.sqlstate is None

    def told(self, error: Exception) -> str:
        return str(error)

    def change(self, column: Column) -> Change | None:
        return partial(in_zone, zone=self._zone) if column.code == TIMESTAMP else None

    def objection(self, column: Column) -> str:
        if column.code == REAL:
            return (
                "is of type real, which does not come back as it was; cast it to double precision"
            )
        return ""

    def json_columns(self, table: str, schema: str | None) -> ClauseElement | None:
        del table, schema  # psycopg knows the types json and jsonb
        return None


def _login_seconds(seconds: float) -> int:
    return int(max(SHORTEST_LOGIN_SECONDS, min(seconds, LONGEST_LOGIN_SECONDS)))


def _columns(cursor: psycopg.Cursor[tuple[object, ...]]) -> Sequence[Column]:
    return [Column(described.name, described.type_code) for described in cursor.description or ()]


def _forgiving(strict: type[AbstractLoader]) -> type[Loader]:
    class ForgivingLoader(Loader):
        """Returns text for values that the strict loader has no Python value for."""

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._strict = strict(oid, context)

        def load(self, data: Buffer) -> object:
            try:
                return self._strict.load(data)
            except psycopg.DataError:
                return bytes(data).decode("utf-8")

    return ForgivingLoader
