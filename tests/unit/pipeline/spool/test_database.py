"""The file of a spool: made late and for us alone, let go of at a fault, and told apart by what went wrong."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from shipper.pipeline.spool.database import (
    LEAST_FREE_BYTES,
    VERSION,
    Database,
    SpoolDamaged,
    SpoolUnusable,
)

Usage = namedtuple("Usage", "free")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "spool" / "m.db")


def write_run(database: Database, name: str = "r") -> None:
    with database.transaction(durable=True) as connection:
        connection.execute("INSERT OR REPLACE INTO run VALUES (1, ?)", (name,))


def runs(database: Database) -> list[tuple[str, ...]]:
    return database.read("SELECT name FROM run")


def add_filler(database: Database) -> None:
    with database.transaction(durable=False) as connection:
        connection.executemany(
            "INSERT INTO parcels VALUES (NULL, 'loki', 1, 1, 1, '', 1, zeroblob(2000))", [()] * 500
        )


def test_nothing_is_made_before_it_is_needed(database: Database, tmp_path: Path) -> None:
    assert not database.exists
    assert list(tmp_path.iterdir()) == []


def test_files_are_for_us_alone(database: Database) -> None:
    write_run(database)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()
    }

    assert modes == {"m.db": 0o600, "m.db-wal": 0o600, "m.db-shm": 0o600}
    assert stat.S_IMODE(database.path.parent.stat().st_mode) == 0o700


def test_what_was_written_is_read_after_closing(database: Database) -> None:
    write_run(database)
    database.close()

    assert runs(database) == [("r",)]


def test_closing_twice_does_nothing(database: Database) -> None:
    write_run(database)
    database.close()
    database.close()

    assert database.exists


class FaultOfOurs(Exception):
    pass


def test_a_transaction_is_undone_whatever_ends_it(database: Database) -> None:
    write_run(database, "before")

    def fail() -> None:
        with database.transaction(durable=True) as connection:
            connection.execute("DELETE FROM run")
            raise FaultOfOurs

    with pytest.raises(FaultOfOurs):
        fail()

    assert runs(database) == [("before",)]
    write_run(database, "after")
    assert runs(database) == [("after",)]


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_only_what_has_to_survive_waits_for_the_disk(
    database: Database, durable: bool, synchronous: int
) -> None:
    with database.transaction(durable=durable) as connection:
        asked = connection.execute("PRAGMA synchronous").fetchone()

    assert asked == (synchronous,)


def test_a_file_of_a_later_version_is_left_alone(database: Database) -> None:
    write_run(database)
    database.close()
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    before = database.path.read_bytes()
    with pytest.raises(SpoolUnusable, match="later version of Shipper"):
        runs(database)

    assert database.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"text " * 2000, bytes(100)], ids=["text", "zeros"])
def test_a_file_that_is_no_database_is_damaged(database: Database, content: bytes) -> None:
    database.path.parent.mkdir()
    database.path.write_bytes(content)

    with pytest.raises(SpoolDamaged):
        runs(database)


def test_an_empty_file_becomes_a_database(database: Database) -> None:
    database.path.parent.mkdir()
    database.path.touch()

    assert runs(database) == []


def test_a_header_of_another_format_is_damage_and_not_a_read_only_disk(database: Database) -> None:
    write_run(database)
    database.close()
    with database.path.open("r+b") as file:
        file.seek(18)
        file.write(b"\x77")

    with pytest.raises(SpoolDamaged, match="header"):
        write_run(database)


def test_a_message_of_sqlite_that_cannot_be_decoded_is_damage(database: Database) -> None:
    write_run(database)
    database.close()
    content = database.path.read_bytes()
    database.path.write_bytes(
        content.replace(b"CREATE TABLE parcels", b"CREATE TABLE \x80\x80\x80cels")
    )

    with pytest.raises(SpoolDamaged):
        runs(database)


def test_a_missing_table_is_damage(database: Database) -> None:
    write_run(database)
    with database.transaction(durable=False) as connection:
        connection.execute("DROP TABLE run")

    with pytest.raises(SpoolDamaged, match="no such table"):
        runs(database)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(SpoolUnusable, match="File exists"):
        write_run(Database(tmp_path / "spool" / "m.db"))


def test_a_disk_that_does_not_tell_is_one_without_the_file(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stat_failed(_path: Path) -> os.stat_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", stat_failed)

    assert not database.exists


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_that_was_taken_away_is_not_written_any_more(
    database: Database, replaced: bool
) -> None:
    write_run(database)
    shutil.rmtree(database.path.parent)
    if replaced:
        other = Database(database.path)
        write_run(other, "theirs")
        other.close()

    with pytest.raises(SpoolDamaged, match="removed or replaced"):
        write_run(database, "lost")


def test_room_is_seen_to_before_it_is_used_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(LEAST_FREE_BYTES + 20))
    database.see_to_room(10)

    with pytest.raises(SpoolUnusable, match="the disk is full"):
        database.see_to_room(11)


def test_a_folder_that_is_not_there_yet_has_room(database: Database) -> None:
    database.see_to_room(10)

    assert not database.exists


def test_a_statement_that_fails_for_want_of_room_leaves_everything_as_it_was(
    database: Database,
) -> None:
    write_run(database, "before")
    # What SQLite does at the end of a disk, without one.
    database.read("PRAGMA max_page_count=8")
    with pytest.raises(SpoolUnusable, match="full"):
        add_filler(database)
    database.read("PRAGMA max_page_count=100000")
    add_filler(database)

    assert runs(database) == [("before",)]
    assert database.read("SELECT COUNT(*) FROM parcels") == [(500,)]


def test_room_is_given_back_to_the_disk(database: Database) -> None:
    add_filler(database)
    database.shrink()
    database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    full_bytes = database.path.stat().st_size
    with database.transaction(durable=False) as connection:
        connection.execute("DELETE FROM parcels WHERE number > 10")
    database.shrink()

    assert full_bytes > 1_000_000
    assert database.path.stat().st_size < 100_000
    assert database.read("SELECT COUNT(*) FROM parcels") == [(10,)]


def test_little_room_is_not_worth_giving_back(database: Database) -> None:
    add_filler(database)
    with database.transaction(durable=False) as connection:
        connection.execute("DELETE FROM parcels WHERE number > 300")
    database.shrink()

    assert database.read("PRAGMA freelist_count") > [(60,)]
