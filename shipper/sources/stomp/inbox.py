"""Where the receiver thread puts messages and the worker's thread takes them: bounded, and quick to wake."""

from __future__ import annotations

import threading
from collections import deque

from shipper.sources.stomp.messages import Frame


class Inbox:
    """A queue of messages that is taken in batches.

    It is full at `most_records`: then the receiver waits, and with it the broker. A broker that heeds the prefetch
    never gets there.
    """

    def __init__(self, *, most_records: int) -> None:
        self._most_records = most_records
        self._frames: deque[Frame] = deque()
        self._held_bytes = 0
        self._changed = threading.Condition(threading.Lock())
        self._wanted_records = 0
        self._wanted_bytes = 0
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Add a message, waiting while the inbox is full; once it is closed the message is dropped."""
        with self._changed:
            while len(self._frames) >= self._most_records and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            self._frames.append(frame)
            self._held_bytes += len(frame.body)
            if self._wanted_records and self._holds_enough():
                self._changed.notify_all()

    def take(
        self, *, most_records: int, most_bytes: int, wait_seconds: float, linger_seconds: float
    ) -> list[Frame]:
        """Wait for a message, and then a little for more of them.

        Args:
            most_records: How many to take at most, and not to wait for more.
            most_bytes: Do not wait for more than these; the message that passes them is still taken.
            wait_seconds: How long to wait for the first.
            linger_seconds: How long to wait for others once there is one.

        Returns:
            The oldest messages; none when none came in time, or the inbox is closed.
        """
        with self._changed:
            if not self._wait_until_enough(1, 1, wait_seconds):
                return []
            self._wait_until_enough(most_records, most_bytes, linger_seconds)
            taken = self._take(most_records, most_bytes)
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Wake everybody, and drop what is here and what comes."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()

    def _wait_until_enough(self, records: int, size_bytes: int, seconds: float) -> bool:
        """Wait for so many messages or so many bytes of them; False when there is no message at all."""
        self._wanted_records, self._wanted_bytes = records, size_bytes
        self._changed.wait_for(lambda: self._closed or self._holds_enough(), seconds)
        self._wanted_records = 0
        return bool(self._frames)

    def _holds_enough(self) -> bool:
        held_records = len(self._frames)
        return held_records >= self._wanted_records or (
            held_records > 0 and self._held_bytes >= self._wanted_bytes
        )

    def _take(self, most_records: int, most_bytes: int) -> list[Frame]:
        taken: list[Frame] = []
        taken_bytes = 0
        while self._frames and len(taken) < most_records and taken_bytes < most_bytes:
            frame = self._frames.popleft()
            taken_bytes += len(frame.body)
            taken.append(frame)
        self._held_bytes -= taken_bytes
        return taken
