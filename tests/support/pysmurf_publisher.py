"""Sends what a pysmurf publisher sends: numbered envelopes over UDP, each with one of ten types of payload."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

MAX_DATAGRAM_BYTES = 64_000
VERSION = "v4.1.0"


class PysmurfPublisher:
    """A publisher of a control program, or the one of a server, which knows no actions.

    `start` is the first thing it says, `stop` the last.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        publisher: str = "crate1slot2",
        script: str = "undeclared",
        from_host: str = "smurf-srv20",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._address = (host, port)
        self._names = {"host": from_host, "id": publisher, "script": script}
        self._now = now
        self._number = 0
        self._action: tuple[str, str] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.publish({}, "start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say that it ends."""
        self.publish({}, "stop")
        self._socket.close()

    def publish(self, payload: object, kind: str = "general") -> int:
        """Send a message and return its number; what is too long is not sent, and a complaint follows."""
        number, self._number = self._number, self._number + 1
        envelope = self.envelope(payload, kind, number)
        datagram = json.dumps(envelope).encode()
        if len(datagram) > MAX_DATAGRAM_BYTES:
            self.publish(
                {"message": f"a message of {len(datagram)} bytes is too long"}, "backend_error"
            )
        else:
            self._socket.sendto(datagram, self._address)
        return number

    def envelope(self, payload: object, kind: str, number: int) -> Mapping[str, object]:
        """Return what is sent about a payload."""
        said = {"time": self._now(), "seq_no": number, "type": kind, "payload": payload}
        return self._names | said

    def skip(self, count: int) -> None:
        """Use up numbers as messages do that get lost on the way."""
        self._number += count

    def log(self, text: str) -> None:
        """Send a line of the log."""
        self.publish({"message": text}, "log")

    def session_data(self, **fields: object) -> None:
        """Send what a script found out."""
        self.publish(fields, "session_data")

    def session_log(self, text: str) -> None:
        """Send what a script is doing."""
        self.publish(text, "session_log")

    def metadata(self, path: str, value: object, kind: str = "int") -> None:
        """Send the value of a register that changed."""
        self.publish({"path": path, "value": value, "type": kind}, "metadata")

    def g3_file(self, path: str) -> None:
        """Announce a file of the data stream."""
        self.publish({"path": path, "archive_name": "timestreams"}, "g3_file")

    @contextmanager
    def action(self, name: str) -> Iterator[None]:
        """Do something that has a name; what is done within it belongs to the outermost."""
        outermost = self._action is None
        if outermost:
            self._action = (name, str(int(self._now())))
        try:
            yield
        finally:
            if outermost:
                self._action = None

    def register_file(
        self, path: str, form: str = "", *, plot: bool = False, kind: str = "", **changes: Any
    ) -> None:
        """Announce a file that was written."""
        action, action_ts = self._action or (None, None)
        record = {
            "path": path,
            "type": kind,
            "format": form,
            "timestamp": self._now(),
            "action": action,
            "action_ts": action_ts,
            "plot": plot,
            "pysmurf_version": VERSION,
        }
        self.publish(record | changes, "data_file")

    def register_file_as_a_server(self, path: str, form: str = "") -> None:
        """Announce a file as the publisher of a server does, which knows no actions."""
        record = {
            "path": path,
            "type": "",
            "format": form,
            "timestamp": self._now(),
            "plot": False,
            "pysmurf_version": "dummy",
        }
        self.publish(record, "data_file")
