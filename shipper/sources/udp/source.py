"""A UDP port as a source: each read drains it, and returns when enough has come or has waited long enough."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.json_object import Unreadable
from shipper.core.json_rows import JsonRows
from shipper.core.record import Batch, Cursor, RefusedInput, Row
from shipper.sources.udp.formats import Format, Reader, reader
from shipper.sources.udp.inbox import SLOTS, Inbox
from shipper.sources.udp.losses import DropCounter, Sequences
from shipper.sources.udp.port import LocalPort, dropped_datagrams

Found = TypeVar("Found")

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
        fields_wanted: bool = False,
        gather_seconds: float = GATHER_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        """Take note of where to listen, and for what.

        Args:
            port: Where.
            form: What a datagram holds.
            fields_wanted: Whether somebody looks at the fields of every row; else rows are lines from the beginning.
            gather_seconds: How long the first datagram of a batch waits for others.
            clock: Time.
        """
        self._port = port
        self._fields_wanted = fields_wanted
        self._gather_seconds = gather_seconds
        self._clock = clock or SystemClock()
        self._sequences = Sequences()
        self._dropped = DropCounter()
        self._reader = reader(form, self._sequences)
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
        gathered = _Gathered(self._reader, [] if self._fields_wanted else JsonRows())
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
        reader: Makes rows of datagrams.
        rows: What they became.
        began_ns: When its first datagram was read, nanoseconds since the Unix epoch; 0 before.
        weight_bytes: What its datagrams weigh together.
    """

    reader: Reader
    rows: JsonRows | list[Row]
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
        objects, row_of_object = self.reader.objects(datagrams), self.reader.row_of_object
        if objects is None or row_of_object is None:
            rows, tells_all = self._rows(datagrams, self.reader.row, datagrams, inbox), False
        else:
            rows, tells_all = self._rows(objects, row_of_object, datagrams, inbox), True
        if isinstance(self.rows, JsonRows):
            self.rows.add(rows, tells_all=tells_all)
        else:
            self.rows += rows
        self.weight_bytes += sum(map(len, datagrams))

    def _rows(
        self,
        found: Sequence[Found],
        row: Callable[[Found], Row],
        datagrams: Sequence[memoryview],
        inbox: Inbox,
    ) -> list[Row]:
        """Return the rows of what was found in datagrams, and refuse what is none."""
        rows: list[Row] = []
        take_row = rows.append
        for index, each in enumerate(found):
            try:
                take_row(row(each))
            except Unreadable as refusal:
                sender = {"sender": inbox.sender(index)}
                self.refused.append(
                    RefusedInput(refusal.reason, bytes(datagrams[index]), sender, refusal.fault)
                )
        return rows
