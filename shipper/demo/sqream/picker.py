"""The server picker of a cluster: it names a worker to whoever connects, and hangs up.

Source: pysqream 6.3.0, `connection.py`; real pickers listen on 3108, and on 3109 for TLS workers,
where the conversation with the picker itself is still plain.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Sequence
from types import TracebackType

from shipper.demo.sqream.listener import Listener
from shipper.demo.sqream.protocol import picker_message


class SqreamPicker:
    """Hands out the workers' addresses in turn."""

    def __init__(
        self, workers: Sequence[tuple[str, int]], *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._listener = Listener(host, port, self._name_a_worker)
        self._workers = itertools.cycle(workers)
        self._lock = threading.Lock()
        self._picks = 0

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._listener.host

    @property
    def port(self) -> int:
        """The port it listens on; 0 until the first start when the system chooses."""
        return self._listener.port

    @property
    def picks(self) -> int:
        """How many clients were given an address."""
        return self._picks

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._listener.start()

    def stop(self) -> None:
        """Stop listening."""
        self._listener.stop()

    def __enter__(self) -> SqreamPicker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _name_a_worker(self, connection: socket.socket) -> None:
        with self._lock:
            host, port = next(self._workers)
            self._picks += 1
        with contextlib.suppress(ConnectionError):  # the client left without listening
            connection.sendall(picker_message(host, port))
