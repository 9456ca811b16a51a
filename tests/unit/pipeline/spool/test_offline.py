"""The checkpoint in a spool without a worker: looked at without a trace, and changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shipper.core.errors import StartupError
from shipper.pipeline.cursors import CursorUnreadable
from shipper.pipeline.spool import Checkpoint
from shipper.pipeline.spool.database import VERSION
from shipper.pipeline.spool.offline import lines_left, read_checkpoint, write_checkpoint
from tests.unit.pipeline.spool.parcels import Site, drained, parcels, put_ns_of

CURSOR = ("2026-11-22", 17)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "name with ? and %")


def change(site: Site, sql: str) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute(sql)


def snapshot(site: Site) -> dict[str, bytes]:
    """Return all files but the index of the log, which is shared memory."""
    folder = site.path.parent
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


@pytest.mark.parametrize("running", [True, False])
def test_what_waits_is_counted_without_a_worker(site: Site, running: bool) -> None:
    spool = site.spool()
    kept = spool.keep("loki", parcels(0, 3))
    assert kept is not None
    wanted = sum(len(parcel.stream) for parcel in kept)
    if not running:
        spool.close()

    assert lines_left(site.path) == {"loki": wanted}


def test_what_is_no_spool_cannot_be_counted(site: Site) -> None:
    site.path.parent.mkdir(parents=True)
    site.path.write_text("not a spool, but long enough to be taken for a file of SQLite" * 100)

    with pytest.raises(StartupError, match="cannot be read"):
        lines_left(site.path)


@pytest.mark.parametrize("running", [True, False])
def test_looking_changes_nothing(site: Site, running: bool) -> None:
    spool = site.spool()
    spool.keep("loki", parcels(0, 3))
    spool.set_checkpoint("sql", CURSOR)
    if not running:
        spool.close()
    before = snapshot(site)
    seen = read_checkpoint(site.path)

    assert seen == Checkpoint("sql", CURSOR, site.clock.ns)
    assert snapshot(site) == before
    spool.close()


def test_a_spool_without_a_checkpoint_has_none(site: Site) -> None:
    spool = site.spool()
    spool.keep("loki", parcels(0, 3))
    spool.close()

    assert read_checkpoint(site.path) is None


def test_an_empty_file_has_none(site: Site) -> None:
    site.path.parent.mkdir(parents=True)
    site.path.touch()

    assert read_checkpoint(site.path) is None


def test_a_file_that_is_no_spool_is_told(site: Site) -> None:
    site.path.parent.mkdir(parents=True)
    site.path.write_text("text" * 1000)

    with pytest.raises(StartupError, match=r"m\.db cannot be read: file is not a database"):
        read_checkpoint(site.path)


def test_a_file_that_is_not_there_is_told_and_not_made(site: Site) -> None:
    with pytest.raises(StartupError, match="cannot be read"):
        read_checkpoint(site.path)

    assert not site.folder.exists()


def test_a_file_of_a_later_version_is_told(site: Site) -> None:
    write_checkpoint(site.path, Checkpoint("sql", CURSOR, 1), site.clock)
    change(site, f"PRAGMA user_version={VERSION + 1}")

    with pytest.raises(StartupError, match="later version"):
        read_checkpoint(site.path)
    with pytest.raises(StartupError, match="later version"):
        write_checkpoint(site.path, None, site.clock)


def test_a_cursor_that_was_changed_is_unreadable(site: Site) -> None:
    write_checkpoint(site.path, Checkpoint("sql", CURSOR, 1), site.clock)
    change(site, "UPDATE checkpoint SET set_ns = 2")

    with pytest.raises(CursorUnreadable, match="the checksum is wrong"):
        read_checkpoint(site.path)


def test_what_was_written_is_where_a_run_goes_on(site: Site) -> None:
    spool = site.spool()
    spool.keep("loki", parcels(0, 3))
    spool.close()
    torn = write_checkpoint(site.path, Checkpoint("sql", CURSOR, 1), site.clock)
    again = site.spool("second")

    assert torn is None
    assert again.checkpoint() == Checkpoint("sql", CURSOR, 1)
    assert put_ns_of(drained(again)) == [0, 1, 2]
    again.close()


def test_a_checkpoint_is_forgotten(site: Site) -> None:
    write_checkpoint(site.path, Checkpoint("sql", CURSOR, 1), site.clock)
    write_checkpoint(site.path, None, site.clock)

    assert read_checkpoint(site.path) is None


def test_a_damaged_file_is_left_to_a_run(site: Site) -> None:
    site.path.parent.mkdir(parents=True)
    site.path.write_text("text" * 1000)

    with pytest.raises(StartupError, match="is damaged"):
        write_checkpoint(site.path, None, site.clock)
    assert site.path.read_text() == "text" * 1000


def test_a_folder_that_cannot_be_written_is_told(site: Site) -> None:
    site.folder.mkdir()
    site.path.parent.write_text("a file")

    with pytest.raises(StartupError, match="File exists"):
        write_checkpoint(site.path, Checkpoint("sql", CURSOR, 1), site.clock)
