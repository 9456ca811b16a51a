"""A ZeroMQ socket as a source: each read empties it, and returns when enough has come or has waited long enough."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceEnded, SourceUnavailable
from shipper.core.json_object import Unreadable
from shipper.core.record import Batch, Cursor, RefusedInput, Row
from shipper.sources.zeromq.formats import (
    EXIT_REFUSED,
    Format,
    Reader,
    reader,
    refused,
    shown_sender,
)
from shipper.sources.zeromq.inlet import Frames, Inlet
from shipper.sources.zeromq.wire import Wire

if TYPE_CHECKING:
    from shipper.sources.zeromq.channels.service import ChannelService

MAX_BATCH_RECORDS = 5000
MAX_BATCH_BYTES = 1024 * 1024
TAKEN_RECORDS = 250
"""How many messages are taken at once, before it is looked whether there is enough."""

GATHER_SECONDS = 0.2
"""How long the first message of a batch waits for others: a slow sender costs five pushes a second at most."""

PAUSE_SECONDS = 0.002
"""Messages come together meanwhile; to wake for each of them would cost more than to read it."""


class ZeromqSource:
    """Receives the messages of one socket. It has no cursor: ZeroMQ sends a message once."""

    def __init__(
        self,
        wire: Wire,
        form: Format,
        *,
        obeys_exit: bool = False,
        channels: ChannelService | None = None,
        gather_seconds: float = GATHER_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._wire = wire
        self._channels = channels
        self._gather_seconds = gather_seconds
        self._clock = clock or SystemClock()
        self._reading = _Reading(
            row=reader(form),
            has_sender=wire.kind == "router",
            has_topic=wire.kind == "sub" and form == "json",
            obeys_exit=obeys_exit,
        )
        self._inlet: Inlet | None = None
        self._dismissed_by = ""

    def open(self, cursor: Cursor | None = None) -> None:
        del cursor  # nobody sends a message twice
        self.close()
        try:
            if self._channels is not None:
                self._channels.open()
            self._inlet = Inlet(self._wire)
        except SourceUnavailable:
            self.close()
            raise

    def read(self, timeout_seconds: float) -> Batch:
        if self._dismissed_by:
            raise SourceEnded(
                f"{self._dismissed_by} sent the command exit, and allow_remote_exit is true"
            )
        if self._inlet is None:
            raise SourceUnavailable(f"no socket is open for {self._wire.endpoint}")
        try:
            if self._channels is not None:
                # Before anything is taken that could not be told.
                self._channels.raise_fault()
            batch = self._gathered(self._inlet, timeout_seconds)
        except SourceUnavailable:
            self.close()
            raise
        return batch if self._channels is None else _published(batch, self._channels)

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell nobody: the senders listen to nothing."""
        del cursor

    def close(self) -> None:
        inlet, self._inlet = self._inlet, None
        if inlet is not None:
            inlet.close()
        if self._channels is not None:
            self._channels.close()

    def _gathered(self, inlet: Inlet, timeout_seconds: float) -> Batch:
        """Return what comes until there is enough, or the first of it or the caller has waited long enough."""
        seconds = self._clock.monotonic_seconds
        gathered = _Gathered(self._reading)
        until = seconds() + timeout_seconds
        while not gathered.enough:
            messages = inlet.take(TAKEN_RECORDS, MAX_BATCH_BYTES - gathered.weight_bytes)
            if messages and not gathered.began_ns:
                gathered.began_ns = self._clock.now_ns()
                until = min(until, seconds() + self._gather_seconds)
            gathered.add(messages)
            if len(messages) == TAKEN_RECORDS or gathered.enough:
                continue
            left_seconds = until - seconds()
            if left_seconds <= 0 or inlet.refusal:
                break
            if gathered.began_ns:
                time.sleep(PAUSE_SECONDS)
            inlet.wait(left_seconds)
        if inlet.refusal and not gathered.began_ns:
            raise SourceUnavailable(inlet.refusal)
        self._dismissed_by = gathered.dismissed_by
        return gathered.batch(self._clock.now_ns())


def _published(batch: Batch, channels: ChannelService) -> Batch:
    """Tell clients what came, and return the batch with what there is to count."""
    channels.publish(batch.rows)
    return replace(batch, counted=channels.counted(), shown=channels.shown())


@dataclass(frozen=True, slots=True)
class _Reading:
    """How messages are read.

    Attributes:
        row: Makes a row of the frames.
        has_sender: Whether the first frame is the sender, put there by ZeroMQ.
        has_topic: Whether a topic may stand before the frame with the object.
        obeys_exit: Whether a sender may end us.
    """

    row: Reader
    has_sender: bool
    has_topic: bool
    obeys_exit: bool


@dataclass(slots=True)
class _Gathered:
    """A batch that grows.

    Attributes:
        reading: How its messages are read.
        topics: The metadata of each row, where messages have topics.
        began_ns: When its first message was taken, nanoseconds since the Unix epoch; 0 before.
        weight_bytes: What its messages weigh together.
        dismissed_by: Who told us to exit; empty when nobody did.
    """

    reading: _Reading
    rows: list[Row] = field(default_factory=list)
    topics: list[Mapping[str, str]] = field(default_factory=list)
    refused: list[RefusedInput] = field(default_factory=list)
    began_ns: int = 0
    weight_bytes: int = 0
    dismissed_by: str = ""

    @property
    def is_full(self) -> bool:
        """Whether there may be more, which is left for the next batch."""
        count = len(self.rows) + len(self.refused)
        return count >= MAX_BATCH_RECORDS or self.weight_bytes >= MAX_BATCH_BYTES

    @property
    def enough(self) -> bool:
        """Whether to stop reading for now."""
        return self.is_full or bool(self.dismissed_by)

    def add(self, messages: Iterable[Frames]) -> None:
        """Add messages; what is no row is refused."""
        read_row, take_row = self.reading.row, self.rows.append
        has_sender, has_topic = self.reading.has_sender, self.reading.has_topic
        for frames in messages:
            self.weight_bytes += sum(map(len, frames))
            sender = frames.pop(0) if has_sender else b""
            try:
                take_row(read_row(frames[-1:] if has_topic and len(frames) == 2 else frames))
            except Unreadable as refusal:
                self._refuse(refusal, frames, sender)
            else:
                if has_topic:
                    self.topics.append(_topic(frames))

    def batch(self, now_ns: int) -> Batch:
        """Return all of it."""
        return Batch(
            rows=self.rows,
            read_at_ns=self.began_ns or now_ns,
            refused=self.refused,
            metadata=self.topics,
            more=self.is_full,
        )

    def _refuse(self, refusal: Unreadable, frames: Frames, sender: bytes) -> None:
        if refusal.reason == EXIT_REFUSED and self.reading.obeys_exit:
            self.dismissed_by = f"the sender {shown_sender(sender)}" if sender else "a sender"
            return
        self.refused.append(refused(refusal, frames, sender))


def _topic(frames: Frames) -> Mapping[str, str]:
    """Return the topic as metadata; a message of one frame has none but its own beginning."""
    return {"topic": frames[0].decode("utf-8", "backslashreplace")} if len(frames) > 1 else {}
