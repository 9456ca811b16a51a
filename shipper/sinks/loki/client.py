"""Speaks HTTP with Loki: one kept-alive connection, a deadline for each request, and every fault as one of ours.

Proxies named in the environment are not used: urllib3 asks for none, and a push through a proxy that nobody meant is
harder to find than one that is missing. A redirect is not followed, because a POST may come out as a GET behind it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

from shipper import __version__
from shipper.core.errors import ConfigError, SinkUnavailable
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.deadline import Deadline, HTTPConnectionOnTime, HTTPSConnectionOnTime

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Loki may give a sentence to every record it refuses; what is longer than this is not Loki's."""

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
        self._parts = parse_url(url)
        self._login = login
        self._tls = tls
        self._timeout = Timeout(connect=connect_timeout_seconds, read=read_timeout_seconds)
        self._request_seconds = connect_timeout_seconds + read_timeout_seconds
        self._deadline = Deadline()
        self._pool: HTTPConnectionPool | None = None
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
        if self._pool is not None:
            self._pool.close()
        self._pool = None
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
            try:
                return self._send_once(method, path, body, headers)
            except HTTPError as error:
                # Loki 3.6 closes a connection that was idle for 120 s, and we may notice only while sending.
                if not (self._answered and _hung_up(error)):
                    raise
                self.close()
                return self._send_once(method, path, body, headers)
        except HTTPError as error:
            self.close()
            raise _unavailable(error, self.url) from error
        except OSError as error:
            self.close()
            raise SinkUnavailable(
                f"the TLS files for {self.url} cannot be used: {error}", reason="tls"
            ) from error

    def _send_once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        if self._pool is None:
            self._pool = self._new_pool()
        response = self._pool.urlopen(
            method,
            (self._parts.path or "") + path,
            body=body,
            headers={**headers, "User-Agent": f"shipper/{__version__}"},
            retries=False,
            redirect=False,
            timeout=self._timeout,
            preload_content=False,
        )
        answer = _read(response)
        self._answered = True
        return answer

    def _new_pool(self) -> HTTPConnectionPool:
        host, port = self._parts.host or "localhost", self._parts.port
        if self._parts.scheme == "https":
            context = self._tls.context()
            secure = HTTPSConnectionPool(
                host, port, maxsize=1, ssl_context=context, deadline=self._deadline
            )
            secure.ConnectionCls = HTTPSConnectionOnTime
            return secure
        plain = HTTPConnectionPool(host, port, maxsize=1, deadline=self._deadline)
        plain.ConnectionCls = HTTPConnectionOnTime
        return plain


def _read(response: BaseHTTPResponse) -> Answer:
    """Read an answer to its end, or to where it gets absurd."""
    body = response.read(MAX_ANSWER_BYTES)
    whole = len(body) < MAX_ANSWER_BYTES
    if whole:
        response.release_conn()
    response.close()
    return Answer(
        status=response.status,
        text=body.decode("utf-8", "replace"),
        headers={name.lower(): value for name, value in response.headers.items()},
        whole=whole,
    )


def _hung_up(error: HTTPError) -> bool:
    """Say whether the far end closed the connection without an answer."""
    return isinstance(_origin(error), ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _origin(error: HTTPError) -> BaseException:
    """Return the fault that urllib3 wrapped, or the error itself."""
    inner = error.args[-1] if error.args else None
    return inner if isinstance(inner, BaseException) else error.__cause__ or error


def _unavailable(error: HTTPError, url: str) -> SinkUnavailable:
    origin = _origin(error)
    match error, origin:
        case NameResolutionError(), _:
            reason, text = "dns", f"the name in {url} cannot be resolved: {origin}"
        case NewConnectionError(), ConnectionRefusedError():
            reason, text = "connection_refused", f"{url} refuses connections"
        case NewConnectionError(), _:
            reason, text = "connection_lost", f"no connection to {url}: {origin}"
        case (ConnectTimeoutError(), _):
            reason, text = "timeout", f"{url} did not accept a connection in time"
        case (ReadTimeoutError(), _) | (_, TimeoutError()):
            reason, text = "timeout", f"{url} did not answer in time"
        case SSLError(), _:
            reason, text = "tls", f"no TLS with {url}: {origin}"
        case _:
            reason, text = "connection_lost", f"the connection to {url} was lost: {origin}"
    return SinkUnavailable(text, reason=reason)
