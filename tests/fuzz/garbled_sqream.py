"""A SQreamDB emulator whose messages are changed on their way, and a server picker that says anything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from shipper.demo.sqream import SqreamEmulator
from shipper.demo.sqream.session import Session

HANGS_SECONDS = 20.0
"""How long a server that hangs does so at most."""

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to one message of the server.

    Attributes:
        message: Which one, counted over all connections of an example.
        change: What is sent instead.
        then: What happens to the connection.
    """

    message: int
    change: Change
    then: Literal["go on", "close", "hang"] = "go on"


@dataclass
class Plan:
    """What happens during one example."""

    blows: list[Blow] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    sent: int = 0


class Garbled:
    """A connection on which the server's messages are changed according to plan."""

    def __init__(self, connection: socket.socket, plan: Plan) -> None:
        self._connection = connection
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def sendall(self, content: bytes) -> None:
        number, self._plan.sent = self._plan.sent, self._plan.sent + 1
        for blow in self._plan.blows:
            if blow.message == number:
                content = blow.change(bytes(content))
                self._connection.sendall(content)
                if blow.then == "hang":
                    self._plan.over.wait(HANGS_SECONDS)
                if blow.then == "close":
                    self._connection.shutdown(socket.SHUT_RDWR)
                return
        self._connection.sendall(content)


class GarbledEmulator(SqreamEmulator):
    """An emulator whose answers are changed according to plan."""

    plan = Plan()

    def _converse_first(self, connection: socket.socket) -> None:
        garbled = cast("socket.socket", Garbled(connection, self.plan))
        Session(garbled, self._instance, self._first_place).run()


class Picker:
    """A server picker that says the same bytes to everybody."""

    def __init__(self, content: bytes, *, closes: bool) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._content, self._closes = content, closes
        self._open: list[socket.socket] = []
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for each in [self._door, *self._open]:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
                connection.sendall(self._content)
            except OSError:
                return
            self._open.append(connection)
            if self._closes:
                connection.close()
