"""A TCP port with a thread for each connection, which can be closed and opened again."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BACKLOG = 128
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate (with its chain) and its private key lie, both PEM."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return a context that presents the certificate.

        Raises:
            OSError: A file cannot be read or is no certificate or key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Listener:
    """Accepts connections and runs `converse` for each in a thread of its own.

    A connection is closed when `converse` returns. With `tls` it gets an `SSLSocket` whose handshake
    is still to be done, so that a slow client holds up nobody else. The port is kept: after `stop`, `start` listens
    on the same one again, also when the first was chosen by the system (port 0).
    """

    def __init__(
        self,
        host: str,
        port: int,
        converse: Callable[[socket.socket], None],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._converse = converse
        self._tls = tls
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._door: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
            RuntimeError: The listener is listening already.
        """
        if self._door is not None:
            raise RuntimeError(f"already listening on port {self.port}")
        door = socket.create_server((self.host, self.port), backlog=_BACKLOG)
        self.port = door.getsockname()[1]
        self._door = door
        self._acceptor = threading.Thread(
            target=self._accept, args=(door,), name=f"sqream-accept-{self.port}", daemon=True
        )
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and all connections, and wait for their threads to end."""
        if self._door is None:
            return
        close(self._door)
        self._door = None
        if self._acceptor is not None:
            self._acceptor.join(_STOP_SECONDS)
        with self._lock:
            remaining = list(self._open.items())
        for connection, thread in remaining:
            shut_down(connection)
            thread.join(_STOP_SECONDS)

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return  # the port was closed
            self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        # The answer to fetch and its block are two writes: with Nagle that costs 40 ms a query.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                connection.close()  # the client has left already
                return
        thread = threading.Thread(
            target=self._run, args=(connection,), name=f"sqream-{self.port}", daemon=True
        )
        with self._lock:
            self._open[connection] = thread
        thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        finally:
            with self._lock:
                self._open.pop(connection, None)
            close(connection)


def shut_down(connection: socket.socket) -> None:
    """Wake whoever waits on `connection`, in whatever thread; its owner closes it."""
    with contextlib.suppress(OSError):
        # Not `SSLSocket.shutdown`, which takes the TLS state away from under its owner.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def close(connection: socket.socket) -> None:
    """Close `connection` at once, also when another thread waits on it."""
    shut_down(connection)
    connection.close()
