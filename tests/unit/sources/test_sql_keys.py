"""What SQLAlchemy's reflection tells about the keys of a table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from shipper.sources.sql.engines.sqlite import SqliteLink
from shipper.sources.sql.keys import Keys, keys_of
from shipper.sources.sql.session import Turn

PLACE = URL.create("sqlite", database="app.db")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "app.db")
    yield connection
    connection.close()


def found(connection: sqlite3.Connection, tmp_path: Path, table: str) -> Keys | None:
    link = SqliteLink(connection, tmp_path / "app.db")
    return keys_of(Turn(link, lambda _statement, _values: ("", ())), PLACE, table, None)


def test_keys_are_told_in_small_letters(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.executescript(
        "CREATE TABLE Events (Id INTEGER PRIMARY KEY, At TEXT NOT NULL, Name TEXT, Code TEXT UNIQUE);"
        "CREATE INDEX by_time ON Events (At, Id);"
        "CREATE UNIQUE INDEX by_name ON Events (Name)"
    )
    keys = found(connection, tmp_path, "Events")

    assert keys is not None
    assert {"name", "code"} <= keys.nullable
    assert "at" not in keys.nullable
    assert {("id",), ("at", "id"), ("name",)} <= set(keys.indexes)
    assert {frozenset({"id"}), frozenset({"name"}), frozenset({"code"})} <= set(keys.unique)


@pytest.mark.parametrize("table", ["late", "nowhere"])
def test_views_and_what_is_not_there_have_none(
    connection: sqlite3.Connection, tmp_path: Path, table: str
) -> None:
    connection.execute("CREATE VIEW late AS SELECT 1 AS id")

    assert found(connection, tmp_path, table) is None


def test_a_table_without_any_has_none(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("CREATE TABLE plain (a)")
    keys = found(connection, tmp_path, "plain")

    assert keys is not None
    assert list(keys.unique) == []


def test_a_database_that_does_not_tell_is_no_error(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    link = SqliteLink(connection, tmp_path / "app.db")
    connection.close()
    turn = Turn(link, lambda _statement, _values: ("", ()))

    assert keys_of(turn, PLACE, "events", None) is None
