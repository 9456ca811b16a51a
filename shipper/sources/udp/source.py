"""A UDP port as a source: each read drains it, and returns when enough has come or has waited long enough."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.json_object import Unreadable
from shipper.core.record import Batch, Cursor, RefusedInput, Row
from shipper.sources.udp.formats import Format, Reader, reader
from shipper.sources.udp.inbox import SLOTS, Inbox
from shipper.sources.udp.losses import DropCounter, Sequences
from shipper.sources.udp.port import LocalPort, dropped_datagrams

MAX_BATCH_DATAGRAMS = 5000
MAX_BATCH_BYTES = 1024 * 1024
GATHER_SECONDS = 0.2
"""How long the first datagram of a batch waits for others: a slow sender costs five pushes a second at most."""

PAUSE_SECONDS = 0.002
"""Datagrams come together meanwhile, so that a call brings many; even the smallest receive buffer holds them."""


class UdpSource:
    """Listens on one port. It has no cursor: what was sent once is gone."""

    def __init__(
        self,
        port: LocalPort,
        form: Format,
        *,
        gather_seconds: float = GATHER_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._port = port
        self._gather_seconds = gather_seconds
        self._clock = clock or SystemClock()
        self._sequences = Sequences()
        self._dropped = DropCounter()
        self._row: Reader = reader(form, self._sequences)
        self._listening: _Listening | None = None

    def open(self, cursor: Cursor | None = None) -> None:
        del cursor  # nobody sends a datagram twice
        self.close()
        self._listening = _Listening(self._port.bind())
        self._dropped.start()

    def read(self, timeout_seconds: float) -> Batch:
        listening = self._listening
        if listening is None:
            raise SourceUnavailable(f"not listening on {self._port}")
        try:
            gathered = self._gathered(listening, timeout_seconds)
            self._dropped.read(dropped_datagrams(listening.bound))
        except OSError as error:
            raise SourceUnavailable(f"{self._port}: {error.strerror}") from error
        dropped = self._dropped.take()
        return Batch(
            gathered.rows,
            gathered.began_ns or self._clock.now_ns(),
            refused=gathered.refused,
            lost={"kernel": dropped} if dropped else {},
            sequence_gaps=self._sequences.take(),
        )

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell nobody: a sender of datagrams does not listen."""
        del cursor

    def close(self) -> None:
        if self._listening is None:
            return
        with suppress(OSError):  # a socket that broke tells nothing any more
            self._dropped.read(dropped_datagrams(self._listening.bound))
        self._listening.bound.close()
        self._listening = None

    def _gathered(self, listening: _Listening, timeout_seconds: float) -> _Gathered:
        """Return what comes until there is enough, or the first of it or the caller has waited long enough."""
        seconds = self._clock.monotonic_seconds
        gathered = _Gathered(self._row)
        until = seconds() + timeout_seconds
        while not gathered.enough:
            datagrams = listening.inbox.take()
            if datagrams and not gathered.began_ns:
                gathered.began_ns = self._clock.now_ns()
                until = min(until, seconds() + self._gather_seconds)
            gathered.add(datagrams, listening.inbox)
            if len(datagrams) == SLOTS or gathered.enough:
                continue
            left_seconds = until - seconds()
            if left_seconds <= 0:
                break
            if gathered.began_ns:
                time.sleep(PAUSE_SECONDS)
            listening.wait(left_seconds)
        return gathered


class _Listening:
    """A bound socket, and what it takes to read it."""

    def __init__(self, bound: socket.socket) -> None:
        self.bound = bound
        self.inbox = Inbox(bound)
        self._poll = select.poll()
        self._poll.register(bound, select.POLLIN)

    def wait(self, timeout_seconds: float) -> None:
        """Wait until a datagram is there, or until the time is over."""
        self._poll.poll(timeout_seconds * 1000)


@dataclass(slots=True)
class _Gathered:
    """A batch that grows.

    Attributes:
        read_row: Makes a row of a datagram.
        began_ns: When its first datagram was read, nanoseconds since the Unix epoch; 0 before.
        weight_bytes: What its datagrams weigh together.
    """

    read_row: Reader
    rows: list[Row] = field(default_factory=list)
    refused: list[RefusedInput] = field(default_factory=list)
    began_ns: int = 0
    weight_bytes: int = 0

    @property
    def enough(self) -> bool:
        """Whether to stop reading for now."""
        count = len(self.rows) + len(self.refused)
        return count >= MAX_BATCH_DATAGRAMS or self.weight_bytes >= MAX_BATCH_BYTES

    def add(self, datagrams: Sequence[memoryview], inbox: Inbox) -> None:
        """Add what one call brought; what is no row is refused."""
        read_row, take_row = self.read_row, self.rows.append
        for index, datagram in enumerate(datagrams):
            try:
                take_row(read_row(datagram))
            except Unreadable as refusal:
                sender = {"sender": inbox.sender(index)}
                self.refused.append(
                    RefusedInput(refusal.reason, bytes(datagram), sender, refusal.fault)
                )
        self.weight_bytes += sum(map(len, datagrams))
