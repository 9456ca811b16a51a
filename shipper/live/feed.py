"""Carries what workers report to the web process: a local ZeroMQ socket, bounded and lossy.

A report replaces the one before it, so a lost one costs nothing; a web process that is slow or gone never slows
a worker. Messages are JSON objects: `origin`, `pid`, `state` and `tally`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from threading import Lock
from typing import TypedDict

import orjson
import zmq

from shipper.telemetry.tally import Snapshot

REPORTS_WAITING = 100
LINGER_MS = 500
MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107 bytes for the path of a local socket (unix(7)); the rest is a margin."""


class Report(TypedDict):
    """What one process says about itself.

    Attributes:
        origin: The metric's name, or `supervisor`.
        pid: The process; a new one starts its counters at 0.
        state: What the page shows.
        tally: Everything counted so far.
    """

    origin: str
    pid: int
    state: dict[str, object]
    tally: Snapshot


class FeedSender:
    """The end in a worker or in the supervisor. Safe to use from several threads."""

    def __init__(self, address: str) -> None:
        self._lock = Lock()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, REPORTS_WAITING)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.connect(address)

    @property
    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """What carries its messages; another socket may share it, and is closed first."""
        return self._context

    def send(self, report: Report) -> bool:
        """Send a report; False when nobody takes reports fast enough and it was let go."""
        content = orjson.dumps(report)
        with self._lock:
            try:
                self._socket.send(content, zmq.NOBLOCK)
            except zmq.Again:
                return False
        return True

    def close(self) -> None:
        """Send what waits, for at most half a second, and let go."""
        with self._lock:
            self._socket.close()
            self._context.term()


def feed_address(state_dir: Path) -> str:
    """Return where the feed's socket lies: in the state directory, or in a new one if that path is too long."""
    path = state_dir / "feed.sock"
    if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
        path = Path(mkdtemp(prefix="shipper-")) / "feed.sock"
    return f"ipc://{path}"
