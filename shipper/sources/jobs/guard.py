"""Stands before the application: limits who may write, how often, how much, and how slowly."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shipper.core.clock import Clock
from shipper.sources.jobs.replies import faulty, not_created

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

BODY_SECONDS = 10.0
"""How long a body may take to come."""

MOST_ADDRESSES = 10_000
"""How many clients are remembered; of more the one that was silent for longest is forgotten."""


class Pace:
    """How often every address may ask: a bucket for each, which holds a second's worth."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Take one out of the bucket of an address; False when it is empty."""
        now = self._clock.monotonic_seconds()
        most = max(1.0, self._per_second)
        left, then = self._buckets.pop(address, (most, now))
        left = min(most, left + (now - then) * self._per_second)
        allowed = left >= 1.0
        self._buckets[address] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may.

    Attributes:
        token: What writing needs; `None` for nothing.
        max_request_bytes: The largest body.
        max_requests_per_second: For each address.
        body_seconds: How long a body may take.
    """

    token: str | None
    max_request_bytes: int
    max_requests_per_second: float
    body_seconds: float = BODY_SECONDS


class Guard:
    """Hands a request on once its body is here, or answers it."""

    def __init__(self, app: ASGIApp, limits: Limits, clock: Clock) -> None:
        self._app = app
        self._limits = limits
        self._wanted = None if limits.token is None else f"Bearer {limits.token}".encode()
        self._pace = Pace(limits.max_requests_per_second, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        method, client = scope["method"], scope.get("client")
        more = not_created(method)
        if not self._pace.allows(client[0] if client else ""):
            text = "Too many requests from this address."
            await faulty(429, text, **more, Retry_After="1")(scope, receive, send)
            return
        if method not in WRITING:
            await self._app(scope, receive, send)
            return
        if not self._may_write(Headers(scope=scope)):
            answer = faulty(401, "Writing needs the token.", **more, WWW_Authenticate="Bearer")
            await answer(scope, receive, send)
            return
        await self._with_body(scope, receive, send)

    def _may_write(self, headers: Headers) -> bool:
        sent = headers.get("Authorization", "").encode("latin-1")
        return self._wanted is None or hmac.compare_digest(sent, self._wanted)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = not_created(scope["method"])
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._body(scope, receive)
        except TimeoutError:
            answer = faulty(408, "The body did not come in time.", **more, Connection="close")
            await answer(scope, receive, send)
            return
        if body is None:
            most = {"max_request_bytes": self._limits.max_request_bytes}
            answer = faulty(413, "The body is too large.", most, **more, Connection="close")
            await answer(scope, receive, send)
            return
        await self._app(_as_json(scope), _once(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; `None` for one that is too large."""
        most = self._limits.max_request_bytes
        length = Headers(scope=scope).get("Content-Length", "")
        if length.isdecimal() and int(length) > most:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > most:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _as_json(scope: Scope) -> Scope:
    """Say that the body is JSON: who posts with curl sends it as a form."""
    headers = [each for each in scope["headers"] if each[0].lower() != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _once(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body, and then waits for the end of the connection."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
