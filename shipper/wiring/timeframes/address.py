"""Where the Time Frame client's database is: what its flags say, as a SQLAlchemy URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.store.address import read_url

ENGINES = ("sqlite", "postgresql", "mysql")
USUAL_PORTS = {"postgresql": 5432, "mysql": 3306}
USUAL_NAME = "fastmon_client.db"
USUAL_HOST = "localhost"
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class DatabaseFlags:
    """What the flags say of the database; `None` is what was not said.

    Attributes:
        engine: One of `ENGINES`; `mysql` is MariaDB as well.
        name: The file of SQLite, or the database on the server.
        host: Of no use with SQLite, like all that follows.
        port: As text, for that is how it was always given; empty for the engine's usual one.
        user: Whom to log in as.
        password: Password of `user`.
    """

    engine: str | None = None
    name: str | None = None
    host: str | None = None
    port: str | None = None
    user: str | None = None
    password: Secret | None = None

    def said_something(self) -> bool:
        """Tell whether any of the flags was given."""
        return self != DatabaseFlags()

    def url(self) -> URL:
        """Return where the database is, with what was not said at its default.

        Raises:
            ConfigError: A flag's value cannot be used, or says something of a server where no engine is said.
        """
        if not self.engine and (flag := self._of_a_server()):
            text = f"--{flag} is of a server, and no --db-engine is given: SQLite, the default, has none"
            raise ConfigError(f"{text}; give postgresql or mysql")
        engine = (self.engine or "sqlite").lower()
        if engine not in ENGINES:
            raise ConfigError(f"--db-engine: {engine} is not one of {', '.join(ENGINES)}")
        name = self.name or USUAL_NAME
        if engine == "sqlite":
            return _sqlite(name)
        return URL.create(
            engine,
            username=self.user or None,
            password=self.password.reveal() or None if self.password is not None else None,
            host=self.host or USUAL_HOST,
            port=self._port(engine),
            database=name,
        )

    def _of_a_server(self) -> str | None:
        said = {
            # Scripts may say the default.
            "db-host": None if self.host == USUAL_HOST else self.host,
            "db-port": self.port,
            "db-user": self.user,
            "db-password": self.password,
        }
        return next((flag for flag, value in said.items() if value), None)

    def _port(self, engine: str) -> int:
        if not self.port:
            return USUAL_PORTS[engine]
        digits = self.port.isascii() and self.port.isdigit()
        if not digits or not 1 <= int(self.port) <= HIGHEST_PORT:
            raise ConfigError(f"--db-port: must be a port from 1 to {HIGHEST_PORT}, or empty")
        return int(self.port)


def as_secret(url: URL) -> Secret:
    """Return a URL as settings take it."""
    return Secret("literal", url.render_as_string(hide_password=False))


def sqlite_path(url: URL) -> Path | None:
    """Return the file that the database is in; `None` when it is on a server."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def _sqlite(name: str) -> URL:
    try:
        read_url(as_secret(URL.create("sqlite", database=name)))
    except ConfigError as error:
        raise ConfigError(f"--db-name: {error}") from None
    # The directory of whoever opens it may be another one.
    return URL.create("sqlite", database=str(Path(name).absolute()))
