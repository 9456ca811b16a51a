"""What must be true before records are kept: the database lets us in, and the tables are there or can be made.

Nothing is changed: rights are asked for with EXPLAIN, which wants the same as the statement and does not run it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import ConfigError
from shipper.store import versions
from shipper.store.address import shown
from shipper.store.database import Database
from shipper.store.errors import StoreError, StoreUnavailable
from shipper.store.sets import SETS, KnownSet

HINTS = {
    "connection_refused": "does a server listen there? Check host and port: store.url, or --db-host",
    "connection_lost": "does a database server listen there? Check host and port: store.url, or --db-host",
    "timeout": "is the server overloaded, or a firewall in the way?",
    "dns": "check the spelling of the host in store.url, or of --db-host",
    "login": "check user (store.url, or --db-user), password, and from where the server lets the user in",
    "no_database": "create the database, or correct its name in store.url",
    "no_rights": "GRANT what docs/sinks/store.md lists to the user",
    "read_only": "name the primary in store.url, or make the file and its folder writable",
    "cannot_open": "check the path, and who may write to the file and its folder",
    "not_a_database": "check the path: this is another kind of file",
    "damaged": "restore a backup, or move the file away",
    "other_tables": "give Shipper a database or a schema of its own",
    "newer_version": "install a newer Shipper, or restore a backup",
    "no_driver": "pip install -r requirements.txt",
    "secret": "set the variable or write the file, or correct store.url",
    "overloaded": "raise the server's limit of connections",
    "tls": "check the certificates",
}

SHORTEST_TIMEOUT_SECONDS = 1.0

HOLD = "EXPLAIN SELECT version_num FROM {table} FOR UPDATE"
TRIALS = (
    "EXPLAIN UPDATE {table} SET {column} = {column} WHERE 1 = 0",
    "EXPLAIN INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0",
)
"""What is done later, as far as rights go."""

TO_MIGRATE = {"CREATE", "ALTER", "INDEX"}
"""What MariaDB wants for migrations."""


def check_store_connection(
    address: Callable[[], URL], table_sets: Sequence[str], *, timeout_seconds: float
) -> Finding:
    """Look at the database as the run will find it."""
    try:
        url = address()
    except ConfigError as error:
        return Finding(Outcome.FAILED, str(error), HINTS["secret"])
    seconds = max(timeout_seconds, SHORTEST_TIMEOUT_SECONDS)
    try:
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            return _missing_file(url)
        database = Database(
            url,
            connect_timeout_seconds=seconds,
            statement_timeout_seconds=seconds,
            read_only=True,
        )
        try:
            told = list(_look(database, table_sets))
        finally:
            database.close()
    except StoreError as error:
        return Finding(
            Outcome.FAILED,
            f"{shown(url)} cannot be used: {error}",
            HINTS.get(error.reason, "see docs/sinks/store.md"),
        )
    return Finding(Outcome.PASSED, f"{shown(url)} lets us in: {'; '.join(told)}")


def _look(database: Database, table_sets: Sequence[str]) -> Iterator[str]:
    if database.url.get_backend_name() == "sqlite":
        _see_that_it_can_be_written(Path(database.url.database or "").absolute())
    for name in table_sets:
        known = SETS[name]
        with database.reading() as connection:
            found = versions.version(connection, known.branch)
            versions.see_that_it_is_known(found, known.branch)
            if found == versions.head(known.branch):
                _see_that_rows_can_be_written(connection, known)
                yield f"{name} is at version {found}"
            else:
                _see_that_tables_can_be_made(connection, known.tables)
                yield f"{name} will be made" if found is None else f"{name} will be upgraded"


def _missing_file(url: URL) -> Finding:
    path = Path(url.database or "").absolute()
    folder = next(each for each in path.parents if each.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding(Outcome.PASSED, f"{path} will be made")
    return Finding(
        Outcome.FAILED, f"{path} cannot be made: {folder} is not writable", HINTS["cannot_open"]
    )


def _see_that_it_can_be_written(path: Path) -> None:
    # Beside the file its journal is written.
    for each, rights in ((path, os.W_OK), (path.parent, os.W_OK | os.X_OK)):
        if not os.access(each, rights):
            raise StoreUnavailable(f"{each} is not writable", reason="read_only")


def _see_that_rows_can_be_written(connection: Connection, known: KnownSet) -> None:
    if connection.dialect.name == "sqlite":
        return  # who may write to the file may write to all of it
    version_table = versions.version_table(known.branch).name
    connection.exec_driver_sql(HOLD.format(table=version_table))
    for table in known.tables:
        # Names of some columns have capitals, which PostgreSQL only knows in quotes.
        column = connection.dialect.identifier_preparer.quote(_first_column(connection, table))
        for trial in TRIALS:
            connection.exec_driver_sql(trial.format(table=table, column=column))


def _first_column(connection: Connection, table: str) -> str:
    try:
        return sa.inspect(connection).get_columns(table)[0]["name"]
    except sa.exc.NoSuchTableError:
        # MariaDB does not show what one has no right to.
        raise StoreUnavailable(
            f"the table {table} is not there, or hidden", reason="no_rights"
        ) from None


def _see_that_tables_can_be_made(connection: Connection, tables: Sequence[str]) -> None:
    match connection.dialect.name:
        case "postgresql":
            lacking = _lacking_in_postgres(connection, tables)
        case "sqlite":
            lacking = ""
        case _:
            lacking = _lacking_in_mariadb(connection)
    if lacking:
        raise StoreUnavailable(f"the user may not {lacking}", reason="no_rights")


def _lacking_in_postgres(connection: Connection, tables: Sequence[str]) -> str:
    schema = connection.scalar(sa.text("SELECT current_schema()"))
    if schema is None:
        return "use any schema of its search_path"
    may = sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
    if not connection.scalar(may):
        return f"create tables in the schema {schema}"
    owned = sa.text(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r' AND relname = ANY(:tables) AND NOT pg_has_role(relowner, 'USAGE')"
    )
    others = connection.scalar(owned, {"tables": list(tables)})
    return f"alter the table {others}, which is another user's" if others else ""


def _lacking_in_mariadb(connection: Connection) -> str:
    """Return what the user lacks; what it has through roles is not seen, so then there is no objection."""
    granted = connection.execute(
        sa.text(
            "SELECT privilege_type FROM information_schema.user_privileges "
            "UNION SELECT privilege_type FROM information_schema.schema_privileges "
            "WHERE DATABASE() LIKE table_schema"
        )
    )
    lacking = TO_MIGRATE - set(granted.scalars())
    roles = connection.scalar(sa.text("SELECT COUNT(*) FROM information_schema.applicable_roles"))
    return f"{', '.join(sorted(lacking))} in this database" if lacking and not roles else ""
