"""Opens the Time Frame client's database for its commands, and says in one line why that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import URL

from shipper.core.errors import ShipperError, StartupError
from shipper.store.address import shown
from shipper.store.database import Database
from shipper.store.errors import StoreError, StoreUnavailable
from shipper.wiring.timeframes.address import sqlite_path

OTHER_TABLES = "other_tables"


class NoTables(StartupError):
    """The database has none of the tables."""


class NotFound(ShipperError):
    """What was asked for is not there."""


def see_that_it_is_there(url: URL) -> None:
    """Object to an SQLite file that does not exist; to open it would make it.

    Raises:
        NotFound: There is no such file.
    """
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        raise NotFound(f"{path} not found; init-db makes it, and start as well")


@contextmanager
def to_read(url: URL) -> Iterator[Database]:
    """Give a database that is only read.

    Raises:
        NotFound: There is no such SQLite file.
        NoTables: The tables are not there.
        StartupError: It cannot be reached, or has other tables.
    """
    see_that_it_is_there(url)
    database = Database(url, read_only=True)
    try:
        with told(url):
            try:
                yield database
            except StoreUnavailable as error:
                if error.reason == OTHER_TABLES and not _has_tables(database):
                    raise NoTables(
                        f"{shown(url)} has no tables of Time Frames; init-db makes them"
                    ) from error
                raise
    finally:
        database.close()


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Say what went wrong as a fault of the surroundings.

    Raises:
        StartupError: Something did.
    """
    try:
        yield
    except StoreError as error:
        hint = (
            "; init-db (for others than Time Frames: --tables) brings them up to date"
            if error.reason == OTHER_TABLES
            else ""
        )
        raise StartupError(f"{shown(url)} cannot be used: {error}{hint}") from error


def _has_tables(database: Database) -> bool:
    with database.reading() as connection:
        return sa.inspect(connection).has_table("runs")
