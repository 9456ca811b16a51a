"""Everything Shipper knows about stomp.py 8.2.0, of which it uses the frames, the verbs and the receiver's loop.

What the library does not do, or does wrong, and what is done about it here:

- Importing it asks the DNS for this machine's name: it is told not to.
- Its socket has no deadline for sending: a frozen broker would hold an acknowledgement, and behind it the heart-beats,
  for ever. It lets two threads into one TLS connection, and makes a TLS context that it cannot be given. So it gets a
  transport of ours, over a `Wire`.
- `connect` tries three times, with pauses: here it is one attempt, and the pump has the back-off.
- `wait_for_connection` never ends if nothing comes: `Session` waits for the answer itself.
- The heart-beat thread takes a receiver that is held up for a dead broker, sends late rather than early, and sleeps on
  after the end: it is left out (heart-beats of 0), and `Session` sends them. Silence is noticed by who receives.
- What goes wrong in the receiver's thread vanishes into a debug line or onto standard error: here it is kept.
- It reads 1 KiB at a time: `Wire` reads more.
- Log lines of frames that are sent show the password: nothing is logged here.
- CONNECT offers one version: here 1.2 and 1.1, and the broker decides.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("STOMP_SKIP_HOSTNAME_SCAN", "1")

from stomp.connect import StompConnection12
from stomp.protocol import Protocol12
from stomp.transport import BaseTransport
from stomp.utils import calculate_heartbeats, convert_frame

from shipper.sources.stomp.messages import Frame
from shipper.sources.stomp.wire import Wire

VERSIONS = "1.2,1.1"
VIRTUAL_HOST = "/"
"""RabbitMQ's default, and nothing to ActiveMQ; stomp.py would name the host, which RabbitMQ knows no such by."""

FIRST_SEND_SECONDS = 10.0


class Line(BaseTransport):  # type: ignore[misc]
    """A transport of stomp.py over a wire that is connected: tells every frame, and once how it ended.

    Attributes:
        silence_seconds: How long the broker may say nothing; `None` as long as nothing was agreed.
        send_seconds: How long it may take to send something.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        hear: Callable[[Frame], None],
        ended: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(auto_decode=False, is_eol_fc=StompConnection12.is_eol)
        self.vhost = VIRTUAL_HOST
        self.current_host_and_port = (VIRTUAL_HOST, 0)
        self.silence_seconds: float | None = None
        self.send_seconds = FIRST_SEND_SECONDS
        self._wire = wire
        self._hear = hear
        self._ended = ended
        self._broken_by: Exception | None = None
        self.override_threading(self._receiver)

    def process_frame(self, f: Frame, frame_str: bytes) -> None:
        """Tell the session alone: looking for listeners costs as much as the rest of the loop."""
        del frame_str
        self._hear(f)

    def transmit(self, frame: object) -> None:
        """Send a frame without writing its headers, and with them the password, to the log."""
        self.send(b"".join(convert_frame(frame)))

    def send(self, encoded_frame: bytes) -> None:
        """Send bytes, within the deadline.

        Raises:
            OSError: The connection broke, or the far end does not take them.
        """
        self._wire.send(encoded_frame, timeout_seconds=self.send_seconds)

    def receive(self) -> bytes:
        """Return what comes; nothing at the end. The library forgets the reason, so it is kept."""
        try:
            return self._wire.receive(silence_seconds=self.silence_seconds)
        except OSError as error:
            self._broken_by = error
            return b""

    def notify(self, frame_type: str, frame: object = None) -> None:
        """Tell no listeners: there are none."""

    def cut(self) -> None:
        """End the connection at once, from any thread."""
        self.running = False
        self._wire.cut()

    def stop(self) -> None:
        """Cut the wire, wait until the receiver has ended, and let go of the socket."""
        self.cut()
        if self.receiver_thread is not None:
            self.receiver_thread.join(timeout=1.0)
        self._wire.close()

    def _receiver(self, loop: Callable[[], None]) -> threading.Thread:
        def receive_until_the_end() -> None:
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - the outermost loop of a thread: what else would tell it
                self._broken_by = error
            self._wire.cut()
            self._ended(self._broken_by)

        thread = threading.Thread(target=receive_until_the_end, name="stomp receiver", daemon=True)
        thread.start()
        return thread


def verbs(line: Line) -> Any:  # noqa: ANN401 - stomp.py has no types
    """Return stomp.py's CONNECT, SUBSCRIBE and so on over a line."""
    protocol = Protocol12(line, heartbeats=(0, 0))
    protocol.version = VERSIONS
    return protocol


def agreed_heartbeats_seconds(
    connected: Mapping[str, str], offered_seconds: float
) -> tuple[float, float]:
    """Return how often we have to show that we live, and how often the broker does; 0 for never."""
    offered_ms = milliseconds(offered_seconds)
    theirs = connected.get("heart-beat", "0,0").replace(" ", "").split(",")
    send_ms, receive_ms = calculate_heartbeats(theirs, (offered_ms, offered_ms))
    return send_ms / 1000, receive_ms / 1000


def milliseconds(seconds: float) -> int:
    """Return a time as the header `heart-beat` has it."""
    return max(1, round(seconds * 1000))
