"""A sink that fails the way a test wants it to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

from shipper.core.ports import Rejection
from shipper.core.record import Stream

Outcome = None | Exception | Sequence[Rejection]
"""What a write comes to: everything taken, an error, or some records refused."""


@dataclass
class FakeSink:
    """Deals with writes as it was told, in order, and takes everything once it was told no more.

    Attributes:
        outcomes: What the next writes come to.
        always: What every write comes to after that.
        max_records: A larger batch is too large for it, whatever it was told.
        written: The lines of every write, failed ones included.
        taken: The lines that it took.
        tried: Set after the first write.
    """

    outcomes: Sequence[Outcome] = ()
    always: Outcome = None
    max_records: int | None = None
    too_large: Exception | None = None
    name: str = "fake"
    lines_cut: int = 0
    cuts: int = 0
    written: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    closed: int = 0
    tried: Event = field(default_factory=Event)

    def write(self, stream: Stream) -> Sequence[Rejection]:
        self.written.append(list(stream.lines))
        try:
            return self._outcome(stream)
        finally:
            self.tried.set()

    def close(self) -> None:
        self.closed += 1

    def _outcome(self, stream: Stream) -> Sequence[Rejection]:
        if self.max_records is not None and len(stream) > self.max_records:
            assert self.too_large is not None
            raise self.too_large
        outcome = self.outcomes[0] if self.outcomes else self.always
        self.outcomes = self.outcomes[1:]
        if isinstance(outcome, Exception):
            raise outcome
        rejections = [] if outcome is None else [one for one in outcome if one.index < len(stream)]
        refused = {one.index for one in rejections}
        self.lines_cut += self.cuts
        self.taken += [line for index, line in enumerate(stream.lines) if index not in refused]
        return rejections
