"""What is put into a spool, and taken out of it, as one."""

from __future__ import annotations

from dataclasses import dataclass

from shipper.core.record import Stream


@dataclass(frozen=True, slots=True)
class Parcel:
    """A stream that waits.

    Attributes:
        stream: Never larger than one push may be, unless it is a single record.
        weight_bytes: What it weighs in a push before compression.
        put_ns: Since when it waits, nanoseconds since the Unix epoch.
        number: Its place on disk; 0 while it is in memory alone.
        turn: Which of the streams that were put in this process it belongs to, from 1; 0 for what comes from the disk.
        poll: The poll that brought it, for the log; empty for what an earlier run left on disk.
    """

    stream: Stream
    weight_bytes: int
    put_ns: int
    number: int = 0
    turn: int = 0
    poll: str = ""
