"""PostgreSQL and MariaDB of the test's own: on free loopback ports, with data folders that vanish with them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import psutil
import psycopg
import pymysql
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from shipper.store.address import with_driver
from tests.support.services import free_port, need

START_SECONDS = 60.0
STOP_SECONDS = 30.0
PASSWORD = "s3cret of the tests"  # noqa: S105 - only on loopback, only while a test runs


class DatabaseServer(ABC):
    """A server that a test starts, stops, kills and freezes; nothing of it is left afterwards."""

    name: ClassVar[str]
    account: ClassVar[str]
    """Who runs it when the tests run as root, whom the servers refuse to run as."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"shipper-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.account, self.account)

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def execute(self, *statements: str, database: str = "") -> None:
        """Run statements as the administrator, each committed by itself."""

    @abstractmethod
    def url(self, database: str) -> str:
        """Return a SQLAlchemy URL with user and password."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return how to run the server in the foreground."""

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The server's process, or its parent of all."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        self._databases += 1
        database = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {database}")
        return database

    @abstractmethod
    def empty_database(self) -> str:
        """Throw away what is in the one database that tests share, and return its name."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        until_seconds = time.monotonic() + START_SECONDS
        self._spawn()
        while not self._answers():
            # After a kill the old one's children may still hold on to what the new one needs.
            if self._process is None or self._process.poll() is not None:
                self._spawn()
            if time.monotonic() > until_seconds:
                raise TimeoutError(f"{self.name} does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it the fast way, which cuts all connections."""
        self._end(signal.SIGINT if self.name == "postgresql" else signal.SIGTERM)

    def crash(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGQUIT if self.name == "postgresql" else signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it, and all it has started, neither answer nor hang up while the block runs."""
        server = psutil.Process(self.pid)
        frozen = [server]
        try:
            # The server first: then it starts nothing more, although what it has started may still end.
            server.suspend()
            frozen += server.children(recursive=True)
            for process in frozen[1:]:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str) -> None:
        """Run one of the server's tools as the server's account."""
        ran = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS,
            user=self._account,
            group=self._account,
        )
        if ran.returncode:
            raise RuntimeError(f"{words[0]} ended with {ran.returncode}: {ran.stdout[:2000]}")

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._account,
                group=self._account,
            )

    def _end(self, order: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(order)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (psycopg.OperationalError, pymysql.err.OperationalError):
            return False
        return True

    @property
    def _account(self) -> str | None:
        return self.account if os.geteuid() == 0 else None


class PostgresServer(DatabaseServer):
    """A PostgreSQL, the newest that is installed."""

    name = "postgresql"
    account = "postgres"

    def prepare(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        self.run(
            *(str(_postgres_programs() / "initdb"), "--pgdata", str(self.folder / "data")),
            *("--username", "shipper", "--pwfile", str(secret)),
            # A tenth of the time that scram-sha-256 takes for a login.
            *("--auth", "md5"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        )

    def execute(self, *statements: str, database: str = "") -> None:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="shipper",
            password=PASSWORD,
            dbname=database or "postgres",
            autocommit=True,
            connect_timeout=5,
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode("utf-8"))

    def empty_database(self) -> str:
        # A new database would be 7 MB of files.
        self.execute(
            "DROP SCHEMA IF EXISTS public CASCADE",
            "CREATE SCHEMA public",
            "ALTER ROLE shipper RESET ALL",
        )
        return "postgres"

    def url(self, database: str) -> str:
        return (
            f"postgresql://shipper:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"
        )

    def _command(self) -> Sequence[str]:
        settings = ("fsync=off", "shared_buffers=32MB", "max_connections=40", "timezone=UTC")
        return (
            *(str(_postgres_programs() / "postgres"), "-D", str(self.folder / "data")),
            *("-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)),
            *(word for setting in settings for word in ("-c", setting)),
        )


class MariaDbServer(DatabaseServer):
    """A MariaDB."""

    name = "mariadb"
    account = "mysql"

    def prepare(self) -> None:
        self.run(
            *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}"),
            # One that starts removes what others have in a folder for temporary tables (MariaDB 10.11).
            f"--tmpdir={self.folder}",
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )

    def start(self) -> None:
        super().start()
        self.execute(
            f"CREATE USER IF NOT EXISTS shipper@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL ON *.* TO shipper@'127.0.0.1'",
        )

    def execute(self, *statements: str, database: str = "") -> None:
        connection = pymysql.connect(
            unix_socket=str(self.folder / "socket"),
            user="root",
            database=database or None,
            autocommit=True,
            connect_timeout=5,
            ssl_disabled=True,  # PyMySQL 1.2 reads the certificates of all authorities first, for 30 ms
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def empty_database(self) -> str:
        self.execute("DROP DATABASE IF EXISTS shared", "CREATE DATABASE shared")
        return "shared"

    def url(self, database: str) -> str:
        return f"mariadb://shipper:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def _command(self) -> Sequence[str]:
        return (
            *("mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}"),
            f"--tmpdir={self.folder}",
            *("--bind-address=127.0.0.1", f"--port={self.port}"),
            *(f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}"),
            *("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M"),
            # Nothing has to outlast the machine.
            *("--innodb-flush-method=nosync", "--skip-innodb-doublewrite", "--sync-frm=0"),
            *(
                "--skip-log-bin",
                "--character-set-server=utf8mb4",
                "--skip-name-resolve",
                "--lc-messages-dir=/usr/share/mysql",
            ),
        )


class Database:
    """An empty database of the test's own, on a server or in a file."""

    def __init__(self, kind: str, url: str, server: DatabaseServer | None = None) -> None:
        self.kind = kind
        self.url = url
        self._server = server
        self.engine = _engine(url)

    @property
    def server(self) -> DatabaseServer:
        """The server it is on."""
        if self._server is None:
            raise TypeError(f"{self.kind} has no server")
        return self._server

    def execute(self, *statements: str) -> None:
        """Run statements in a transaction, word for word."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def answer(self, question: str) -> Sequence[Sequence[Any]]:
        """Return the rows of a statement."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(question).all()

    def make(self, table: sa.Table, *rows: Mapping[str, object]) -> None:
        """Make a table anew, with these rows in it."""
        with self.engine.begin() as connection:
            table.drop(connection, checkfirst=True)
            table.create(connection)
        self.insert(table, *rows)

    def refill(self, table: sa.Table, *rows: Mapping[str, object]) -> None:
        """Leave only these rows in a table, which is much cheaper than making it anew."""
        with self.engine.begin() as connection:
            table.create(connection, checkfirst=True)
            connection.execute(table.delete())
        self.insert(table, *rows)

    def insert(self, table: sa.Table, *rows: Mapping[str, object]) -> None:
        """Insert rows and commit."""
        if rows:
            with self.engine.begin() as connection:
                connection.execute(table.insert(), list(rows))


@cache
def _engine(url: str) -> sa.Engine:
    # One for all tests that use the same database: a new one asks the server a lot before its first statement.
    place = with_driver(sa.make_url(url))
    more = {"ssl_disabled": True} if place.drivername.startswith("mysql") else {}
    return sa.create_engine(place, poolclass=NullPool, connect_args=more)


SERVERS: Mapping[str, type[DatabaseServer]] = {
    "postgresql": PostgresServer,
    "mariadb": MariaDbServer,
}
PROGRAMS = {"postgresql": "pg_ctlcluster", "mariadb": "mariadbd"}


Servers = Callable[[str], DatabaseServer]
"""Returns a running server of a kind."""


@contextmanager
def database_servers() -> Iterator[Servers]:
    """Give the block what returns a running server of a kind; each is started when it is first asked for."""
    running: dict[str, DatabaseServer] = {}

    def server(kind: str) -> DatabaseServer:
        if kind not in running:
            running[kind] = running_server(kind)
        if not running[kind].runs:
            running[kind].start()
        return running[kind]

    try:
        yield server
    finally:
        for each in running.values():
            each.remove()


def running_server(kind: str) -> DatabaseServer:
    """Return a server that runs; the test is skipped where its program is not installed."""
    need(PROGRAMS[kind])
    server = SERVERS[kind]()
    try:
        server.prepare()
        server.start()
    except BaseException:
        server.remove()
        raise
    return server


def _postgres_programs() -> Path:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return max(folders, key=lambda folder: float(folder.parent.name))
