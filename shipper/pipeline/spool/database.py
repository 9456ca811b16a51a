"""The SQLite file of a spool: opened when it is first needed, let go of at the first fault, and opened again.

A write-ahead log, because a commit then costs one fsync and a reader never waits for a writer. What has to survive a
power failure is committed with `synchronous=FULL`; what may happen again, like forgetting what was delivered, without.

Even forgetting needs room on the disk, for the log and for what is worked from there into the file. So that a disk that
we filled can be emptied again, nothing more is kept on it while `LEAST_FREE_BYTES` are left.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

VERSION = 1
"""Kept in `user_version`; a file of a later version is left alone."""

BUSY_SECONDS = 5.0
CACHE_KIB = 512

LOG_PAGES = 256
"""How far the write-ahead log grows before it is worked into the file: 1 MiB in pages of 4 KiB."""

LOG_BYTES = 1024 * 1024
"""What of the log is left on the disk when it begins anew."""

LEAST_FREE_BYTES = 16 * 1024 * 1024
"""A disk with less is as good as full."""

# The write version and the read version in the head of the file (sqlite.org/fileformat2.html, section 1.3). What SQLite
# takes for the format of a later version, it opens for reading only.
_FORMATS_AT = 18
_WAL_FORMAT = 2

LEAST_FREE_PAGES = 64
"""Less than 256 KiB is not worth giving back."""

# What SQLite says of the surroundings. Any other error of statements that are known to be right means that the file
# is not what we wrote (sqlite.org/rescode.html).
_OF_THE_SURROUNDINGS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_ABORT,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_AUTH,
}

_SCHEMA = f"""
PRAGMA auto_vacuum=INCREMENTAL;
PRAGMA journal_mode=WAL;
BEGIN;
CREATE TABLE parcels (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    lines INTEGER NOT NULL,
    put_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    labels TEXT NOT NULL,
    weight_bytes INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX parcels_of_a_sink ON parcels (sink, number);
CREATE TABLE totals (sink TEXT PRIMARY KEY, lines INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE checkpoint (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    kind TEXT NOT NULL,
    cursor TEXT NOT NULL,
    set_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), name TEXT NOT NULL);
PRAGMA user_version={VERSION};
COMMIT;
"""


class SpoolUnusable(Exception):
    """The file cannot be read or written now: the disk is full, read-only or broken, or the file is not for us."""


class SpoolDamaged(Exception):
    """The file was written by us once, and a part of it is not what it was."""


class Database:
    """One file and the connection to it. Not safe to use from several threads at once.

    Attributes:
        path: The file; made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a file; False also where the disk does not tell."""
        return _place_of(self.path) is not None

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            SpoolUnusable: They cannot be read now.
            SpoolDamaged: They cannot be read ever.
        """
        with self._faults_translated():
            return self._opened().execute(sql, values).fetchall()

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Commit what the block writes, all of it or nothing; `durable` waits until the disk has it.

        Raises:
            SpoolUnusable: Nothing was written.
            SpoolDamaged: Nothing was written, and the file has to be mended.
        """
        with self._faults_translated():
            connection = self._opened()
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def see_to_room(self, wanted_bytes: int) -> None:
        """See that so much can be written, once to the log and once to the file.

        Raises:
            SpoolUnusable: There is not enough room on the disk.
        """
        folder = self.path.parent
        with suppress(OSError):
            # A folder that is not there yet, or whose disk does not tell, is tried.
            if shutil.disk_usage(folder).free < LEAST_FREE_BYTES + 2 * wanted_bytes:
                raise SpoolUnusable(f"{self.path}: the disk is full")

    def shrink(self) -> None:
        """Give room back to the disk, once more than half of the file is free.

        Raises:
            SpoolUnusable: It did not work now, which does no harm.
            SpoolDamaged: The file has to be mended.
        """
        with self._faults_translated():
            connection = self._opened()
            (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if free_pages < LEAST_FREE_PAGES or free_pages * 2 < pages:
                return
            # A script, because `execute` of Python 3.11 stops after the first page.
            connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of the file. Never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # What a broken disk makes of the last checkpoint changes nothing: the log of the database has it.
            with suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connected(self.path)
            self._place = _place_of(self.path)
        elif _place_of(self.path) != self._place:
            # What is written into a file without a name is gone with this process.
            raise SpoolDamaged("it was removed or replaced while in use")
        return self._connection

    @contextmanager
    def _faults_translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._let_go(error)
            raise _translated(error, self.path) from error
        except UnicodeDecodeError as error:
            # The sqlite3 module stumbles over what a damaged file puts into SQLite's own message.
            self.close()
            raise SpoolDamaged("it cannot be read as a database") from error
        except BaseException:
            self._roll_back()
            raise

    def _let_go(self, error: sqlite3.Error | OSError) -> None:
        self._roll_back()
        if self._connection is None or not _is_full(error):
            # What went wrong may need a new connection, or another file in this place.
            self.close()
            return
        # What a commit had written before the disk was full is given back.
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _roll_back(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here, because SQLite would let others read it; the files beside it get the same permissions.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        formats = os.pread(file, 2, _FORMATS_AT)
    finally:
        os.close(file)
    if any(number > _WAL_FORMAT for number in formats):
        raise SpoolDamaged("its header is not what it was")
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
        _see_to_the_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _see_to_the_tables(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise SpoolUnusable(f"{path} was written by a later version of Shipper")
    if version == 0:
        connection.executescript(_SCHEMA)


def _place_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, by which another one in its place is told."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _translated(error: sqlite3.Error | OSError, path: Path) -> Exception:
    text = str(error)
    if isinstance(error, OSError):
        text = error.strerror or text
    elif _is_damage(error):
        return SpoolDamaged(text)
    return SpoolUnusable(f"{path}: {text}")


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Text that is no UTF-8 is found out by the sqlite3 module, which has no code for it.
        return str(error).startswith("Could not decode")
    return code & 0xFF not in _OF_THE_SURROUNDINGS


def _is_full(error: sqlite3.Error | OSError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
