"""What is written at once, when a stream cannot be written as a whole; and whose fault it is when a piece fails."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from shipper.core.record import Stream
from shipper.pipeline.queue import join

BOUNDED_TRIES = 10
"""How often a push is tried that may never be taken, like one over the limit of streams."""

TRIES_OF_A_PART = 2
"""How often a part of a push that failed so is tried before it is split further."""

TRIES_OF_A_RECORD = 5
"""How often a single record of it is tried before it is taken for the culprit, if others were taken meanwhile."""


@dataclass(slots=True)
class Piece:
    """Records that are written at once.

    Attributes:
        stream: The records.
        is_part: Whether it was split off something larger.
        restamped: Whether it was given the present time.
        tries: How often it failed for a reason that may be its own.
        failing_since_seconds: When it, or what it was split off, failed so first; 0 before.
        start: Where its first record stood in the stream that all pieces are of.
    """

    stream: Stream
    is_part: bool = False
    restamped: bool = False
    tries: int = 0
    failing_since_seconds: float = 0.0
    start: int = 0

    def failed(self, now_seconds: float) -> None:
        """Note a failure that may be its own fault."""
        self.tries += 1
        self.failing_since_seconds = self.failing_since_seconds or now_seconds

    @property
    def tried_enough(self) -> bool:
        """Whether another try of it as it is would tell nothing new."""
        if not self.is_part:
            return self.tries >= BOUNDED_TRIES
        return self.tries >= (TRIES_OF_A_PART if len(self.stream) > 1 else TRIES_OF_A_RECORD)

    def is_at_fault(self, last_passed_seconds: float) -> bool:
        """Tell whether a record that fails alone is to blame: others were taken since it failed first."""
        return len(self.stream) == 1 and last_passed_seconds > self.failing_since_seconds > 0


class Pieces:
    """The pieces of one stream that are not settled yet, in the order they are written."""

    def __init__(self, stream: Stream, *, failing_since_seconds: float = 0.0) -> None:
        """Begin with the stream as one piece; it may have been tried before."""
        self._waiting = deque([Piece(stream, failing_since_seconds=failing_since_seconds)])

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def first(self) -> Piece:
        """The piece that is written next."""
        return self._waiting[0]

    def take_first(self) -> Piece:
        """Take the first piece away: it is settled."""
        return self._waiting.popleft()

    def put_restamped(self, stream: Stream, start: int) -> None:
        """Put records first that were given the present time; they are of the piece that began at `start`."""
        self._waiting.appendleft(Piece(stream, is_part=True, restamped=True, start=start))

    def split_first(self) -> None:
        """Put the halves of the first piece in its place."""
        whole = self._waiting.popleft()
        middle = len(whole.stream) // 2
        for start, stop in ((middle, len(whole.stream)), (0, middle)):
            half = Piece(whole.stream.part(start, stop), is_part=True, restamped=whole.restamped)
            half.failing_since_seconds = whole.failing_since_seconds
            half.start = whole.start + start
            self._waiting.appendleft(half)

    def set_first_aside(self, last_passed_seconds: float) -> bool:
        """Write the others before the first; False when that would tell nothing new of any of them."""
        self._waiting.rotate(-1)
        return any(
            not piece.tried_enough or piece.is_at_fault(last_passed_seconds)
            for piece in self._waiting
        )

    def left(self) -> Stream | None:
        """Return what is not settled as one stream."""
        return join([piece.stream for piece in self._waiting]) if self._waiting else None
