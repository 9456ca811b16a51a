"""How much is kept of channels, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_SECOND = 1_000_000_000
MIB = 1024 * 1024

LONGEST_NAME_BYTES = 1024
"""What a client may send to name a channel. The ids of ReCodEx have some 40."""

MESSAGE_OVERHEAD_BYTES = 100
"""What a message takes beside its text: the object, and its place in the history (CPython 3.11, 64 bit)."""

CHANNEL_OVERHEAD_BYTES = 1500
"""What a channel takes beside its messages: an empty deque alone has 760."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept.

    Attributes:
        forget_seconds: How long a channel is kept after FINISHED.
        idle_seconds: How long any other channel is kept after its newest message.
        most_channels: How many channels.
        most_messages: How many messages of each channel.
        most_bytes: What all of them together may take in memory.
    """

    forget_seconds: float = 300.0
    idle_seconds: float = 3600.0
    most_channels: int = 10_000
    most_messages: int = 10_000
    most_bytes: int = 64 * MIB
