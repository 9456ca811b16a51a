"""How long a connection may take for a request, and how many there may be; uvicorn leaves that to a proxy in front."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""How long a request may take to come, from the first byte, or from the connection, to its last."""

CONNECTIONS_ANSWERED = 256
"""With more connections than that, viewers included, requests are answered with 503."""

MOST_CONNECTIONS = 512
"""With more than that, a connection is closed as it comes, long before there are no file descriptors left."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP, but for those who open a connection and say nothing, or go on saying a little for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Take what came; from the first byte of a request on its end is awaited."""
        super().data_received(data)
        if self._deadline is None and self.transport.get_protocol() is self:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._look, self.cycle)

    def _look(self, before: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Give up on whoever has not brought a new request since `before`, the request of that time."""
        self._deadline = None
        idle = before is None or before.response_complete
        if self.transport.get_protocol() is not self or self.cycle is not before:
            return
        if idle:
            self.transport.abort()
        else:
            self._expect_request()
