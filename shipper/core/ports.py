"""The two plugs of the house: where records come from, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shipper.core.record import Batch, Cursor, Stream


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that a sink will never take.

    Attributes:
        index: Its place in the stream that was written, from 0.
        reason: One word or two for a counter's label, like `too_old`.
        answer: What the far end said, as far as it is worth keeping.
    """

    index: int
    reason: str
    answer: str = ""


class Source(Protocol):
    """Where records come from. One instance belongs to one worker process and one thread."""

    def open(self, cursor: Cursor | None = None) -> None:
        """Connect. May be called again after `SourceUnavailable`, and then starts afresh.

        Args:
            cursor: Where to go on reading, as a batch of this source once gave it; `None` for the beginning that is
                configured. Sources without a memory pay no heed to it.

        Raises:
            SourceUnavailable: Not reachable now, or it does not let us in now.
            SourceRefused: It can never work here, or the cursor does not fit what it reads.
        """

    def read(self, timeout_seconds: float) -> Batch:
        """Return what is ready, waiting at most `timeout_seconds`.

        Raises:
            SourceUnavailable: The connection is gone; call `open` before the next read.
            ReadRefused: The far end answered with an error; the connection stands.
            SourceRefused: There will never be an answer.
            SourceEnded: Nothing more will come, as it was ordered.
        """

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell the far end that everything up to `cursor` is safe and may be forgotten.

        Raises:
            SourceUnavailable: The connection is gone; what was not acknowledged will come again.
        """

    def close(self) -> None:
        """Let go of the connection within a few seconds. Never raises; safe to call twice."""


class Sink(Protocol):
    """Where records go. Writing is at least once: after a lost answer a record may arrive twice.

    One instance belongs to one thread. `write` connects when it has to.
    """

    @property
    def name(self) -> str:
        """The sink's name in counters, like `loki`."""

    @property
    def lines_cut(self) -> int:
        """How many lines were delivered without their end, because the far end has a limit; only grows."""

    def write(self, stream: Stream) -> Sequence[Rejection]:
        """Deliver the records of one stream and name those that were refused for good.

        Raises:
            SinkUnavailable: Nothing is known to be written; try the same records later.
            BatchToSplit: Not taken as a whole; write fewer records at a time.
            BatchRefused: Nothing was written and nothing ever will be.
        """

    def close(self) -> None:
        """Let go of the connection. Never raises; safe to call twice."""
