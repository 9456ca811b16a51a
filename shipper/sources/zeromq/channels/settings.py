"""What may be written about channels, under `websocket`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from shipper.config.models import Port, Seconds, Settings
from shipper.config.secret import Secret
from shipper.sources.zeromq.channels.limits import MIB, Limits
from shipper.sources.zeromq.channels.site import Site
from shipper.sources.zeromq.wire import Endpoint


def _host(text: str) -> str:
    if not text or any(each in text for each in "[]/ "):
        raise ValueError("must be a name or an address, like 127.0.0.1 or ::1, without brackets")
    return text


class WebSocketSettings(Settings):
    """Where channels are served, and how much is kept of them."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """Address to listen on. `*` is every IPv4 address, `::` also IPv6."""

    port: Port
    """Port to listen on."""

    token: Secret | None = None
    """What clients have to send as `?token=`. Absent: whoever knows the id of a job may listen."""

    forget_seconds: Seconds = 300
    """How long a channel is kept after FINISHED."""

    max_channels: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many channels are kept; beyond it the oldest is forgotten."""

    max_channel_messages: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many messages of a channel are kept; beyond it the oldest is passed over."""

    max_bytes: int = Field(default=64 * MIB, ge=2 * MIB)
    """What all channels together may take in memory; beyond it the oldest are forgotten."""

    max_clients: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many clients may be connected; beyond it a new one is refused."""

    naming_seconds: Seconds = 30
    """How long a client may take to name its channel."""

    stalled_seconds: Seconds = 30
    """How long a client may take nothing while there is something for it."""

    ping_seconds: Seconds = 20
    """How often a client is asked for a sign of life, and how long it may take to give one."""

    @property
    def endpoint(self) -> Endpoint:
        """Where to listen."""
        return Endpoint(self.host, self.port)

    def site(self, idle_seconds: float) -> Site:
        """Return where channels are served, for an entry whose silent channels are kept for so long."""
        return Site(
            endpoint=self.endpoint,
            token=self.token,
            most_clients=self.max_clients,
            naming_seconds=self.naming_seconds,
            stalled_seconds=self.stalled_seconds,
            ping_seconds=self.ping_seconds,
            idle_seconds=idle_seconds,
        )

    def limits(self, idle_seconds: float) -> Limits:
        """Return how much is kept, for such an entry."""
        return Limits(
            forget_seconds=self.forget_seconds,
            idle_seconds=idle_seconds,
            most_channels=self.max_channels,
            most_messages=self.max_channel_messages,
            most_bytes=self.max_bytes,
        )
