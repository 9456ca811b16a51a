"""What one channel has told so far, and what a client that has heard a part of it gets next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from itertools import islice

from shipper.sources.zeromq.channels.limits import CHANNEL_OVERHEAD_BYTES, MESSAGE_OVERHEAD_BYTES
from shipper.sources.zeromq.channels.outcomes import Outcome


class Forgotten(StrEnum):
    """Why a channel is not kept any more."""

    FINISHED = "finished"
    """It was over for long enough."""

    REUSED = "reused"
    """It was over, and its name came again."""

    SILENT = "silent"
    """It was not over, and nothing came for too long."""

    TOO_MANY = "too_many"
    """It was the oldest when there were too many."""

    TOO_LARGE = "too_large"
    """It was the oldest when all of them together were too large."""


class Farewell(Enum):
    """Why a client gets nothing more, with the close code of WebSocket (RFC 6455, 7.4) and the words beside it."""

    FINISHED = (1000, "")
    SILENT = (1001, "the channel was silent for too long and is forgotten")
    FORGOTTEN = (1013, "the channel is forgotten, because there are too many")
    SLOW = (1013, "messages came faster than they were taken")
    UNNAMED = (1008, "no channel was named in time")
    NO_TEXT = (1007, "the name of a channel is text in UTF-8")
    NO_NAME = (1008, "the name of a channel is not empty")

    @property
    def code(self) -> int:
        """The close code."""
        return self.value[0]

    @property
    def words(self) -> str:
        """What the client is told beside the code."""
        return self.value[1]


@dataclass(slots=True, eq=False)
class History:
    """One life of a channel: a name that comes again after FINISHED has another.

    Attributes:
        number: Its number; later lives have larger ones.
        name: The channel's name.
        last_ns: When its newest message came, nanoseconds since the Unix epoch.
        messages: What was told and is kept, oldest first.
        passed_over: How many were told before those, and are not kept.
        weight_bytes: What it takes in memory.
        is_over: Whether FINISHED came.
        outcome: How the newest attempt at the job ended.
        forgotten: Why it is not kept any more; `None` while it is.
    """

    number: int
    name: str
    last_ns: int = 0
    messages: deque[str] = field(default_factory=deque)
    passed_over: int = 0
    weight_bytes: int = 0
    is_over: bool = False
    outcome: Outcome = Outcome.OPEN
    forgotten: Forgotten | None = None

    def __post_init__(self) -> None:
        self.weight_bytes = CHANNEL_OVERHEAD_BYTES + 4 * len(self.name)
        self.weight_bytes += sum(map(weight_bytes, self.messages))

    @property
    def told(self) -> int:
        """How many messages it had so far."""
        return self.passed_over + len(self.messages)

    def add(self, text: str) -> None:
        """Add a message."""
        self.messages.append(text)
        self.weight_bytes += weight_bytes(text)

    def drop_oldest(self) -> None:
        """Pass the oldest message over."""
        self.weight_bytes -= weight_bytes(self.messages.popleft())
        self.passed_over += 1

    def portion(self, heard: int, most: int) -> list[str] | Farewell | None:
        """Return what comes next for a client that has heard so many; `None` when it has to wait for more.

        Args:
            heard: How many messages it has heard, with those that were passed over before it came.
            most: How many messages at once.
        """
        if heard < self.passed_over:
            return Farewell.SLOW
        start = heard - self.passed_over
        if start < len(self.messages):
            return list(islice(self.messages, start, start + most))
        if self.is_over:
            return Farewell.FINISHED
        match self.forgotten:
            case None:
                return None
            case Forgotten.SILENT:
                return Farewell.SILENT
            case _:
                return Farewell.FORGOTTEN


def weight_bytes(text: str) -> int:
    """Return what a message takes in memory; its text is ASCII."""
    return len(text) + MESSAGE_OVERHEAD_BYTES
