"""Ends an HTTP request on time, however slowly the far end sends.

A socket's timeout starts again with every byte, so a far end that sends one byte a second holds a client for hours.
Here every wait on the socket gets what is left until the deadline of the whole request. Two waits are outside: a name
that is looked up (the system's resolver has its own limits), and each of several addresses of one name, which
has the connect timeout for itself.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Deadline:
    """The moment by which the request under way must be over; one is shared by client and connection."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_seconds = monotonic_seconds
        self._at_seconds = 0.0

    def start(self, seconds: float) -> None:
        """Allow `seconds` from now."""
        self._at_seconds = self._monotonic_seconds() + seconds

    def remaining_seconds(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: None are.
        """
        left_seconds = self._at_seconds - self._monotonic_seconds()
        if left_seconds <= 0:
            raise TimeoutError("the request took too long")
        return left_seconds


class PlainConnection(HTTPConnection):
    """A plain connection whose requests end on time."""

    def __init__(
        self, host: str, port: int | None, connect_seconds: float, deadline: Deadline
    ) -> None:
        super().__init__(host, port, timeout=connect_seconds)
        self._deadline = deadline
        # http.client calls this attribute to make the answer.
        self.response_class = cast("type[HTTPResponse]", partial(_answer_on_time, deadline))

    def send(self, data: Any) -> None:  # noqa: ANN401 - http.client's own type
        """Send on the open socket, waiting no longer than the deadline allows."""
        self.sock.settimeout(self._deadline.remaining_seconds())
        super().send(data)


class TlsConnection(PlainConnection, HTTPSConnection):
    """A TLS connection whose requests end on time."""

    def __init__(
        self,
        host: str,
        port: int | None,
        connect_seconds: float,
        deadline: Deadline,
        context: ssl.SSLContext,
    ) -> None:
        HTTPSConnection.__init__(self, host, port, timeout=connect_seconds, context=context)
        self._deadline = deadline
        self.response_class = cast("type[HTTPResponse]", partial(_answer_on_time, deadline))


def _answer_on_time(
    deadline: Deadline, sock: socket.socket, debuglevel: int = 0, method: str | None = None
) -> HTTPResponse:
    answer = HTTPResponse(sock, debuglevel, method)
    answer.fp = io.BufferedReader(_ReaderOnTime(answer.fp.detach(), sock, deadline))
    return answer


class _ReaderOnTime(io.RawIOBase):
    """Reads from a socket, waiting no longer than the deadline allows."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._sock.settimeout(self._deadline.remaining_seconds())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
