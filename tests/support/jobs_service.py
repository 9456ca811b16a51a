"""Stands in for the jobs service: keeps what is posted, and answers what a test tells it to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

TAKEN = (201, {"created": True})


@dataclass
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class JobsService:
    """A service on a port of its own.

    Attributes:
        answers: Status and body of the next answers; after them everything is taken.
        slow_seconds: How long it waits before it answers.
        posted: What came.
    """

    answers: list[tuple[int, Any]] = field(default_factory=list)
    slow_seconds: float = 0.0
    posted: list[Posted] = field(default_factory=list)

    def __enter__(self) -> Self:
        service = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.posted.append(Posted(self.path, dict(self.headers), json.loads(body)))
                time.sleep(service.slow_seconds)
                status, content = service.answers.pop(0) if service.answers else TAKEN
                answer = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/v0/t1/arr/event?arrayIndex=3"

    @property
    def classes(self) -> list[str]:
        """The classes of all events, in the order in which they came."""
        return [each.body["eventClass"] for each in self.posted]
