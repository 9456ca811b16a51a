"""What `init-db` does: makes the tables, brings them up to date, or drops them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import URL

from shipper.core.words import counted
from shipper.store.address import shown
from shipper.store.database import Database
from shipper.store.files import tables as of_files
from shipper.store.jobs import tables as of_jobs
from shipper.store.timeframes import tables as of_time_frames
from shipper.store.versions import head, upgrade, version_table
from shipper.wiring.timeframes.address import sqlite_path
from shipper.wiring.timeframes.doors import see_that_it_is_there, told


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables that are made and dropped together.

    Attributes:
        branch: Their branch of the migrations.
        metadata: What they are.
    """

    branch: str
    metadata: sa.MetaData

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return sorted(self.metadata.tables)


TABLES: Mapping[str, Tables] = {
    "tf": Tables("tf", of_time_frames.METADATA),
    "files": Tables("files", of_files.METADATA),
    "jobs": Tables("jobs", of_jobs.METADATA),
}


def make(url: URL, tables: Tables) -> str:
    """Make the tables that are missing, bring the others up to date, and say so; rows stay.

    Raises:
        StartupError: It cannot be done.
    """
    with told(url):
        upgrade(url, tables.branch)
    return f"{shown(url)} has {' and '.join(tables.names)}, version {head(tables.branch)}."


def before_make(url: URL) -> str:
    """Return what to ask before tables are made; nothing where that can surprise nobody."""
    path = sqlite_path(url)
    if path is None or not path.exists():
        return ""
    return (
        f"{path} exists. Make the tables that are missing in it, and bring the others up to date?"
    )


def before_drop(url: URL, tables: Tables) -> str:
    """Return what to ask before tables are dropped.

    Raises:
        NotFound: There is no such SQLite file.
        StartupError: The database does not tell how many rows they have.
    """
    rows = _rows_in(url, tables)
    there = (
        ", ".join(f"{name} with {counted(count, 'row')}" for name, count in rows.items())
        or "none of them"
    )
    return (
        f"Drop {' and '.join(tables.names)} from {shown(url)}? There is {there}, and no way back."
    )


def drop(url: URL, tables: Tables) -> str:
    """Drop the tables with all their rows, and say so.

    Raises:
        StartupError: It cannot be done.
    """
    database = Database(url)
    try:
        with told(url), database.writing() as connection:
            tables.metadata.drop_all(connection)
            version_table(tables.branch).drop(connection, checkfirst=True)
    finally:
        database.close()
    return f"Dropped {' and '.join(tables.names)} from {shown(url)}."


def _rows_in(url: URL, tables: Tables) -> Mapping[str, int]:
    """Return how many rows each of the tables has that are there."""
    see_that_it_is_there(url)
    database = Database(url, read_only=True, statement_timeout_seconds=None)
    try:
        with told(url), database.reading() as connection:
            inspector = sa.inspect(connection)
            return {
                name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for name, table in tables.metadata.tables.items()
                if inspector.has_table(name)
            }
    finally:
        database.close()
