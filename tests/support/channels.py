"""A source of ReCodEx with channels in this process, senders for it, and clients that misbehave."""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.core.record import Batch
from shipper.sources.zeromq import ZeromqSettings
from tests.contract.source_contract import until
from tests.support.services import free_port

JOBS = "shipper_channel_jobs_total"
TASKS = "shipper_channel_tasks_total"
CLOSED = "shipper_channel_clients_closed_total"
CLIENTS = "shipper_channel_clients"
KEPT = "shipper_channels"
SILENCE_SECONDS = 0.4

NORMAL = [
    ("job-42", "DOWNLOADED"),
    ("job-42", "STARTED"),
    ("job-42", "TASK", "compile-1", "COMPLETED"),
    ("job-42", "ENDED"),
    ("job-42", "UPLOADED"),
    ("job-42", "FINISHED"),
]
TOLD = [
    '{"command": "DOWNLOADED"}',
    '{"command": "STARTED"}',
    '{"command": "TASK", "task_id": "compile-1", "task_state": "COMPLETED"}',
    '{"command": "ENDED"}',
    '{"command": "UPLOADED"}',
    '{"command": "FINISHED"}',
]

READ_SECONDS = 0.05
CLIENT_SECONDS = 10.0


class Stage:
    """Reads a source again and again in a thread, as a worker does, and sends to it as a DEALER.

    Attributes:
        batches: What was read so far.
        port: Where channels are served.
    """

    def __init__(self, state_dir: Path, *, idle_seconds: float = 3600, **websocket: Any) -> None:
        self.port = free_port()
        self.zeromq_port = free_port()
        written = {
            "bind": f"tcp://127.0.0.1:{self.zeromq_port}",
            "idle_seconds": idle_seconds,
            "websocket": {"port": self.port} | websocket,
        }
        self.source = ZeromqSettings.model_validate(written).build("recodex", None, state_dir)
        self.batches: list[Batch] = []
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._read)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.wait()
        self._sender = self.connected()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading, and close the source as a worker does."""
        self._stop.set()
        self._thread.join()
        self.release()
        if self._fault is not None:
            raise self._fault

    def connected(self) -> zmq.Socket[bytes]:
        """Return a DEALER that sends to the source."""
        sender: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        sender.linger = 0
        sender.connect(f"tcp://127.0.0.1:{self.zeromq_port}")
        return sender

    def release(self) -> None:
        """Let go of the senders."""
        self._context.destroy(linger=0)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/any/path"

    def say(self, *frames: str | bytes) -> None:
        """Send one message."""
        self._sender.send_multipart(
            [each if isinstance(each, bytes) else each.encode() for each in frames]
        )

    def received(self, count: int) -> None:
        """Wait until so many messages were read, good or bad."""
        until(lambda: sum(len(each.rows) + len(each.refused) for each in self.batches) >= count)

    def counted(self, name: str) -> Counter[str]:
        """Return a counter by the value of its label."""
        total: Counter[str] = Counter()
        for batch in list(self.batches):
            for (value,), number in batch.counted.get(name, {}).items():
                total[value] += round(number)
        return total

    def shown(self, name: str) -> float:
        """Return a gauge as it was shown last."""
        return self.batches[-1].shown[name][()] if self.batches else 0.0

    @contextmanager
    def client(self, name: str | bytes | None = None, query: str = "") -> Iterator[Connection]:
        """Connect, and name a channel."""
        with connect(self.url + query, compression=None, close_timeout=1) as client:
            if name is not None:
                client.send(name)
            yield client

    def _read(self) -> None:
        try:
            self.source.open()
            self._opened.set()
            while not self._stop.is_set():
                self.batches.append(self.source.read(READ_SECONDS))
        except Exception as error:  # noqa: BLE001 - raised by closing
            self._fault = error
        finally:
            self.source.close()
            self._opened.set()


def texts(client: Connection, count: int) -> list[str]:
    """Return the next messages of a client."""
    return [str(client.recv(timeout=CLIENT_SECONDS)) for _ in range(count)]


def to_the_end(client: Connection) -> tuple[list[str], int, str]:
    """Return all further messages of a client, and code and words of its end."""
    heard: list[str] = []
    try:
        while True:
            heard.append(str(client.recv(timeout=CLIENT_SECONDS)))
    except ConnectionClosed as end:
        close = end.rcvd
        return heard, (0 if close is None else close.code), ("" if close is None else close.reason)


def frozen(port: int, name: str) -> socket.socket:
    """Connect, name a channel, and do nothing any more: no reading, no pong, no goodbye."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    content = name.encode()
    # A text frame with the mask 0 (RFC 6455, 5.2).
    client.sendall(bytes([0x81, 0x80 | len(content)]) + bytes(4) + content)
    return client
