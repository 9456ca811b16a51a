"""What an emulator counted: enough for a test to prove what a client did."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers at one moment.

    Attributes:
        connections_opened: TCP connections since the emulator was made.
        sessions_open: Connections open now; pysqream holds two per connection with a cursor.
        logins: Accepted logins.
        logins_refused: Logins answered with an error.
        pings: Pings received; they are never answered.
        statements: Executed statements by function, `select 1` as `1`.
    """

    connections_opened: int
    sessions_open: int
    logins: int
    logins_refused: int
    pings: int
    statements: Mapping[str, int]


class Tally:
    """Counts from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter()
        self._statements: Counter[str] = Counter()

    def connection_opened(self) -> None:
        """Count a TCP connection."""
        self._count("opened")

    def connection_closed(self) -> None:
        """Count the end of a TCP connection."""
        self._count("closed")

    def login(self, *, accepted: bool) -> None:
        """Count a login."""
        self._count("accepted" if accepted else "refused")

    def ping(self) -> None:
        """Count a ping."""
        self._count("pings")

    def statement(self, function: str) -> None:
        """Count an executed statement."""
        with self._lock:
            self._statements[function] += 1

    def counts(self) -> Counts:
        """Return the numbers of this moment."""
        with self._lock:
            return Counts(
                connections_opened=self._events["opened"],
                sessions_open=self._events["opened"] - self._events["closed"],
                logins=self._events["accepted"],
                logins_refused=self._events["refused"],
                pings=self._events["pings"],
                statements=dict(self._statements),
            )

    def _count(self, event: str) -> None:
        with self._lock:
            self._events[event] += 1
