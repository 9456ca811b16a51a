"""A socket, plain or TLS, that two threads use at once and on which nothing waits for ever.

One thread receives, any may send. CPython does not keep two threads out of one TLS connection before 3.13, so a lock
does; nobody holds it while waiting.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time

from shipper.core.errors import SourceTimeout, SourceUnavailable

RECEIVE_BYTES = 16 * 1024
"""stomp.py 8.2 copies what is left of the buffer after every frame: more costs copies, less costs system calls."""

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """A connection; whoever gets an `OSError` from it should cut it."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._using = threading.Lock()
        self._sending = threading.Lock()
        self._cut = False

    @property
    def is_cut(self) -> bool:
        """Whether it was cut on this side."""
        return self._cut

    def receive(self, *, silence_seconds: float | None) -> bytes:
        """Return what comes next; nothing when the connection has ended.

        Raises:
            TimeoutError: Nothing came for `silence_seconds`.
            OSError: The connection broke.
        """
        while True:
            try:
                with self._using:
                    return b"" if self._cut else self._socket.recv(RECEIVE_BYTES)
            except _WOULD_BLOCK as error:
                self._wait(error, select.POLLIN, silence_seconds)

    def send(self, content: bytes, *, timeout_seconds: float) -> None:
        """Send all of `content`, whatever other threads send.

        Raises:
            TimeoutError: The far end did not take all of it in time.
            OSError: The connection broke, or was cut.
        """
        end_seconds = time.monotonic() + timeout_seconds
        rest = memoryview(content)
        with self._sending:
            while rest:
                try:
                    with self._using:
                        if self._cut:
                            raise ConnectionAbortedError("the connection was cut")
                        sent_bytes = self._socket.send(rest)
                except _WOULD_BLOCK as error:
                    self._wait(error, select.POLLOUT, end_seconds - time.monotonic())
                else:
                    rest = rest[sent_bytes:]

    def cut(self) -> None:
        """End the connection at once, from any thread; who waits on it is woken."""
        with self._using, contextlib.suppress(OSError):
            self._cut = True
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket, when no other thread uses it any more."""
        self.cut()
        self._socket.close()

    def _wait(self, error: OSError, usual: int, seconds: float | None) -> None:
        match error:
            case ssl.SSLWantReadError():
                event = select.POLLIN
            case ssl.SSLWantWriteError():
                event = select.POLLOUT
            case _:
                event = usual
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(None if seconds is None else max(0.0, seconds) * 1000):
            raise TimeoutError


def dial(host: str, port: int, *, tls: ssl.SSLContext | None, timeout_seconds: float) -> Wire:
    """Connect, once.

    Raises:
        SourceUnavailable: Nobody is there, or there is no TLS with it; the text says which.
        SourceTimeout: No answer in time.
    """
    far_end = f"{host}:{port}"
    try:
        connected = socket.create_connection((host, port), timeout_seconds)
    except TimeoutError:
        raise SourceTimeout(f"{far_end} does not answer within {timeout_seconds:g} s") from None
    except OSError as error:
        raise SourceUnavailable(words(error, far_end)) from None
    # An acknowledgement is small and should not wait for the next.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return Wire(connected)
    try:
        return Wire(tls.wrap_socket(connected, server_hostname=host))
    except TimeoutError:
        connected.close()
        text = f"no TLS with {far_end}: no answer within {timeout_seconds:g} s"
        raise SourceTimeout(text) from None
    except (OSError, ValueError) as error:
        connected.close()
        raise SourceUnavailable(f"no TLS with {far_end}: {_tls_words(error)}") from None


def words(error: OSError, far_end: str) -> str:
    """Return what an error of a connection means."""
    match error:
        case socket.gaierror():
            return f"{far_end} is no host that can be found"
        case ConnectionRefusedError():
            return f"{far_end} refuses connections"
        case ConnectionError():
            return f"{far_end} hung up"
        case ssl.SSLError():
            return f"no TLS with {far_end}: {_tls_words(error)}"
        case _:
            return f"{far_end}: {error.strerror or error}"


def _tls_words(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLEOFError() | ConnectionError():
            return "it hung up"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            return "it does not speak TLS on this port"
        case ssl.SSLError(reason=str(reason)):
            return reason.lower().replace("_", " ")
        case _:
            return str(error)
