"""Who may look: the token as header, query or cookie, where pages may come from, and by which name we are called."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

COOKIE = "shipper"


@dataclass(frozen=True, slots=True)
class Doors:
    """Who is let in.

    Attributes:
        token: What must be known; `None`: nothing.
        origins: Origins whose pages may use WebSockets, beside our own.
        loopback: Whether only this machine can reach us, so that no other name than its own is ours.
    """

    token: str | None = field(default=None, repr=False)
    origins: Sequence[str] = ()
    loopback: bool = False

    def let_in(self, connection: HTTPConnection) -> bool:
        """Tell whether a request knows the token: as a header, a cookie, or in the query of a WebSocket."""
        if self.token is None:
            return True
        sent = connection.headers.get("Authorization", "").encode("latin-1")
        known = same(sent, f"Bearer {self.token}".encode())
        known |= same(_cookie(connection).encode(), cookie_value(self.token).encode())
        if connection.scope["type"] == "websocket":
            asked = connection.query_params.get("token", "").encode("utf-8", "surrogatepass")
            known |= same(asked, self.token.encode())
        return known

    def knows_name(self, host: str | None) -> bool:
        """Tell whether we can be meant by a `Host`; another name may lead here from a page of somebody else.

        See DNS rebinding: a name of theirs that resolves to our address makes our answers theirs to read.
        """
        if host is None or not self.loopback:
            return True
        name = _host_name(host)
        if name == "localhost" or name in {
            _host_name(urlsplit(each).netloc) for each in self.origins
        }:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def knows_origin(self, headers: Headers) -> bool:
        """Tell whether a page may speak with us: one of ours, or of an origin that is configured; programs may."""
        origin = headers.get("Origin")
        if origin is None:
            return True
        scheme, _, host = origin.lower().partition("://")
        ours = scheme in ("http", "https") and host == headers.get("Host", "").lower()
        return (ours and bool(host)) or origin.lower() in self.origins


def cookie_value(token: str) -> str:
    """Return what a cookie holds instead of the token, which it does not give away."""
    return hmac.new(
        token.encode(), b"shipper: who has this knows the token", hashlib.sha256
    ).hexdigest()


def _cookie(connection: HTTPConnection) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(connection.headers.get("Cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def same(sent: bytes, wanted: bytes) -> bool:
    """Compare in a time that tells nothing about how much of it is right."""
    return hmac.compare_digest(sent, wanted)


def _host_name(host: str) -> str:
    """Return the name in a `Host` header, without port and brackets."""
    name = (
        host.rpartition(":")[0]
        if host.rpartition(":")[2].isdigit() and not host.endswith("]")
        else host
    )
    return name.strip("[]").lower().rstrip(".")
