"""Tells from what a driver raised whether the database or the rows are at fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from shipper.store.errors import RowsRefused, StoreError, StoreUnavailable, StoreUndecided

LONGEST_TEXT = 500

SQLITE_WAITS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR: "disk_error",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_PERM: "no_rights",
    sqlite3.SQLITE_AUTH: "no_rights",
    sqlite3.SQLITE_NOTADB: "not_a_database",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_SCHEMA: "other_tables",
}
SQLITE_REFUSES = {
    sqlite3.SQLITE_CONSTRAINT: "constraint",
    sqlite3.SQLITE_TOOBIG: "too_large",
    sqlite3.SQLITE_MISMATCH: "wrong_type",
}
PRIMARY_CODE = 0xFF
"""The rest of an SQLite error code says more than is needed here."""

POSTGRES_WAITS = {
    "08": "connection_lost",
    "25006": "read_only",
    "28": "login",
    "3D": "no_database",
    "3F": "other_tables",
    "40": "locked",
    "42501": "no_rights",
    "42P01": "other_tables",
    "42703": "other_tables",
    "53100": "disk_full",
    "53": "overloaded",
    "55P03": "locked",
    "57P": "connection_lost",
    "58": "disk_error",
}
POSTGRES_REFUSES = {"22": "wrong_value", "23": "constraint", "54": "too_large"}
POSTGRES_STOPPED = "57014"
"""SQLSTATE and the beginnings of it (PostgreSQL 15, appendix A)."""

MARIADB_WAITS = {
    1021: "disk_full",
    1114: "disk_full",
    1036: "read_only",
    1290: "read_only",
    1836: "read_only",
    1040: "overloaded",
    1203: "overloaded",
    1226: "overloaded",
    1044: "no_rights",
    1142: "no_rights",
    1143: "no_rights",
    1227: "no_rights",
    1370: "no_rights",
    1045: "login",
    1698: "login",
    1049: "no_database",
    1054: "other_tables",
    1146: "other_tables",
    1205: "locked",
    1213: "locked",
    1053: "connection_lost",
    1129: "connection_lost",
    1130: "login",
    1152: "connection_lost",
    1927: "connection_lost",
    4031: "connection_lost",
}
MARIADB_REFUSES = {
    1048: "constraint",
    1062: "constraint",
    1153: "too_large",
    1264: "wrong_value",
    1292: "wrong_value",
    1366: "wrong_value",
    1406: "too_large",
    1451: "constraint",
    1452: "constraint",
    1690: "wrong_value",
    3819: "constraint",
    4025: "constraint",
}
MARIADB_STOPPED = {1317, 1969, 3024}
"""Error numbers of MariaDB 10.11 and MySQL 8.0."""

CLIENT_ERRORS = range(2000, 3000)
"""Errors that no server of MariaDB sends: all about the connection."""

OF_THE_CONNECTION = {
    "refused": "connection_refused",
    "Can't connect": "connection_refused",
    "timeout": "timeout",
    "timed out": "timeout",
    "resolve": "dns",
    "not known": "dns",
    "authentication": "login",
    "pg_hba.conf": "login",
    "no password supplied": "login",
    "role": "login",
    "does not exist": "no_database",
    "too many": "overloaded",
    "SSL": "tls",
    "certificate": "tls",
}
"""Connecting, the drivers tell why in words only; without one of these words it is `connection_lost`."""


def verdict(error: DBAPIError, url: URL) -> StoreError:
    """Return what a driver's error means."""
    text = told(error, url)
    match url.get_backend_name():
        case "sqlite":
            return _sqlite(error.orig, text)
        case "postgresql":
            return _postgres(error.orig, text)
        case _:
            return _mariadb(error.orig, text)


def told(error: BaseException, url: URL) -> str:
    """Return what went wrong in the database's words, on one line and without the password."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = origin.args[1:] if _number(origin) else (origin,)
    text = " ".join(" ".join(map(str, words)).split()) or type(origin).__name__
    if url.password:
        text = text.replace(url.password, "***")
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _sqlite(origin: BaseException | None, text: str) -> StoreError:
    code = getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & PRIMARY_CODE
    if code in SQLITE_WAITS:
        return StoreUnavailable(text, reason=SQLITE_WAITS[code])
    if code in SQLITE_REFUSES or isinstance(origin, sqlite3.DataError):
        return RowsRefused(text, reason=SQLITE_REFUSES.get(code, "wrong_value"))
    if text.startswith(("no such table", "no such column", "table ")):
        return StoreUnavailable(text, reason="other_tables")
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreUndecided(text, reason="timeout")
    return StoreUndecided(text, reason="database_error")


def _postgres(origin: BaseException | None, text: str) -> StoreError:
    state = getattr(origin, "sqlstate", None)
    if state is None:
        if type(origin).__name__ == "DataError":  # psycopg could not write a value
            return RowsRefused(text, reason="wrong_value")
        return StoreUnavailable(text, reason=_of_the_connection(text))
    if state == POSTGRES_STOPPED:
        return StoreUndecided(text, reason="timeout")
    if reason := _by_beginning(POSTGRES_WAITS, state):
        return StoreUnavailable(text, reason=reason)
    if reason := _by_beginning(POSTGRES_REFUSES, state):
        return RowsRefused(text, reason=reason)
    return StoreUndecided(text, reason="database_error")


def _mariadb(origin: BaseException | None, text: str) -> StoreError:
    number = _number(origin)
    if number in MARIADB_WAITS:
        return StoreUnavailable(text, reason=MARIADB_WAITS[number])
    if number in CLIENT_ERRORS or isinstance(origin, OSError):
        return StoreUnavailable(text, reason=_of_the_connection(text))
    if number in MARIADB_REFUSES:
        return RowsRefused(text, reason=MARIADB_REFUSES[number])
    if number in MARIADB_STOPPED:
        return StoreUndecided(text, reason="timeout")
    if not number:  # PyMySQL itself: a connection that was closed under it
        return StoreUnavailable(text, reason="connection_lost")
    return StoreUndecided(text, reason="database_error")


def _number(origin: BaseException | None) -> int:
    """Return the number of an error of MariaDB; 0 for any other."""
    first = origin.args[0] if origin is not None and origin.args else None
    return first if isinstance(first, int) and not isinstance(origin, OSError) else 0


def _by_beginning(reasons: Mapping[str, str], state: str) -> str:
    return next((reason for begin, reason in reasons.items() if state.startswith(begin)), "")


def _of_the_connection(text: str) -> str:
    return next(
        (reason for word, reason in OF_THE_CONNECTION.items() if word in text), "connection_lost"
    )
