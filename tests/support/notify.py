"""Listens where a service manager would: in memory, or on a real socket."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from shipper.supervise.notify import Notifier

DATAGRAM_BYTES = 4096


@dataclass
class RecordingNotifier(Notifier):
    """Keeps what would be sent."""

    sent: list[str] = field(default_factory=list)

    def _send(self, *lines: str) -> None:
        self.sent.append("\n".join(lines))


class NotifySocket:
    """A datagram socket that a notifier can be pointed at; remembers everything that arrived."""

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self._heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        name = self.address
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.setblocking(False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def heard(self) -> list[str]:
        """Return every datagram so far."""
        while True:
            try:
                self._heard.append(self._socket.recv(DATAGRAM_BYTES).decode())
            except BlockingIOError:
                return self._heard
