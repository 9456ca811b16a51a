"""Live tailing over a WebSocket: recent lines first, then each line as it is stored.

{"streams": [{"stream": {"app": "x"}, "values": [["1795304123187575973", "line"]]}]}
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from shipper.demo.log_store.asked import Asked
from shipper.demo.log_store.evaluate import Evaluator, Window
from shipper.demo.log_store.expressions import LogQuery
from shipper.demo.log_store.golang import NS_PER_SECOND
from shipper.demo.log_store.logql import parse_query
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream
from shipper.demo.log_store.query_api import stream_document
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.responses import refusal_response
from shipper.demo.log_store.tenants import tenant_of

_DEFAULT_ENTRIES = 100
_HISTORY_NS = 3600 * NS_PER_SECOND
# A viewer slower than this many frames misses the oldest ones: pushes never wait for it.
_WAITING_FRAMES = 1000


@dataclass(slots=True, eq=False)
class _Viewer:
    tenant: str
    query: LogQuery
    frames: asyncio.Queue[str] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_WAITING_FRAMES)
    )

    def show(self, frame: str) -> None:
        if self.frames.full():
            self.frames.get_nowait()
        self.frames.put_nowait(frame)


class Tail:
    """The viewers of live lines; used only in the server's event loop."""

    def __init__(
        self, evaluator: Evaluator, *, auth_enabled: bool, clock: Callable[[], int]
    ) -> None:
        self._evaluator = evaluator
        self._auth_enabled = auth_enabled
        self._clock = clock
        self._viewers: set[_Viewer] = set()

    def publish(self, tenant: str, stream: AcceptedStream, kept: list[AcceptedEntry]) -> None:
        """Show newly stored entries to the viewers that asked for them."""
        labels = dict(stream.labels)
        for viewer in self._viewers:
            if viewer.tenant != tenant or not viewer.query.accepts_labels(labels):
                continue
            streams = [
                stream_document(line.labels, [[str(entry.time_ns), line.text]])
                for entry in kept
                if viewer.query.accepts_line(entry.line)
                and (line := viewer.query.staged(entry.line, labels)) is not None
            ]
            if streams:
                viewer.show(_frame(streams))

    async def view(self, websocket: WebSocket) -> None:
        """Serve one viewer until it leaves."""
        asked = Asked(
            values={name: websocket.query_params.getlist(name) for name in websocket.query_params},
            now_ns=self._clock(),
        )
        try:
            tenant = tenant_of(websocket.headers, auth_enabled=self._auth_enabled)
            query = _log_query(asked)
            history = self._history(tenant, query, asked)
        except Refused as refusal:
            await websocket.send_denial_response(refusal_response(refusal))
            return
        # Nothing is awaited between history and joining, so that no line is shown twice or missed.
        viewer = _Viewer(tenant, query)
        self._viewers.add(viewer)
        if history:
            viewer.show(_frame(history))
        try:
            await websocket.accept()
            await _serve(websocket, viewer)
        finally:
            self._viewers.discard(viewer)

    def _history(self, tenant: str, query: LogQuery, asked: Asked) -> list[dict[str, Any]]:
        start_ns = asked.time_ns("start", asked.now_ns - _HISTORY_NS)
        found = self._evaluator.lines(
            tenant,
            query,
            Window(start_ns=start_ns, end_ns=(1 << 63) - 1),
            max_entries=asked.whole("limit", _DEFAULT_ENTRIES),
            newest_first=True,
            fold_metadata=True,
        )
        return [
            stream_document(
                stream.labels, [[str(line.time_ns), line.text] for line in stream.lines[::-1]]
            )
            for stream in found
        ]


async def _serve(websocket: WebSocket, viewer: _Viewer) -> None:
    sending = asyncio.create_task(_send_frames(websocket, viewer))
    try:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def _send_frames(websocket: WebSocket, viewer: _Viewer) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await viewer.frames.get())


def _log_query(asked: Asked) -> LogQuery:
    query = parse_query(asked.text("query"))
    if not isinstance(query, LogQuery):
        raise Refused(400, "invalid query, only a log query can be tailed")
    return query


def _frame(streams: list[dict[str, Any]]) -> str:
    return orjson.dumps({"streams": streams}).decode()
