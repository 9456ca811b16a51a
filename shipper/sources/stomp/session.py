"""One connection to a broker: login, one subscription, messages in, acknowledgements out, heart-beats both ways."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from shipper.core.errors import ConfigError, SourceTimeout, SourceUnavailable
from shipper.sources.stomp import taming
from shipper.sources.stomp.broker import NOT_IN_A_HEADER, Broker, Subscription
from shipper.sources.stomp.inbox import Inbox
from shipper.sources.stomp.messages import Frame
from shipper.sources.stomp.tls import client_context
from shipper.sources.stomp.wire import Wire, dial, words

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0

SILENT_BEATS = 2.5
"""For how many heart-beats a broker may be silent; ActiveMQ 5.17 leaves out the one that follows a message."""

MOST_BYTES = 1024 * 1024
"""How much a batch may hold before nothing more is waited for."""

LINGER_SECONDS = 0.05
"""How long a message waits for others: 20 batches a second cost little, and nobody sees the delay."""

_ABOUT_THE_LOGIN = re.compile(r"(?i)password|access refused|credential|authent|login|denied")
_ESCAPES = str.maketrans({"\\": "\\\\", ":": "\\c", "\n": "\\n", "\r": "\\r"})


class Session:
    """A connection that is logged in. One thread uses it, beside the two of its own."""

    def __init__(self, broker: Broker, wire: Wire, *, prefetch: int = 1) -> None:
        self._broker = broker
        # Twice the prefetch: a broker that heeds it never fills this, and one that does not is held back.
        self._inbox = Inbox(most_records=2 * prefetch)
        self._most_records = max(1, prefetch // 2)
        self._answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._asked = "the login"
        self._welcome: Mapping[str, str] = {}
        self._identifier = ""
        self._reason = ""
        self._over = threading.Event()
        self._line = taming.Line(wire, hear=self._hear, ended=self._line_ended)
        self._verbs = taming.verbs(self._line)
        self._beats: threading.Thread | None = None

    @property
    def server(self) -> str:
        """What the broker calls itself, like `ActiveMQ/5.17.2`; empty when it does not tell."""
        return self._welcome.get("server", "")

    @property
    def version(self) -> str:
        """The version of STOMP that the broker chose."""
        return self._welcome.get("version", "1.0")

    @property
    def silence_seconds(self) -> float | None:
        """After how long without a word the broker is taken for dead; `None` when it sends no heart-beats."""
        return self._line.silence_seconds

    def log_in(self, *, client_id: str | None, timeout_seconds: float) -> None:
        """Introduce ourselves, and agree on version and heart-beats.

        Raises:
            SourceUnavailable: The broker does not let us in; the text says why.
            SourceTimeout: It did not answer in time.
        """
        beat_ms = taming.milliseconds(self._broker.heartbeat_seconds)
        headers = {"heart-beat": f"{beat_ms},{beat_ms}"}
        if client_id is not None:
            headers["client-id"] = client_id
        password = _password(self._broker)
        with self._speaking():
            self._line.start()
            self._verbs.connect(
                self._broker.user, password, headers=headers, with_connect_command=True
            )
        self._welcome = self._answer(timeout_seconds).headers
        if self.version not in taming.VERSIONS.split(","):
            raise SourceUnavailable(f"{self._broker.far_end} speaks STOMP {self.version} only")
        self._asked = ""
        self._begin_heartbeats()

    def subscribe(self, subscription: Subscription, *, timeout_seconds: float) -> None:
        """Ask for messages, each to be acknowledged by itself.

        Raises:
            SourceUnavailable: The broker refuses it; the text says why.
            SourceTimeout: It did not answer in time.
        """
        self._asked = f"the subscription to {subscription.destination}"
        self._identifier = subscription.identifier
        headers = {**subscription.headers(), "receipt": "subscribed"}
        with self._speaking():
            self._verbs.subscribe(
                subscription.destination,
                id=self._identifier,
                ack="client-individual",
                headers=headers,
            )
        self._answer(timeout_seconds)
        self._asked = ""

    def take(self, timeout_seconds: float) -> list[Frame]:
        """Return the messages that came, at most half of the prefetch: the other half comes meanwhile.

        Raises:
            SourceUnavailable: The connection is gone; what was not taken comes again over the next one.
        """
        frames = self._inbox.take(
            most_records=self._most_records,
            most_bytes=MOST_BYTES,
            wait_seconds=timeout_seconds,
            linger_seconds=LINGER_SECONDS,
        )
        if self._over.is_set():
            raise SourceUnavailable(self._reason)
        return frames

    def tickets(self, frames: Iterable[Frame]) -> list[str]:
        """Return what messages are acknowledged by: STOMP 1.2 has a header for it, 1.1 takes the id."""
        header = "ack" if self.version == "1.2" else "message-id"
        return [frame.headers.get(header, "") for frame in frames]

    def acknowledge(self, tickets: Sequence[str]) -> None:
        """Let the broker forget messages: a frame for each, all of them sent at once.

        Raises:
            SourceUnavailable: The connection is gone; the messages come again over the next one.
        """
        with self._speaking():
            self._line.send("".join(map(self._ack, tickets)).encode())

    def close(self) -> None:
        """Say goodbye, so that the broker has seen every acknowledgement, and let go. Never raises."""
        self._inbox.close()
        if self._welcome and not self._over.is_set():
            self._asked = "the goodbye"
            self._line.send_seconds = CLOSE_SECONDS
            with contextlib.suppress(SourceUnavailable):
                with self._speaking():
                    self._verbs.send_frame("DISCONNECT", {"receipt": "goodbye"})
                self._answer(CLOSE_SECONDS)
        self._end(f"the connection to {self._broker.far_end} is closed")
        self._line.stop()
        if self._beats is not None:
            self._beats.join(timeout=1.0)

    def _hear(self, frame: Frame) -> None:
        """Take a frame, in the receiver's thread."""
        match frame.cmd:
            case "MESSAGE":
                self._inbox.put(frame)
            case "CONNECTED" | "RECEIPT":
                self._answers.put(frame)
            case "ERROR":
                self._end(self._error_text(frame))

    def _line_ended(self, error: Exception | None) -> None:
        """Take the reason why nothing more comes, in the receiver's thread."""
        far_end = self._broker.far_end
        match error:
            case None:
                during = f" instead of answering {self._asked}" if self._asked else ""
                self._end(f"{far_end} hung up{during}")
            case TimeoutError():
                seconds = self._line.silence_seconds
                self._end(f"{far_end} sent nothing for {seconds:g} s, not even heart-beats")
            case OSError():
                self._end(words(error, far_end))
            case _:
                self._end(f"{far_end} sends what is not STOMP: {error}")

    def _end(self, reason: str) -> None:
        """End the connection; the first reason is the one that counts."""
        self._reason = self._reason or reason
        self._over.set()
        self._line.cut()
        self._inbox.close()
        self._answers.put(None)

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            self._end(f"{self._broker.far_end} does not take what is sent to it")
            raise SourceUnavailable(self._reason) from None
        except OSError as error:
            # The receiver may just be reading why.
            self._over.wait(1.0)
            self._end(words(error, self._broker.far_end))
            raise SourceUnavailable(self._reason) from None

    def _answer(self, timeout_seconds: float) -> Frame:
        try:
            frame = self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            far_end = self._broker.far_end
            self._end(f"{far_end} did not answer {self._asked} within {timeout_seconds:g} s")
            raise SourceTimeout(self._reason) from None
        if frame is None:
            raise SourceUnavailable(self._reason)
        return frame

    def _begin_heartbeats(self) -> None:
        offered = self._broker.heartbeat_seconds
        ours, theirs = taming.agreed_heartbeats_seconds(self._welcome, offered)
        self._line.send_seconds = SILENT_BEATS * offered
        if theirs:
            self._line.silence_seconds = SILENT_BEATS * theirs
        if ours:
            self._beats = threading.Thread(
                # Twice as often as agreed: brokers differ in how much later they tolerate.
                target=self._beat,
                args=(ours / 2,),
                name="stomp heart-beat",
                daemon=True,
            )
            self._beats.start()

    def _beat(self, every_seconds: float) -> None:
        while not self._over.wait(every_seconds):
            with contextlib.suppress(SourceUnavailable), self._speaking():
                self._line.send(b"\n")

    def _ack(self, ticket: str) -> str:
        escaped = ticket.translate(_ESCAPES)
        if self.version == "1.2":
            return f"ACK\nid:{escaped}\n\n\0"
        return f"ACK\nsubscription:{self._identifier}\nmessage-id:{escaped}\n\n\0"

    def _error_text(self, frame: Frame) -> str:
        said = frame.headers.get("message", "").strip()
        more = frame.body.decode("utf-8", "replace").strip().partition("\n")[0]
        text = said if not more or more in said else f"{said}: {more}"
        if not self._asked:
            return f"{self._broker.far_end} reports an error: {text}"
        asked = self._asked
        if asked == "the login" and not _ABOUT_THE_LOGIN.search(text):
            asked = "the connection"
        return f"{self._broker.far_end} refuses {asked}: {text}"


def connect(
    broker: Broker,
    *,
    client_id: str | None = None,
    prefetch: int = 1,
    timeout_seconds: float = CONNECT_SECONDS,
) -> Session:
    """Connect and log in, once.

    Raises:
        SourceUnavailable: Nobody is there, there is no TLS with it, or it does not let us in; the text says which.
        SourceTimeout: No answer in time.
    """
    tls = None if broker.tls is None else client_context(broker.tls)
    wire = dial(broker.host, broker.port, tls=tls, timeout_seconds=timeout_seconds)
    session = Session(broker, wire, prefetch=prefetch)
    try:
        session.log_in(client_id=client_id, timeout_seconds=timeout_seconds)
    except SourceUnavailable:
        session.close()
        raise
    return session


def _password(broker: Broker) -> str | None:
    if broker.password is None:
        return None
    try:
        password = broker.password.reveal()
    except ConfigError as error:
        raise SourceUnavailable(str(error)) from None
    if any(character in password for character in NOT_IN_A_HEADER):
        raise SourceUnavailable("the password holds a line break, which STOMP cannot send")
    return password
