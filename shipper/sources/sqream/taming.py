"""Gives pysqream the manners it lacks: sockets that can be cut, ping threads that let go, finalizers that keep quiet.

Works with 6.3.0, 5.3.0 and 5.0.0, because it relies only on what they share: `Connection` looks the socket class up in
its module, and a socket calls its own `timeout` before and after every connect.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Protocol, cast

from shipper.core.errors import SourceRefused
from shipper.sources.sqream.watchdog import Watchdog

LONGEST_PART_BYTES = 256 * 1024 * 1024
"""More than any part of an answer has; pysqream asks for as much memory as the far end announces, before it comes."""

FILE_KEYS = ("local_file_read", "local_file_write")
"""By which an answer makes pysqream 6.2 and later send a file of ours, or write one."""

PING_SECONDS = 10.0
"""How often pysqream pings (5.0.0 to 6.3.0)."""


class DriverCursor(Protocol):
    """The part of a pysqream cursor that is the same in all versions."""

    description: Sequence[tuple[str, ...]] | None

    def execute(self, sql: str) -> object:
        """Run a statement."""

    def fetchall(self) -> Sequence[tuple[object, ...]]:
        """Return all rows."""


class DriverConnection(Protocol):
    """The part of a pysqream connection that is the same in all versions."""

    def cursor(self) -> DriverCursor:
        """Log in a second time, for statements."""

    def close(self) -> None:
        """Log out of everything."""


class Sockets:
    """All sockets of one connection, so that a thread waiting on any of them can be woken."""

    def __init__(self) -> None:
        self._driver_sockets: list[object] = []
        self._cut = threading.Event()
        self._watchdog = Watchdog(self.cut)

    @property
    def is_cut(self) -> bool:
        """Whether they were shut; nothing can be said any more."""
        return self._cut.is_set()

    def add(self, driver_socket: object) -> None:
        """Watch over one more of the driver's sockets."""
        self._driver_sockets.append(driver_socket)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Add every socket that the driver makes in this block, in this thread."""
        watched = _opening.set(self)
        try:
            yield
        finally:
            _opening.reset(watched)

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut the sockets if the block takes longer than `seconds`."""
        self._watchdog.arm(seconds)
        try:
            yield
        finally:
            self._watchdog.disarm()

    def cut(self) -> None:
        """Shut every socket, from any thread, without ever blocking."""
        self._cut.set()
        for opened in self._opened():
            with contextlib.suppress(OSError):  # not connected yet, or not any more
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut and close every socket, whatever state it is in."""
        self._watchdog.close()
        self.cut()
        for opened in self._opened():
            opened.close()

    def _opened(self) -> Iterator[socket.socket]:
        for driver_socket in tuple(self._driver_sockets):
            # The driver replaces `s` when it is sent on to another listener.
            opened = getattr(driver_socket, "s", None)
            if isinstance(opened, socket.socket):
                yield opened


_opening: ContextVar[Sockets | None] = ContextVar("_opening", default=None)
_taming = threading.Lock()


def tamed_connect() -> Callable[..., DriverConnection]:
    """Import pysqream, tame it once, and return its `connect`.

    Raises:
        SourceRefused: It is not there, or it cannot run here.
    """
    try:
        # Imported here: the driver and what it needs take 100 MB, which other workers do not pay.
        import pysqream.connection
        import pysqream.ping
        import pysqream.pysqream
    except FileNotFoundError as error:
        raise SourceRefused(
            f"pysqream runs {error.filename} when it is imported, and it is not there: install procps"
        ) from error
    except ImportError as error:
        raise SourceRefused(f"pysqream cannot be imported: {error}") from error
    with _taming:
        if not hasattr(pysqream.connection.SQSocket, "watch"):
            _tame(pysqream.connection, pysqream.pysqream, pysqream.ping)
    return cast("Callable[..., DriverConnection]", pysqream.connect)


def forget_loggers() -> None:
    """Remove the logger that pysqream 6 names after each connection and never uses: they would pile up."""
    registry = logging.Logger.manager.loggerDict
    for name in tuple(registry):
        if name.startswith("pysqream_logger"):
            registry.pop(name, None)


def _tame(*modules: ModuleType) -> None:
    """Put our socket and our connection where the driver looks its own up."""
    connection, entry, ping = cast("tuple[Any, ...]", modules)
    connection.SQSocket = _watched(connection.SQSocket)
    connection.Connection = entry.Connection = _quiet(connection.Connection)
    # The name of the class in 6.x, and in 5.x.
    for client in {"SQClient", "Client"} & vars(connection).keys():
        setattr(connection, client, _wary(getattr(connection, client)))
    _make_patient(ping.PingLoop)
    if hasattr(connection, "PingLoop"):
        # 5.0.0 imports its own module `ping` a second time, as a top-level one.
        _make_patient(connection.PingLoop)


def _make_patient(ping_loop: Any) -> None:  # noqa: ANN401 - a class of the driver
    """Let ping threads sleep until their ping is due, end when they are told to, and never keep the process.

    The driver's own wake ten times a second, which costs a worker more than its polls, and end 0.1 s late. The
    class itself is changed: its constructor looks itself up by name, so a subclass in its place would call itself.
    """

    def halted(self: Any) -> threading.Event:  # noqa: ANN401
        event: threading.Event = vars(self).setdefault("halted", threading.Event())
        return event

    def halt(self: Any) -> None:  # noqa: ANN401
        self.done = True
        halted(self).set()

    def sleep(self: Any) -> bool:  # noqa: ANN401
        return not self.done and not halted(self).wait(PING_SECONDS)

    ping_loop.halt, ping_loop.sleep = halt, sleep
    ping_loop.daemon = True


def _watched(driver_socket: type) -> type:
    parent: Any = driver_socket

    class WatchedSocket(parent):  # type: ignore[misc]
        """Registers itself with the connection that is being opened."""

        watch: Sockets | None = None

        def __init__(self, *arguments: object, **named: object) -> None:
            self.watch = _opening.get()
            if self.watch is not None:
                self.watch.add(self)
            super().__init__(*arguments, **named)

        def timeout(self, *arguments: object) -> object:
            """Refuse to go on after the deadline."""
            if self.watch is not None and self.watch.is_cut:
                self.s.close()
                raise TimeoutError("the deadline has passed")
            return super().timeout(*arguments)

    return WatchedSocket


def _wary(driver_client: type) -> type:
    parent: Any = driver_client

    class WaryClient(parent):  # type: ignore[misc]
        """Does not do everything that an answer makes the driver do."""

        def receive(self, length_bytes: int, *arguments: object) -> object:
            """Refuse to make room for more than any answer has."""
            if length_bytes > LONGEST_PART_BYTES:
                raise ValueError(f"an answer of {length_bytes} bytes")
            return super().receive(length_bytes, *arguments)

        def prepare_statement(self, statement: str) -> object:
            """Refuse to read and to write files."""
            answer = super().prepare_statement(statement)
            if isinstance(answer, dict) and any(map(answer.get, FILE_KEYS)):
                raise PermissionError("the answer to a query asks for a file on this machine")
            return answer

    return WaryClient


def _quiet(driver_connection: type) -> type:
    parent: Any = driver_connection

    class QuietConnection(parent):  # type: ignore[misc]
        """Goes without a word when it is collected: the driver's farewell may hang, and its failure is printed."""

        watch: Sockets | None = None

        def __init__(self, *arguments: object, **named: object) -> None:
            self.watch = _opening.get()
            super().__init__(*arguments, **named)

        def __del__(self) -> None:
            if self.watch is not None:
                self.watch.close()

    return QuietConnection
