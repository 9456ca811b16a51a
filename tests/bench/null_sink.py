"""A Loki that takes everything and keeps nothing: it reads requests, counts them, and answers 204.

It is as cheap as Python allows, so that a bench measures the sender: bodies are read into one buffer for each
connection, and looked into only when streams are to be counted.
"""

from __future__ import annotations

import socketserver
import threading
import time
from dataclasses import dataclass, field
from typing import cast

from shipper.demo.log_store.decode import decode_push

BODY_BYTES = 8 * 1024 * 1024
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Seen:
    """What a null sink saw so far.

    Attributes:
        connections: TCP connections accepted.
        pushes: POSTs answered.
        first_push_seconds: When the first of them was complete, on the monotonic clock; 0 before.
        streams: Distinct label sets, when they are counted.
    """

    connections: int = 0
    pushes: int = 0
    first_push_seconds: float = 0.0
    streams: set[object] = field(default_factory=set)


class NullSink(socketserver.ThreadingTCPServer):
    """The server; `serve_forever` serves until the process ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, counts_streams: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.counts_streams = counts_streams
        self.seen = Seen()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.server_address[1])

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.seen.connections += 1

    def pushed(self, body: memoryview, head: dict[str, str]) -> None:
        """Count a push."""
        now = time.monotonic()
        with self._lock:
            self.seen.pushes += 1
            self.seen.first_push_seconds = self.seen.first_push_seconds or now
        if self.counts_streams:
            streams = decode_push(
                bytes(body),
                content_type=head["content-type"],
                content_encoding=head["content-encoding"],
                declared_bytes=len(body),
                max_body_bytes=BODY_BYTES,
            )
            self.seen.streams.update(stream.labels for stream in streams)


class _Conversation(socketserver.StreamRequestHandler):
    """One kept-alive connection."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        sink = cast("NullSink", self.server)
        sink.connected()
        buffer = memoryview(bytearray(BODY_BYTES))
        try:
            while first := self.rfile.readline():
                head = self._head()
                body = buffer[: int(head.get("content-length", 0))]
                self.rfile.readinto(body)
                if first.startswith(b"POST"):
                    sink.pushed(body, head)
                self.wfile.write(TAKEN if first.startswith(b"POST") else READY)
        except ConnectionError:
            return  # the sender is gone

    def _head(self) -> dict[str, str]:
        head = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            head[name.lower()] = value.strip()
        return head
