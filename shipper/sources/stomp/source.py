"""One subscription as a source: each read returns the messages that came, and an acknowledgement names a read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.record import Batch, Cursor
from shipper.sources.stomp import session
from shipper.sources.stomp.broker import Broker, Subscription
from shipper.sources.stomp.messages import harvest


class StompSource:
    """Receives the messages of one subscription.

    Its cursor is the number of the connection and that of the read. It says what to acknowledge and nothing of where
    to resume: the broker remembers that.
    """

    def __init__(
        self,
        broker: Broker,
        subscription: Subscription,
        *,
        clock: Clock | None = None,
        connect: Callable[..., session.Session] = session.connect,
    ) -> None:
        self._broker = broker
        self._subscription = subscription
        self._clock = clock or SystemClock()
        self._connect = connect
        self._session: session.Session | None = None
        self._connections = 0
        self._reads = 0
        self._unacknowledged: deque[tuple[int, list[str]]] = deque()

    def open(self, cursor: Cursor | None = None) -> None:
        del cursor  # the broker sends again what was not acknowledged
        self.close()
        self._connections += 1
        self._session = self._connect(
            self._broker,
            client_id=self._subscription.durable,
            prefetch=self._subscription.prefetch,
        )
        try:
            self._session.subscribe(self._subscription, timeout_seconds=session.CONNECT_SECONDS)
        except SourceUnavailable:
            self.close()
            raise

    def read(self, timeout_seconds: float) -> Batch:
        if self._session is None:
            raise SourceUnavailable(f"not connected to {self._broker.far_end}")
        try:
            frames = self._session.take(timeout_seconds)
        except SourceUnavailable:
            self.close()
            raise
        read_at_ns = self._clock.now_ns()
        if not frames:
            return Batch(read_at_ns=read_at_ns)
        self._reads += 1
        self._unacknowledged.append((self._reads, self._session.tickets(frames)))
        reaped = harvest(frames)
        return Batch(
            rows=reaped.rows,
            read_at_ns=read_at_ns,
            cursor=(self._connections, self._reads),
            refused=reaped.refused,
            metadata=reaped.metadata,
        )

    def acknowledge(self, cursor: Cursor) -> None:
        """Acknowledge every message up to this read; those of an earlier connection come again by themselves."""
        match cursor:
            case (self._connections, int(last_read)) if self._session is not None:
                tickets: list[str] = []
                while self._unacknowledged and self._unacknowledged[0][0] <= last_read:
                    tickets += self._unacknowledged.popleft()[1]
                self._session.acknowledge(tickets)

    def close(self) -> None:
        session, self._session = self._session, None
        self._unacknowledged.clear()
        if session is not None:
            session.close()
