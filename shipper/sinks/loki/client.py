"""Speaks HTTP with Loki: one kept-alive connection, a deadline for each request, and every fault as one of ours.

The standard library's client, because it is the cheapest: a push of two lines through urllib3 takes twice its CPU and
2 MB more of a worker's memory (`docs/decisions/0006-plain-http-client-and-starlette.md`). Proxies named in the
environment are not used: a push through a proxy that nobody meant is harder to find than one that is missing. A
redirect is not followed, because a POST may come out as a GET behind it.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from shipper import __version__
from shipper.core.errors import Blame, ConfigError, SinkUnavailable
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.deadline import Deadline, PlainConnection, TlsConnection

PUSH_PATH = "/loki/api/v1/push"

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Loki may give a sentence to every record it refuses; what is longer than this is not Loki's."""

LARGE_BODY_BYTES = 512 * 1024
"""A connection that is lost while more than this is sent may be lost because of it: nginx takes 1 MiB by default, and
a server that refuses a body before it has read it may cut the connection before its 413 arrives."""

_UNAUTHORIZED = (401, 403)


class Client:
    """One connection to one Loki. Belongs to one thread; connects when it is first needed."""

    def __init__(
        self,
        url: str,
        *,
        login: Login,
        tls: TlsFiles,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
    ) -> None:
        """Remember where to go.

        Args:
            url: Scheme, host, port and path prefix, without a slash at the end.
            login: Who we are.
            tls: Files for `https`.
            connect_timeout_seconds: The longest wait for one address to accept, and for TLS to be agreed.
            read_timeout_seconds: Added to the former, the longest time a request may take.
        """
        self.url = url
        self._parts = urlsplit(url)
        self._login = login
        self._tls = tls
        self._connect_seconds = connect_timeout_seconds
        self._request_seconds = connect_timeout_seconds + read_timeout_seconds
        self._deadline = Deadline()
        self._connection: PlainConnection | TlsConnection | None = None
        self._login_headers: dict[str, str] | None = None
        self._answered = False

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        After 401 or 403 the secret is read again, and if it has changed the request is repeated once with it.

        Raises:
            SinkUnavailable: There was no answer; the reason is one of `connection_refused`, `connection_lost`, `dns`,
                `timeout`, `tls` and `secret`.
        """
        used = self._login_now()
        answer = self._send(method, path, body, {**used, **(headers or {})})
        if answer.status not in _UNAUTHORIZED:
            return answer
        self._login_headers = None
        fresh = self._login_now()
        if fresh == used:
            return answer
        return self._send(method, path, body, {**fresh, **(headers or {})})

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one and reads the TLS files again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._answered = False

    def _login_now(self) -> dict[str, str]:
        if self._login_headers is None:
            try:
                self._login_headers = self._login.headers()
            except ConfigError as error:
                raise SinkUnavailable(str(error), reason="secret") from None
        return self._login_headers

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        self._deadline.start(self._request_seconds)
        try:
            connection = self._connected()
            try:
                return self._send_once(connection, method, path, body, headers)
            except (OSError, HTTPException) as error:
                # Loki 3.6 closes a connection that was idle for 120 s, and we may notice only while sending.
                if not (self._answered and _hung_up(error)):
                    raise
                self.close()
                return self._send_once(self._connected(), method, path, body, headers)
        except (OSError, HTTPException) as error:
            self.close()
            raise _unavailable(error, self.url, sent_bytes=len(body or b"")) from error

    def _connected(self) -> PlainConnection | TlsConnection:
        """Return the connection, made anew if there is none.

        Raises:
            SinkUnavailable: The TLS files cannot be used, nobody accepts in time, or there is no TLS.
            OSError: There is no connection for another reason.
        """
        if self._connection is not None and _is_silent(self._connection):
            return self._connection
        self.close()
        connection = self._new_connection()
        try:
            connection.connect()
        except TimeoutError as error:
            text = f"{self.url} did not accept a connection in time"
            raise SinkUnavailable(text, reason="timeout") from error
        except ssl.SSLError as error:
            raise SinkUnavailable(f"no TLS with {self.url}: {error}", reason="tls") from error
        self._connection = connection
        return connection

    def _new_connection(self) -> PlainConnection | TlsConnection:
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._parts.scheme == "http":
            return PlainConnection(host, port, self._connect_seconds, self._deadline)
        try:
            context = self._tls.context()
        except OSError as error:
            text = f"the TLS files for {self.url} cannot be used: {error}"
            raise SinkUnavailable(text, reason="tls") from error
        return TlsConnection(host, port, self._connect_seconds, self._deadline, context)

    def _send_once(
        self,
        connection: PlainConnection | TlsConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        sent = True
        try:
            connection.request(
                method,
                self._parts.path + path,
                body=body,
                headers={**headers, "User-Agent": f"shipper/{__version__}"},
            )
        except (BrokenPipeError, ConnectionResetError):
            # Who refuses a body before all of it was sent may have answered before hanging up: that answer says more.
            sent = False
        try:
            answer = self._read(_final(connection.getresponse()))
        except ValueError as error:
            # Python 3.11 passes a chunk of a negative size on to the socket's reader.
            raise HTTPException(f"the answer is no HTTP: {error}") from error
        self._answered = True
        if not sent:
            self.close()
        return answer

    def _read(self, response: HTTPResponse) -> Answer:
        """Read an answer to its end, or to where it gets absurd."""
        body = response.read(MAX_ANSWER_BYTES)
        whole = len(body) < MAX_ANSWER_BYTES
        if not whole or response.will_close:
            self.close()
        response.close()
        return Answer(
            status=response.status,
            text=body.decode("utf-8", "replace"),
            headers={name.lower(): value for name, value in response.getheaders()},
            whole=whole,
        )


def _is_silent(connection: PlainConnection | TlsConnection) -> bool:
    """Say whether nothing came since the last answer: it would be taken for the answer to the next request."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def _final(response: HTTPResponse) -> HTTPResponse:
    """Pass over what comes before the answer, like 103 of a gateway; Python 3.11 knows only 100."""
    while 101 < response.status < 200:
        response.headers = None  # type: ignore[assignment]  # or it has nothing more to read
        response.begin()
    return response


def _hung_up(error: Exception) -> bool:
    """Say whether the far end closed the connection without an answer."""
    return isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _unavailable(error: Exception, url: str, *, sent_bytes: int) -> SinkUnavailable:
    blame = Blame.DESTINATION
    match error:
        case socket.gaierror():
            reason, text = "dns", f"the name in {url} cannot be resolved: {error}"
        case ConnectionRefusedError():
            reason, text = "connection_refused", f"{url} refuses connections"
        case TimeoutError():
            reason, text = "timeout", f"{url} did not answer in time"
        case ssl.SSLError() if not _hung_up(error):
            reason, text = "tls", f"no TLS with {url}: {error}"
        case _:
            reason, text = "connection_lost", f"the connection to {url} was lost: {error}"
            blame = Blame.UNKNOWN if sent_bytes > LARGE_BODY_BYTES else blame
    return SinkUnavailable(text, reason=reason, blame=blame)
