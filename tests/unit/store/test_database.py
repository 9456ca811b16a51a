"""A database that is a file: how it is opened, what is durable, and what is told when it cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from shipper.store.database import Database
from shipper.store.errors import RowsRefused, StoreUnavailable, StoreUndecided

Opened = Callable[..., Database]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Open databases, by default a new file, and close them at the end."""
    databases: list[Database] = []

    def opened_database(path: Path = tmp_path / "store.db", **options: Any) -> Database:
        databases.append(Database(URL.create("sqlite", database=str(path)), **options))
        return databases[-1]

    yield opened_database
    for database in databases:
        database.close()


def make(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n integer NOT NULL UNIQUE)")


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM t").scalar_one())


def insert(database: Database, n: object) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (n,))


def test_what_is_written_is_durable_and_readers_wait_for_no_writer(opened: Opened) -> None:
    database = opened()
    with database.writing() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        ]

    assert modes == ["wal", 2]


def test_the_folder_is_made_for_nobody_else(opened: Opened, tmp_path: Path) -> None:
    make(opened(tmp_path / "a" / "b" / "store.db"))

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_named(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(StoreUnavailable, match=f"folder {tmp_path}/a cannot be made") as caught:
        make(opened(tmp_path / "a" / "store.db"))
    assert caught.value.reason == "cannot_open"


def insert_and_fail(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        raise KeyError


def test_an_error_leaves_nothing_of_a_transaction(opened: Opened) -> None:
    database = opened()
    make(database)
    with pytest.raises(KeyError):
        insert_and_fail(database)

    assert count(database) == 0


@pytest.mark.parametrize("value", [None, 2**64, "\ud800"], ids=ascii)
def test_a_value_that_does_not_fit_is_the_row_s_fault(opened: Opened, value: object) -> None:
    database = opened()
    make(database)

    with pytest.raises(RowsRefused):
        insert(database, value)


def test_a_doubled_value_is_the_row_s_fault(opened: Opened) -> None:
    database = opened()
    make(database)
    insert(database, 1)

    with pytest.raises(RowsRefused) as caught:
        insert(database, 1)
    assert caught.value.reason == "constraint"


def test_a_writer_that_does_not_end_is_told(opened: Opened) -> None:
    make(opened())
    other = opened(lock_timeout_seconds=0.01)
    with opened().writing(), pytest.raises(StoreUnavailable) as caught:
        insert(other, 1)

    assert caught.value.reason == "locked"


def test_a_reader_waits_for_no_writer(opened: Opened) -> None:
    make(opened())
    other = opened(lock_timeout_seconds=0.01)
    with opened().writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")

        assert count(other) == 0


def test_a_missing_table_is_told(opened: Opened) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        count(opened())
    assert caught.value.reason == "other_tables"


def test_a_statement_that_makes_no_sense_leaves_it_open_whose_fault_it_is(opened: Opened) -> None:
    with pytest.raises(StoreUndecided), opened().writing() as connection:
        connection.exec_driver_sql("SELECT nonsense(")


def test_one_that_only_reads_makes_no_file(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        count(opened(tmp_path / "a" / "store.db", read_only=True))
    assert caught.value.reason == "cannot_open"
    assert list(tmp_path.iterdir()) == []


def test_one_that_only_reads_writes_nothing(opened: Opened) -> None:
    make(opened())

    with pytest.raises(StoreUnavailable) as caught:
        insert(opened(read_only=True), 1)
    assert caught.value.reason == "read_only"


def test_a_file_that_was_replaced_is_opened_anew(opened: Opened, tmp_path: Path) -> None:
    database = opened()
    make(database)
    insert(database, 1)
    for file in tmp_path.iterdir():
        file.unlink()
    make(database)

    assert count(database) == 0


def test_a_path_may_hold_any_character(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "a b%20#é.db"
    make(opened(path))
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert tables.fetchall() == [("t",)]
    connection.close()


def test_what_was_written_is_not_told(opened: Opened) -> None:
    database = opened()
    make(database)
    insert(database, 123456789)

    with pytest.raises(RowsRefused) as caught:
        insert(database, 123456789)
    assert "123456789" not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_s_address_may_say_how_to_connect() -> None:
    database = Database(make_url("postgresql://127.0.0.1:1/x?connect_timeout=7"))

    with pytest.raises(StoreUnavailable) as caught, database.reading():
        pass
    assert caught.value.reason == "connection_refused"
