"""The edge to pysqream, against a package that only looks like it."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from shipper.config.secret import Secret
from shipper.core.errors import ReadRefused, SourceRefused, SourceTimeout, SourceUnavailable
from shipper.sources.sqream import driver
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.taming import Sockets, tamed_connect

PATIENCE_SECONDS = 5.0


class FakeSocket:
    """A socket wrapped as pysqream wraps it; its other end belongs to the test."""

    def __init__(self, *arguments: object) -> None:
        self.s, self.other_end = socket.socketpair()
        self.timeout(10)
        self.timeout(None)

    def timeout(self, seconds: float | None = None) -> None:
        self.s.settimeout(seconds)


class FakeCursor:
    """Fails with what it was given, or answers with columns and rows."""

    def __init__(self, package: FakePackage) -> None:
        self._package = package
        self.description: Sequence[tuple[str, ...]] | None = None

    def execute(self, sql: str) -> None:
        self._package.executed.append(sql)
        if self._package.hangs:
            self._package.sockets[0].s.recv(1)
            raise ConnectionRefusedError("SQreamd connection interrupted - 0 returned by socket")
        if self._package.answers_late:
            self._package.sockets[0].watch.cut()
        if self._package.execute_error is not None:
            raise self._package.execute_error
        self.description = self._package.description

    def fetchall(self) -> list[tuple[object, ...]]:
        if self.description is None:
            raise RuntimeError("No open statement while attempting fetch operation")
        return [(1,)]


class FakePingLoop(threading.Thread):
    """A thread that would keep the process alive."""


class FakePackage:
    """Modules that look like pysqream, with the parts that all versions share."""

    def __init__(self) -> None:
        self.arguments: dict[str, object] = {}
        self.connect_error: Exception | None = None
        self.execute_error: Exception | None = None
        self.description: Sequence[tuple[str, ...]] | None = [("a", "NUMBER")]
        self.hangs = False
        self.answers_late = False
        self.executed: list[str] = []
        self.sockets: list[Any] = []
        self.modules = {
            name: ModuleType(name)
            for name in ("pysqream", "pysqream.connection", "pysqream.ping", "pysqream.pysqream")
        }
        self._fill()

    def connect(self, **arguments: object) -> object:
        self.arguments = arguments
        logging.getLogger("pysqream_logger.1234abcd")
        if self.connect_error is not None:
            raise self.connect_error
        connection: Any = self.modules["pysqream.pysqream"]
        return connection.Connection()

    def _fill(self) -> None:
        package = self

        class FakeConnection:
            def __init__(self) -> None:
                module: Any = package.modules["pysqream.connection"]
                package.sockets.append(module.SQSocket())

            def cursor(self) -> FakeCursor:
                return FakeCursor(package)

            def close(self) -> None:
                raise RuntimeError("Can't close connection - Broken pipe")

            def __del__(self) -> None:
                self.close()

        root, connection, ping, entry = (cast_any(module) for module in self.modules.values())
        root.connection, root.ping, root.pysqream = connection, ping, entry
        root.connect, root.__path__ = self.connect, []
        connection.SQSocket, connection.Connection = FakeSocket, FakeConnection
        entry.Connection = FakeConnection
        ping.PingLoop = type("PingLoop", (FakePingLoop,), {})


def cast_any(module: ModuleType) -> Any:
    return module


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePackage]:
    fake = FakePackage()
    for name, module in fake.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield fake
    for opened in fake.sockets:
        opened.s.close()
        opened.other_end.close()


def opened_session(section: SqreamConnection | None = None) -> driver.Session:
    return driver.connect(section or SqreamConnection(), timeout_seconds=PATIENCE_SECONDS)


def answered(text: str) -> Exception:
    return Exception(f'expected response executed but got:\n\n \x1b[31m{{"error":"{text}"}}\x1b[0m')


@pytest.mark.usefixtures("package")
def test_an_answer_has_columns_and_rows() -> None:
    answer = opened_session().query("select f()", timeout_seconds=PATIENCE_SECONDS)

    assert answer == driver.Answer(["a"], [(1,)])


def test_a_statement_without_columns_is_not_fetched(package: FakePackage) -> None:
    package.description = None

    assert opened_session().query("select f()", timeout_seconds=1) == driver.Answer()


def test_texts_are_escaped_for_the_json_they_are_pasted_into(package: FakePackage) -> None:
    opened_session(
        SqreamConnection(username='a"b', password=Secret("literal", "zł\\"), service="ż")
    )

    assert [package.arguments[key] for key in ("username", "password", "service")] == [
        'a\\"b',
        "z\\u0142\\\\",
        "\\u017c",
    ]


def test_a_password_that_cannot_be_read_is_unavailable(package: FakePackage) -> None:
    section = SqreamConnection(password=Secret("env", "NO_SUCH_VARIABLE"))

    with pytest.raises(SourceUnavailable, match="NO_SUCH_VARIABLE is not set"):
        opened_session(section)


def test_a_refused_login_is_unavailable_and_says_why(package: FakePackage) -> None:
    package.connect_error = Exception(
        "'Error connecting to database: Login failure: wrong password for role 'sqream''"
    )

    with pytest.raises(SourceUnavailable, match="refuses the login: Login failure: wrong password"):
        opened_session()


def test_an_error_answer_during_the_login_is_not_a_refused_read(package: FakePackage) -> None:
    package.connect_error = answered("Server is shutting down")

    with pytest.raises(SourceUnavailable, match="shutting down"):
        opened_session()


def test_a_foreign_error_is_not_chained_to_ours(package: FakePackage) -> None:
    package.connect_error = Exception('{"password":"s3cret"}')
    with pytest.raises(SourceUnavailable) as raised:
        opened_session()

    assert raised.value.__suppress_context__
    assert "s3cret" not in str(raised.value)


def test_an_error_answer_is_a_refused_read_and_the_session_goes_on(package: FakePackage) -> None:
    session = opened_session()
    package.execute_error = answered("permission denied")
    with pytest.raises(ReadRefused, match=r"^permission denied$"):
        session.query("select f()", timeout_seconds=PATIENCE_SECONDS)
    package.execute_error = None

    assert session.query("select f()", timeout_seconds=PATIENCE_SECONDS).rows == [(1,)]


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), KeyError("statementId"), RuntimeError("odd")]
)
def test_any_other_error_throws_the_connection_away(package: FakePackage, error: Exception) -> None:
    session = opened_session()
    package.execute_error = error
    with pytest.raises(SourceUnavailable):
        session.query("select f()", timeout_seconds=PATIENCE_SECONDS)

    assert [opened.s.fileno() for opened in package.sockets] == [-1]


def test_a_silent_server_is_a_timeout(package: FakePackage) -> None:
    session = opened_session()
    package.hangs = True

    with pytest.raises(SourceTimeout, match=r"localhost:5000 did not answer within 0\.05 s"):
        session.query("select f()", timeout_seconds=0.05)


def test_an_answer_that_crosses_the_deadline_is_a_timeout_all_the_same(
    package: FakePackage,
) -> None:
    session = opened_session()
    package.answers_late = True

    with pytest.raises(SourceTimeout):
        session.query("select f()", timeout_seconds=PATIENCE_SECONDS)


def test_closing_a_broken_connection_raises_nothing_and_closes_its_sockets(
    package: FakePackage,
) -> None:
    opened_session().close()

    assert [opened.s.fileno() for opened in package.sockets] == [-1]


def test_a_finalizer_keeps_quiet(package: FakePackage, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    session = opened_session()
    del session

    assert complaints == []


def test_ping_threads_become_daemons(package: FakePackage) -> None:
    tamed_connect()
    ping: Any = package.modules["pysqream.ping"]

    assert ping.PingLoop().daemon


def test_a_second_ping_module_becomes_a_daemon_too(package: FakePackage) -> None:
    connection: Any = package.modules["pysqream.connection"]
    connection.PingLoop = type("PingLoop", (FakePingLoop,), {})
    tamed_connect()

    assert connection.PingLoop().daemon


def test_the_driver_is_tamed_once(package: FakePackage) -> None:
    tamed_connect()
    connection: Any = package.modules["pysqream.connection"]
    tamed = connection.SQSocket
    tamed_connect()

    assert connection.SQSocket is tamed


def test_sockets_of_other_users_of_the_driver_are_left_alone(package: FakePackage) -> None:
    tamed_connect()
    connection: Any = package.modules["pysqream.connection"]
    package.sockets.append(connection.SQSocket())

    assert package.sockets[0].watch is None


def test_a_socket_made_after_the_deadline_is_refused(package: FakePackage) -> None:
    tamed_connect()
    connection: Any = package.modules["pysqream.connection"]
    sockets = Sockets()
    sockets.cut()

    with sockets.watching(), pytest.raises(TimeoutError):
        connection.SQSocket()


@pytest.mark.usefixtures("package")
def test_the_loggers_of_the_driver_do_not_pile_up() -> None:
    opened_session()

    assert not [name for name in logging.Logger.manager.loggerDict if "pysqream_logger" in name]


def test_without_pysqream_the_source_can_never_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysqream", None)

    with pytest.raises(SourceRefused, match="pysqream cannot be imported"):
        opened_session()


def test_without_vmstat_the_source_can_never_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutVmstat:
        def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
            if name == "pysqream":
                raise FileNotFoundError(2, "No such file or directory", "vmstat")
            return None

    for name in [name for name in sys.modules if name.partition(".")[0] == "pysqream"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutVmstat(), *sys.meta_path])

    with pytest.raises(SourceRefused, match=r"runs vmstat .* install procps"):
        opened_session()
