"""The version of the tables in a database: reads it, and moves it with Alembic.

Every set of tables has a branch of migrations and a table `shipper_<branch>_version` of its own with the revision in
its only row. So sets know nothing of each other, and no other program's `alembic_version` is in the way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from shipper.store.database import Database
from shipper.store.errors import RowsRefused, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"

NUMBER = re.compile(r"(?P<branch>[a-z]+)_(?P<number>[0-9]{4})")

LOCK_NAME = "shipper migrations"
LONGEST_WAIT_SECONDS = 3600.0
"""How long to wait for another process that migrates: it may have to rewrite many rows."""

LONGEST_LOCK_SECONDS = 60.0
"""How long a step may wait for somebody who uses the tables."""

# Alembic keeps the migration that runs in a variable of its module, so threads have to take turns.
_ONE_AT_A_TIME = Lock()


@cache
def head(branch: str) -> str:
    """Return the newest revision of a branch that we know, as the names of the files tell."""
    return max(
        match[0]
        for path in (MIGRATIONS / "versions").iterdir()
        if (match := NUMBER.match(path.name)) and match["branch"] == branch
    )


def version_table(branch: str) -> sa.Table:
    """Return the table that holds the version of a branch."""
    return sa.Table(
        f"shipper_{branch}_version",
        sa.MetaData(),
        sa.Column("version_num", sa.String(32), primary_key=True),
    )


def version(connection: Connection, branch: str) -> str | None:
    """Return the revision that a database is at; `None` when it has none of the tables, or not by us."""
    table = version_table(branch)
    if not sa.inspect(connection).has_table(table.name):
        return None
    return connection.scalar(sa.select(table.c.version_num))


def hold(connection: Connection, branch: str) -> None:
    """Keep other writers and migrations away until the transaction ends, and see that the tables are as we know them.

    Raises:
        StoreUnavailable: They are not: they were migrated, or made anew, behind our back.
    """
    held = connection.scalar(sa.select(version_table(branch).c.version_num).with_for_update())
    if held != head(branch):
        raise StoreUnavailable(
            f"the tables are at version {held or 'none'}, not at {head(branch)}",
            reason="other_tables",
        )


def see_that_it_is_known(found: str | None, branch: str) -> None:
    """Object to a version that a newer Shipper left.

    Raises:
        StoreUnavailable: It is newer than what we know.
    """
    if found is not None and found > head(branch):
        raise StoreUnavailable(
            f"the tables are at version {found}, which is newer than {head(branch)}, the newest that is known here: "
            "install a newer Shipper, or restore a backup",
            reason="newer_version",
        )


def is_current(database: Database, branch: str) -> bool:
    """Tell whether the tables are as we know them; costs two small queries.

    Raises:
        StoreError: The database did not tell, or it is of a newer version.
    """
    with database.reading() as connection:
        found = version(connection, branch)
    see_that_it_is_known(found, branch)
    return found == head(branch)


def upgrade(url: URL, branch: str, *, connect_timeout_seconds: float = 5.0) -> None:
    """Make the tables of a branch, or bring them to our version; several processes may try at once.

    Raises:
        StoreError: It could not be done, or the tables are of a newer version.
    """
    _move(url, branch, head(branch), connect_timeout_seconds)


def downgrade(url: URL, branch: str, target: str, *, connect_timeout_seconds: float = 5.0) -> None:
    """Bring the tables of a branch back to an older revision, or to `base`, which forgets the version only.

    Raises:
        StoreError: It could not be done, or the tables are of a newer version.
    """
    _move(url, branch, target, connect_timeout_seconds)


def _move(url: URL, branch: str, target: str, connect_timeout_seconds: float) -> None:
    database = Database(
        url,
        connect_timeout_seconds=connect_timeout_seconds,
        statement_timeout_seconds=None,
        lock_timeout_seconds=LONGEST_WAIT_SECONDS,
    )
    try:
        with _ONE_AT_A_TIME, database.writing() as connection, _alone(connection):
            found = version(connection, branch)
            see_that_it_is_known(found, branch)
            if found != target:
                _run_alembic(connection, branch, found, target)
    except RowsRefused as error:
        raise StoreUnavailable(
            f"the rows that are there do not fit version {target}: {error}", reason="other_tables"
        ) from error
    finally:
        database.close()


def _run_alembic(connection: Connection, branch: str, found: str | None, target: str) -> None:
    # Needed only where a version differs, and slow to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table(branch).name
    if target == "base":
        command.downgrade(config, f"{branch}@base")
    elif found is None or found < target:
        command.upgrade(config, target)
    else:
        command.downgrade(config, target)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other processes from migrating meanwhile; SQLite does so for every transaction that writes."""
    match connection.dialect.name:
        case "postgresql":
            key = int.from_bytes(_digest(LOCK_NAME)[:8], signed=True)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LONGEST_LOCK_SECONDS:g}s'")
            yield
        case "mysql" | "mariadb":
            # Locks of this kind belong to the server, not to the database.
            name = _digest(f"{LOCK_NAME} {connection.engine.url.database}").hex()[:32]
            taken = connection.scalar(sa.select(sa.func.get_lock(name, LONGEST_WAIT_SECONDS)))
            if not taken:
                raise StoreUnavailable("another process migrates the tables", reason="locked")
            connection.exec_driver_sql(
                f"SET SESSION lock_wait_timeout = {LONGEST_LOCK_SECONDS:.0f}"
            )
            yield  # the connection is closed afterwards, which frees the lock
        case _:
            yield


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
