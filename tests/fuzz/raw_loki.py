"""A server that answers pushes with any bytes at all, and remembers what somebody may take for stored."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from shipper.demo.log_store.decode import decode_push

Then = Literal["keep", "close", "reset", "hang", "drip", "repeat"]

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
HANGS_SECONDS = 20.0
ANSWERS_AFTER_SECONDS = 0.002
REPEATED = 1000
"""More than is read together with the answer."""

NAMES_RECORDS = re.compile(
    rb"has timestamp too|total ignored|max entry size|structured metadata", re.IGNORECASE
)
"""In a 400 that names what was refused; all other records of the push are stored then."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent instead of an answer, and what happens to the connection then."""

    content: bytes
    then: Then = "keep"
    late: bytes = b""

    @property
    def says_yes(self) -> bool:
        """Whether somebody may read from it that the push was stored."""
        return re.search(rb"HTTP/\S*\s+2\d\d", self.content + self.late) is not None

    @property
    def names_records(self) -> bool:
        return NAMES_RECORDS.search(self.content) is not None


class RawLoki:
    """Takes requests, answers the first with what it was given and all others with 204, and remembers the lines."""

    def __init__(self, script: Sequence[Reply]) -> None:
        self._script = deque(script)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.port: int = self._door.getsockname()[1]
        self.maybe_stored: set[str] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        for each in [self._door, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._door.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        # The client may leave in the middle of anything.
        with suppress(OSError, ValueError), connection, connection.makefile("rb") as reader:
            while reader.readline():
                head = dict(iter(lambda: _header(reader.readline()), ("", "")))
                body = reader.read(int(head["content-length"]))
                reply = self._next_reply(_lines_in(body, head))
                # What was sent too much before is there before the answer.
                self._ended.wait(ANSWERS_AFTER_SECONDS)
                connection.sendall(reply.content * (REPEATED if reply.then == "repeat" else 1))
                if not self._goes_on(connection, reply):
                    return

    def _next_reply(self, lines: set[str]) -> Reply:
        with self._lock:
            reply = self._script.popleft() if self._script else Reply(TAKEN)
            if reply.says_yes or reply.names_records:
                self.maybe_stored |= lines
            return reply

    def _goes_on(self, connection: socket.socket, reply: Reply) -> bool:
        match reply.then:
            case "close":
                connection.shutdown(socket.SHUT_RDWR)
                return False
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case "hang":
                self._ended.wait(HANGS_SECONDS)
            case "drip":
                while not self._ended.wait(0.02):
                    connection.sendall(b"x")
        if reply.late:
            self._ended.wait(0.01)
            connection.sendall(reply.late)
        return True


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def _lines_in(body: bytes, head: dict[str, str]) -> set[str]:
    pushed = decode_push(
        body,
        content_type=head["content-type"],
        content_encoding=head["content-encoding"],
        declared_bytes=len(body),
        max_body_bytes=10**7,
    )
    return {entry.line for stream in pushed for entry in stream.entries}
