"""The WebSockets: `/live` shows lines as they are shipped, `/api/updates` what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from shipper.live.audience import Audience, Full
from shipper.live.board import Board
from shipper.live.channel import Seat
from shipper.live.updates import Updates

BAD_QUERY = 4400
NO_SUCH_METRIC = 4404
COME_AGAIN = 1012
"""Service restart: what may be seen, or by whom, has changed (RFC 6455's registry)."""

MOST_LAST = 1000
LONGEST_MATCH = 1000
KEYS = ("metric", "match", "last", "token")

EARLIER_SECONDS = 0.3
"""How long workers have to send what they remember, before it is too late to come first."""

MESSAGES_AT_ONCE = 100
MESSAGES_A_SECOND = 4_000
"""What one viewer may get; all together get twice that, so that the rest of the page stays quick."""

STALLED_SECONDS = 60.0
"""How long a viewer may take nothing at all before its place goes to another."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for.

    Attributes:
        metric: Whose lines; `None` for those of all.
        match: What must be in them.
        last: How many of the newest to begin with.
    """

    metric: str | None
    match: str
    last: int


class BadQuery(ValueError):
    """The query cannot be understood; the text says why."""


def wanted(query: QueryParams) -> Wanted:
    """Read the query of `/live`.

    Raises:
        BadQuery: Something in it is wrong.
    """
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if name not in KEYS:
            raise BadQuery(f"{name[:40]}: no such key; known are metric, match and last")
        if names.count(name) > 1:
            raise BadQuery(f"{name}: only once")
    last, match = query.get("last", "0"), query.get("match", "")
    if not (last.isascii() and last.isdigit() and len(last) < 10 and int(last) <= MOST_LAST):
        raise BadQuery(f"last: must be a whole number from 0 to {MOST_LAST}")
    if len(match) > LONGEST_MATCH:
        raise BadQuery(f"match: at most {LONGEST_MATCH} characters")
    return Wanted(query.get("metric"), match, int(last))


@dataclass(slots=True)
class Viewing:
    """Serves the WebSockets of one run.

    Attributes:
        board: What is known of the run.
        audience: Who looks at lines.
        updates: What changed.
    """

    board: Board
    audience: Audience
    updates: Updates
    _open: dict[WebSocket, tuple[str | None, asyncio.Task[None]]] = field(default_factory=dict)

    async def live(self, websocket: WebSocket) -> None:
        """Send lines as they are shipped, until the viewer goes."""
        try:
            asked = wanted(websocket.query_params)
        except BadQuery as error:
            await _refuse(websocket, BAD_QUERY, str(error))
            return
        if asked.metric is not None and asked.metric not in self.board.metrics:
            await _refuse(websocket, NO_SUCH_METRIC, f"there is no metric {asked.metric[:60]}")
            return
        try:
            with self.audience.seat(asked.metric, asked.match) as seat:
                await websocket.accept()
                await self._serve(websocket, asked.metric, self._show(websocket, seat, asked.last))
        except Full:
            await _no_room(websocket)

    async def follow(self, websocket: WebSocket) -> None:
        """Send the state, and then what changes, until the viewer goes."""
        if self.updates.readers >= self.audience.most_viewers:
            await _no_room(websocket)
            return
        with self.updates.followed():
            await websocket.accept()
            await self._serve(websocket, None, self._tell(websocket))

    def dismiss(self, leaves: Callable[[str | None], bool] = lambda _metric: True) -> None:
        """Let viewers go, who may come again; only those of metrics for which `leaves` says so."""
        for websocket, (metric, task) in list(self._open.items()):
            if leaves(metric):
                del self._open[websocket]
                task.cancel()

    async def _serve(
        self, websocket: WebSocket, metric: str | None, sending: Coroutine[Any, Any, None]
    ) -> None:
        """Send until the viewer goes, stalls, or is dismissed; what it says is of no interest."""
        tasks = [asyncio.create_task(sending), asyncio.create_task(_until_gone(websocket))]
        self._open[websocket] = metric, tasks[0]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            dismissed = self._open.pop(websocket, None) is None
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        if dismissed:
            with suppress(WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(1.0):
                    await websocket.close(COME_AGAIN, "the configuration has changed")
        _raise_fault(websocket, ends)

    async def _show(self, websocket: WebSocket, seat: Seat, last: int) -> None:
        if last:
            await asyncio.sleep(EARLIER_SECONDS)
            await self._send(websocket, seat.opening(last))
        while True:
            while not seat.has_news:
                seat.channel.news.clear()
                await seat.channel.news.wait()
            messages = seat.take(MESSAGES_AT_ONCE)
            await self._send(websocket, messages)

    async def _send(self, websocket: WebSocket, messages: Sequence[str]) -> None:
        """Send messages no faster than a viewer's share allows."""
        for message in messages:
            async with asyncio.timeout(STALLED_SECONDS):
                await websocket.send_text(message)
        share = min(MESSAGES_A_SECOND, 2 * MESSAGES_A_SECOND / max(1, self.audience.viewers))
        await asyncio.sleep(len(messages) / share)

    async def _tell(self, websocket: WebSocket) -> None:
        message, number = self.updates.begin()
        while True:
            async with asyncio.timeout(STALLED_SECONDS):
                await websocket.send_text(message)
            await self.updates.wait_beyond(number)
            message, number = self.updates.since(number)


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _refuse(websocket: WebSocket, code: int, why: str) -> None:
    await websocket.accept()
    # A close frame has room for 123 bytes of reason (RFC 6455, 5.5).
    await websocket.close(code, why.encode()[:120].decode("utf-8", "ignore"))


async def _no_room(websocket: WebSocket) -> None:
    refusal = JSONResponse({"error": "as many look already as may; try again later"}, 503)
    await websocket.send_denial_response(refusal)


def _raise_fault(websocket: WebSocket, ends: Sequence[object]) -> None:
    """Raise what ended a viewer, unless it is the viewer's own doing."""
    for end in ends:
        if isinstance(end, WebSocketDisconnect | TimeoutError | asyncio.CancelledError):
            continue
        gone = websocket.client_state is WebSocketState.DISCONNECTED
        if isinstance(end, BaseException) and not (gone and isinstance(end, RuntimeError)):
            raise end
