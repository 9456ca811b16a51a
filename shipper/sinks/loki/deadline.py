"""Ends an HTTP request on time, however slowly the far end sends.

A socket's timeout starts again with every byte, so a far end that sends one byte a second holds a client for hours.
Here every wait on the socket gets what is left until the deadline of the whole request. Two waits are outside: a name
that is looked up (the system's resolver has its own limits), and each of several addresses of one name, which
has the connect timeout for itself.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection

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


class _OnTime:
    """What both kinds of connection add to urllib3's."""

    sock: socket.socket | None

    # urllib3's own arguments pass through; it types them.
    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._deadline = deadline
        # http.client calls this attribute to make the answer, and urllib3 leaves that to it.
        self.response_class = cast("type[http.client.HTTPResponse]", self._answer_on_time)

    def send(self, body: object) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        cast("socket.socket", self.sock).settimeout(self._deadline.remaining_seconds())
        super().send(body)  # type: ignore[misc]

    def _answer_on_time(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> http.client.HTTPResponse:
        answer = http.client.HTTPResponse(sock, debuglevel, method)
        answer.fp = io.BufferedReader(_ReaderOnTime(answer.fp.detach(), sock, self._deadline))
        return answer


class HTTPConnectionOnTime(_OnTime, HTTPConnection):
    """A plain connection whose requests end on time."""


class HTTPSConnectionOnTime(_OnTime, HTTPSConnection):
    """A TLS connection whose requests end on time."""


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
