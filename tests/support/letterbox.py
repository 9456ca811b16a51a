"""Where dead letters go in tests that have no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shipper.core.ports import Rejection
from shipper.core.record import Stream


@dataclass
class FakeLetterbox:
    """Keeps what it gets while there is a disk, and room."""

    usable: bool = True
    room: int = 1000
    kept: list[tuple[bytes, str]] = field(default_factory=list)

    def add(self, stream: Stream, rejections: Sequence[Rejection], *, sink: str) -> int:
        if not self.usable:
            raise OSError(28, "No space left on device")
        fitting = rejections[: self.room - len(self.kept)]
        self.kept += [(stream.lines[one.index], one.reason) for one in fitting]
        return len(fitting)
