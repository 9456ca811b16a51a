"""Stands in for a Shipper that is watched: its state, what changes, and live lines, as `live/web.py` serves them."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

END = None
NO_SUCH_METRIC = 4404


def row(metric: str, **more: Any) -> dict[str, Any]:
    """Return what is told of one metric that does well."""
    return {
        "metric": metric,
        "type": "sqream",
        "instance": "10.0.0.5:5000",
        "every_seconds": 2.0,
        "required": True,
        "waits": False,
        "labels": {"job": metric},
        "label_values": {},
        "streams": 1,
        "max_label_values": 100,
        "state": "running",
        "pid": 4711,
        "restarts": 0,
        "last_end": "",
        "result": "ok",
        "error": "",
        "sink_error": "",
        "rows_in_last_poll": 3,
        "last_poll_at": 1000.0,
        "next_poll_at": 1002.0,
        "lines_waiting": 0,
        "bytes_waiting": 0,
        "oldest_unsent_seconds": 0.0,
        "lag_seconds": None,
        "rows_total": 300,
        "lines_delivered": 300,
        "lines_rejected": 0,
        "lines_dropped": 0,
        "last_poll_seconds": 0.012,
        "poll_seconds": [0.01, 0.02, 0.012],
        "rows_per_second": 1.5,
        **more,
    }


def state_of(*rows: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a whole state."""
    return {
        "version": "0.1.0",
        "ready": True,
        "reasons": [],
        "at": 1001.0,
        "sections": {"runs": False, "jobs": False},
        "metrics": [dict(each) for each in rows],
        **more,
    }


class WatchedShipper:
    """A server that shows what a test gives it.

    Attributes:
        state: What `/api/state` answers.
        lines: What `/live` begins with.
        token: What is wanted.
        live: Whether it has WebSockets.
        answer: What `/api/state` answers instead, as a status and a body.
        slow_seconds: How long `/api/state` takes.
        asked: Every path that was asked for.
        prefix: What stands before every path.
    """

    def __init__(
        self,
        state: Mapping[str, Any] | None = None,
        *,
        lines: Sequence[Mapping[str, Any]] = (),
        token: str | None = None,
        live: bool = True,
        answer: tuple[int, bytes] | None = None,
        tls: ssl.SSLContext | None = None,
        prefix: str = "",
        port: int = 0,
    ) -> None:
        self.state = dict(state or state_of(row("show_locks")))
        self.lines, self.token, self.live, self.answer = list(lines), token, live, answer
        self.prefix = prefix
        self.slow_seconds = 0.0
        self.asked: list[str] = []
        self._listeners: dict[str, list[SimpleQueue[Any]]] = {"/api/updates": [], "/live": []}
        self._lock = Lock()
        self._scheme = "http" if tls is None else "https"
        self._server: Server = serve(
            self._listen,
            "127.0.0.1",
            port,
            process_request=self._answer,
            ssl=tls,
            close_timeout=0.1,
        )
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        for path in self._listeners:
            self._send(path, END)
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{self.prefix}"

    def tell(self, **news: Any) -> None:
        """Tell everybody who listens what changed."""
        self._send("/api/updates", news)

    def ship(self, line: str, metric: str = "show_locks", **more: Any) -> None:
        """Show a live line to everybody who listens."""
        self._send("/live", {"metric": metric, "time_ns": "1000000000", "line": line, **more})

    def listeners(self, path: str) -> int:
        """Return how many listen there."""
        with self._lock:
            return len(self._listeners[path])

    def hang_up(self) -> None:
        """End every connection."""
        for path in self._listeners:
            self._send(path, END)

    def _send(self, path: str, message: object) -> None:
        with self._lock:
            for listener in self._listeners[path]:
                listener.put(message)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path.removeprefix(self.prefix)
        self.asked.append(request.path)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _response(401, b"a bearer token is wanted\n")
        if path == "/api/state":
            time.sleep(self.slow_seconds)
            return _response(*(self.answer or (200, json.dumps(self.state).encode())))
        if path in self._listeners and self.live:
            return None
        return connection.respond(404, "nothing is here\n")

    def _listen(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        asked = urlsplit(request.path)
        path, query = asked.path.removeprefix(self.prefix), parse_qs(asked.query)
        listener: SimpleQueue[Any] = SimpleQueue()
        with self._lock:
            self._listeners[path].append(listener)
        try:
            for message in self._first(path, query):
                connection.send(json.dumps(message))
            while (message := listener.get()) is not END:
                connection.send(json.dumps(message))
        except ConnectionClosed:
            return
        finally:
            with self._lock:
                self._listeners[path].remove(listener)

    def _first(self, path: str, query: Mapping[str, Sequence[str]]) -> list[Any]:
        if path == "/api/updates":
            return [{"state": self.state}]
        match = query.get("match", [""])[0].casefold()
        return [line for line in self.lines if match in str(line["line"]).casefold()]


def _response(status: int, body: bytes) -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
    return Response(status, "as told", headers, body)
