"""Where a Shipper is that is watched over the network, and one question to it, with words for what goes wrong."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from shipper.core.errors import ConfigError, StartupError
from shipper.core.words import printable

STATE_PATH = "/api/state"
MOST_BYTES = 64 * 1024 * 1024
"""A state of 10,000 metrics with all their labels has half of it."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
OK, UNAUTHORIZED, FORBIDDEN = 200, 401, 403
REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a Shipper is.

    Attributes:
        address: Its address, without a slash at the end.
        token: What it may want to see.
    """

    address: str
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.address.startswith("https:")

    def websocket(self, path: str, **query: str | int) -> str:
        """Return the address of a WebSocket."""
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"ws{self.address.removeprefix('http')}{path}{asked}"


def read_address(written: str) -> str:
    """Return an address as a `Link` wants it.

    Raises:
        ConfigError: It is none.
    """
    try:
        parts = urlsplit(written)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"--url: {printable(written)} is no address: {error}") from None
    if parts.scheme not in ("http", "https") or not has_place:
        text = f"--url: {printable(written)} is no address, like http://host:9108 or https://host/prefix"
        raise ConfigError(text)
    if parts.username or parts.password or parts.query or parts.fragment:
        text = "--url: only host, port and path may stand in it; a token goes into --token_file"
        raise ConfigError(text)
    if not written.isprintable() or " " in written:
        raise ConfigError(f"--url: {printable(written)} has characters that no address has")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def fetch_state(link: Link) -> dict[str, Any]:
    """Ask for the whole state.

    Raises:
        StartupError: Nobody answers, or it is no Shipper that lets us look.
    """
    try:
        answer = _pool().request(
            "GET",
            link.address + STATE_PATH,
            headers=link.headers,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            redirect=False,
            retries=False,
            preload_content=False,
        )
        with answer:
            content = answer.read(MOST_BYTES + 1)
    except HTTPError as error:
        raise StartupError(_unreached(link, error)) from None
    if answer.status != OK:
        raise StartupError(_refused(link, answer))
    return _state(link, content)


@cache
def tls_context() -> ssl.SSLContext:
    """Return how certificates are checked; made once, for that takes its time."""
    return ssl.create_default_context()


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(ssl_context=tls_context())


def _state(link: Link, content: bytes) -> dict[str, Any]:
    if len(content) > MOST_BYTES:
        raise StartupError(f"{link.address}{STATE_PATH} answers with more than {MOST_BYTES} bytes")
    try:
        state = orjson.loads(content)
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("metrics"), list):
        raise StartupError(f"what answers at {link.address} is no Shipper: look at --url")
    return state


def _unreached(link: Link, error: HTTPError) -> str:
    reason = _reason(error)
    match error:
        case SSLError():
            return f"TLS with {link.address} failed: {reason}; {_tls_hint(reason)}"
        case NameResolutionError():
            return f"{link.address} cannot be reached: its host is not known; look at --url"
        case NewConnectionError():
            text = f"nothing listens at {link.address} ({reason})"
        case ConnectTimeoutError():
            text = f"nobody answered at {link.address} within {CONNECT_SECONDS:g} s"
        case _:
            text = f"{link.address} does not answer as it should: {reason}"
            return f"{text}; does it want https:// instead?" if not link.is_secure else text
    return f"{text}; does Shipper run there? --url names another place"


def _tls_hint(reason: str) -> str:
    if "wrong version" in reason.lower() or "record layer" in reason.lower():
        return "is it http://?"
    return "SSL_CERT_FILE=FILE names the CA that signed its certificate"


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an error in one line; it may be what the far end wrote."""
    cause = error.__cause__ or error.__context__
    while cause is not None and str(cause):
        error, cause = cause, cause.__cause__ or cause.__context__
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _refused(link: Link, answer: urllib3.BaseHTTPResponse) -> str:
    status = answer.status
    if status in (UNAUTHORIZED, FORBIDDEN):
        if link.token is None:
            return f"{link.address} wants a token: give the file that holds it with --token_file"
        return f"{link.address} does not take this token ({status}): look at --token_file"
    if status in REDIRECTS:
        place = printable(answer.headers.get("Location", "another place"))
        return f"{link.address} sends us to {place}; if that is right, give it with --url"
    return f"{link.address}{STATE_PATH} answers {status}: no Shipper is there, or its path has a prefix; look at --url"
