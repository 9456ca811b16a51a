"""The HTTP protocol of the store: uvicorn's, with the connection itself within reach of a request.

ASGI has no way to cut a connection, and a scripted answer needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEY = "log_store.transport"


class ConnectionProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which puts its transport into the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it
        """Begin a connection."""
        super().connection_made(transport)
        app: Any = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_KEY] = transport
            await app(scope, receive, send)

        self.app = with_transport


def transport_of(scope: Mapping[str, Any]) -> asyncio.Transport:
    """Return the transport of the connection a request came on."""
    transport: asyncio.Transport = scope[_KEY]
    return transport
