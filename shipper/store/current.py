"""Opens a database whose tables are as we know them: made or upgraded where they are not."""

from __future__ import annotations

from logging import Logger
from typing import TYPE_CHECKING

from shipper.store import versions
from shipper.store.address import shown
from shipper.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def current_database(
    url: URL,
    branch: str,
    *,
    log: Logger,
    connect_timeout_seconds: float,
    statement_timeout_seconds: float,
) -> Database:
    """Return the database, with the tables of a branch at our version.

    Raises:
        StoreError: It cannot be used, or the tables are of a newer version.
    """
    database = Database(
        url,
        connect_timeout_seconds=connect_timeout_seconds,
        statement_timeout_seconds=statement_timeout_seconds,
    )
    try:
        if not versions.is_current(database, branch):
            versions.upgrade(url, branch, connect_timeout_seconds=connect_timeout_seconds)
            log.info(
                "The tables of %(database)s are at version %(version)s now.",
                {
                    "event": "tables_upgraded",
                    "database": shown(url),
                    "version": versions.head(branch),
                },
            )
    except BaseException:
        database.close()
        raise
    return database
