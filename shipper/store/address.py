"""Where a database is: reads a SQLAlchemy URL, picks our driver for it, and shows it without user and password."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shipper.config.complaint import nearest
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError

DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "mariadb": "mysql+pymysql",
    "mysql": "mysql+pymysql",
}
"""The driver of every engine. One name serves MariaDB and MySQL, because SQLAlchemy's `mariadb` refuses the other."""

UNKNOWN = "unknown"


def read_url(secret: Secret) -> URL:
    """Return the URL as the operator wrote it, with an engine and a driver that we have.

    Raises:
        ConfigError: It cannot be read, or it is no URL of a database that we know; the text does not quote it.
    """
    try:
        url = make_url(secret.reveal().strip())
    except (ArgumentError, ValueError):
        raise ConfigError(
            "must be a SQLAlchemy URL like postgresql://user:password@host:5432/database or "
            "sqlite:////path/to/file.db; @ : / in a password are written %40 %3A %2F"
        ) from None
    engine, _, driver = url.drivername.partition("+")
    if engine not in DRIVERS:
        raise ConfigError(f'"{engine}" is not a database that is known{nearest(engine, DRIVERS)}')
    ours = DRIVERS[engine].partition("+")[2]
    if driver not in {"", ours}:
        raise ConfigError(
            f'"{driver}" is not the driver for {engine} here; write {engine}:// alone'
        )
    if engine == "sqlite":
        _see_that_it_names_a_file(url)
    return url


def with_driver(url: URL) -> URL:
    """Return the URL with the name of the driver in it."""
    return url.set(drivername=DRIVERS[url.drivername.partition("+")[0]])


def shown(url: URL) -> str:
    """Return the URL without user and password, and without options, which may hold secrets as well."""
    place = URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
    return place.render_as_string()


def instance(secret: Secret) -> str:
    """Return the URL without user and password; `unknown` while it cannot be read."""
    try:
        return shown(read_url(secret))
    except ConfigError:
        return UNKNOWN


def _see_that_it_names_a_file(url: URL) -> None:
    if url.query or not url.database or url.database.startswith((":memory:", "file:")):
        raise ConfigError(
            "sqlite wants the path of a file and nothing else: "
            "sqlite:///relative.db or sqlite:////absolute.db"
        )
