"""What drivers' errors mean, one by one."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import psycopg.errors
import pymysql
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from shipper.store.errors import RowsRefused, StoreUnavailable, StoreUndecided
from shipper.store.verdict import verdict

POSTGRES = make_url("postgresql+psycopg://me:s3cret@host/db")
MARIADB = make_url("mysql+pymysql://me:s3cret@host/db")
SQLITE = make_url("sqlite+pysqlite:////tmp/x.db")


def wrapped(error: BaseException) -> DBAPIError:
    return DBAPIError("statement", None, error)


def of_sqlite(code: int, text: str = "told") -> DBAPIError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return wrapped(error)


def of_postgres(state: str | None, text: str = "told") -> DBAPIError:
    kind: Any = psycopg.OperationalError if state is None else psycopg.errors.lookup(state)
    return wrapped(kind(text))


def of_mariadb(number: int, text: str = "told") -> DBAPIError:
    return wrapped(pymysql.err.OperationalError(number, text))


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (sqlite3.SQLITE_BUSY, StoreUnavailable, "locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnavailable, "locked"),
        (sqlite3.SQLITE_FULL, StoreUnavailable, "disk_full"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailable, "disk_error"),
        (sqlite3.SQLITE_READONLY, StoreUnavailable, "read_only"),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailable, "cannot_open"),
        (sqlite3.SQLITE_CORRUPT, StoreUnavailable, "damaged"),
        (sqlite3.SQLITE_NOTADB, StoreUnavailable, "not_a_database"),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, RowsRefused, "constraint"),
        (sqlite3.SQLITE_TOOBIG, RowsRefused, "too_large"),
        (sqlite3.SQLITE_INTERRUPT, StoreUndecided, "timeout"),
        (sqlite3.SQLITE_ERROR, StoreUndecided, "database_error"),
    ],
)
def test_codes_of_sqlite(code: int, kind: type, reason: str) -> None:
    judged = verdict(of_sqlite(code), SQLITE)

    assert (type(judged), judged.reason) == (kind, reason)


@pytest.mark.parametrize(
    "text", ["no such table: runs", "no such column: x", "table runs has no column named x"]
)
def test_tables_that_are_not_as_known_in_sqlite(text: str) -> None:
    assert verdict(of_sqlite(sqlite3.SQLITE_ERROR, text), SQLITE).reason == "other_tables"


@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        ("08006", StoreUnavailable, "connection_lost"),
        ("57P01", StoreUnavailable, "connection_lost"),
        ("53300", StoreUnavailable, "overloaded"),
        ("53100", StoreUnavailable, "disk_full"),
        ("25006", StoreUnavailable, "read_only"),
        ("42501", StoreUnavailable, "no_rights"),
        ("28P01", StoreUnavailable, "login"),
        ("3D000", StoreUnavailable, "no_database"),
        ("42P01", StoreUnavailable, "other_tables"),
        ("42703", StoreUnavailable, "other_tables"),
        ("40001", StoreUnavailable, "locked"),
        ("40P01", StoreUnavailable, "locked"),
        ("55P03", StoreUnavailable, "locked"),
        ("22003", RowsRefused, "wrong_value"),
        ("23505", RowsRefused, "constraint"),
        ("54000", RowsRefused, "too_large"),
        ("57014", StoreUndecided, "timeout"),
        ("XX000", StoreUndecided, "database_error"),
    ],
)
def test_states_of_postgresql(state: str, kind: type, reason: str) -> None:
    judged = verdict(of_postgres(state), POSTGRES)

    assert (type(judged), judged.reason) == (kind, reason)


def test_a_value_that_psycopg_cannot_write_is_the_row_s_fault() -> None:
    judged = verdict(wrapped(psycopg.DataError("cannot contain NUL")), POSTGRES)

    assert isinstance(judged, RowsRefused)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (2003, StoreUnavailable, "connection_lost"),
        (2013, StoreUnavailable, "connection_lost"),
        (1040, StoreUnavailable, "overloaded"),
        (1045, StoreUnavailable, "login"),
        (1142, StoreUnavailable, "no_rights"),
        (1049, StoreUnavailable, "no_database"),
        (1146, StoreUnavailable, "other_tables"),
        (1205, StoreUnavailable, "locked"),
        (1213, StoreUnavailable, "locked"),
        (1290, StoreUnavailable, "read_only"),
        (1114, StoreUnavailable, "disk_full"),
        (1062, RowsRefused, "constraint"),
        (1264, RowsRefused, "wrong_value"),
        (1406, RowsRefused, "too_large"),
        (1153, RowsRefused, "too_large"),
        (1969, StoreUndecided, "timeout"),
        (1064, StoreUndecided, "database_error"),
    ],
)
def test_numbers_of_mariadb(number: int, kind: type, reason: str) -> None:
    judged = verdict(of_mariadb(number), MARIADB)

    assert (type(judged), judged.reason) == (kind, reason)
    assert str(judged) == "told"


def test_an_error_of_pymysql_without_a_number_is_about_the_connection() -> None:
    judged = verdict(wrapped(pymysql.err.InterfaceError(0, "")), MARIADB)

    assert (type(judged), judged.reason) == (StoreUnavailable, "connection_lost")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "connection to server at 127.0.0.1, port 1 failed: Connection refused",
            "connection_refused",
        ),
        ("connection timeout expired", "timeout"),
        ("failed to resolve host 'nowhere'", "dns"),
        ("FATAL: password authentication failed for user me", "login"),
        ('FATAL: database "x" does not exist', "no_database"),
        ('FATAL: role "x" does not exist', "login"),
        ("server closed the connection unexpectedly", "connection_lost"),
    ],
)
def test_why_nobody_could_be_connected_to_is_read_from_the_words(text: str, reason: str) -> None:
    assert verdict(of_postgres(None, text), POSTGRES).reason == reason


def test_the_password_is_taken_out_and_long_texts_are_cut() -> None:
    text = str(verdict(of_postgres("XX000", f"no\nway: s3cret {'x' * 1000}"), POSTGRES))

    assert text.startswith("no way: *** xxx")
    assert len(text) < 600
