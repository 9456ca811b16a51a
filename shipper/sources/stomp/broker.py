"""What a connection has to know: where the broker is and how it lets us in, and what is subscribed to there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shipper.config.secret import Secret

NOT_IN_A_HEADER = ("\n", "\r", "\0")
"""What would end a header's line; STOMP 1.1 and 1.2 have no escapes for them in a CONNECT frame."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files for TLS, in PEM: whom we believe, and who we are."""

    ca_certs: Path
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """A message broker, and our login there.

    Attributes:
        host: Its name or address; a certificate has to name it.
        port: Its STOMP port.
        user: Whom to log in as; `None` for brokers that let everybody in.
        password: The password of `user`.
        tls: `None` for plain text.
        heartbeat_seconds: How often each side shows that it lives.
    """

    host: str
    port: int
    user: str | None = None
    password: Secret | None = None
    tls: TlsFiles | None = None
    heartbeat_seconds: float = 10.0

    @property
    def far_end(self) -> str:
        """Where the connection leads, as `host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to receive.

    Attributes:
        destination: As the broker knows it, like `/topic/runs`.
        selector: An SQL condition over headers, for brokers that know it.
        durable: A name under which the broker keeps what comes while we are away.
        prefetch: How many unacknowledged messages the broker may have sent.
    """

    destination: str
    selector: str | None = None
    durable: str | None = None
    prefetch: int = 1000

    @property
    def identifier(self) -> str:
        """Its id on the connection. RabbitMQ makes the name of a durable queue from it, so it stays the same."""
        return self.durable or "shipper"

    def headers(self) -> dict[str, str]:
        """Return the headers of its SUBSCRIBE frame in ActiveMQ's words and RabbitMQ's: each ignores the other's."""
        headers = {
            "activemq.prefetchSize": str(self.prefetch),
            "prefetch-count": str(self.prefetch),
        }
        if self.selector is not None:
            headers["selector"] = self.selector
        if self.durable is not None:
            # ActiveMQ 5 names the subscription here, and the client in the CONNECT frame; RabbitMQ 3 keeps a queue.
            headers["activemq.subscriptionName"] = self.durable
            headers |= {"durable": "true", "auto-delete": "false"}
        return headers
