"""STOMP: receives the messages of a topic or a queue from a broker, ActiveMQ or RabbitMQ.

The driver, stomp.py, is imported when a source is built; configuration and documentation work without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shipper.config.models import Port, Seconds, Settings, SourceSettings
from shipper.config.secret import Secret
from shipper.core.checks import Check
from shipper.core.ports import Source
from shipper.sources.stomp.broker import Broker, Subscription, TlsFiles
from shipper.sources.stomp.checks import try_login

# STOMP ends a header with its line, and has no escape for that in a CONNECT frame.
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\r\n\x00]*$")]

# Text in a file becomes a path, which pydantic's strict mode would refuse.
FilePath = Annotated[Path, Field(strict=False)]

MOST_PREFETCH_RECORDS = 65535
"""RabbitMQ counts it in 16 bits."""


class StompSettings(SourceSettings):
    """A topic or a queue of a message broker."""

    # The broker keeps what is not acknowledged, so reading can stop while there is no room.
    can_wait: ClassVar[bool] = True
    waits: ClassVar[bool] = True
    keeps_cursor: ClassVar[bool] = False
    gives_metadata: ClassVar[bool] = True
    example_metric: ClassVar[str] = "timeframes"

    type: Literal["stomp"] = "stomp"
    """A topic or a queue of a message broker that speaks STOMP."""

    host: Text = Field(examples=["broker.example"])
    """Name or address of the broker. With `ssl` its certificate has to name it."""

    port: Port = 61613
    """The broker's STOMP port."""

    destination: Text = Field(examples=["/topic/runs"])
    """What to receive, like `/topic/runs` or `/queue/runs`; a name without a slash in front means `/topic/<name>`."""

    user: Text | None = None
    """Whom to log in as."""

    password: Secret | None = None
    """Password of `user`."""

    ssl: bool = False
    """`true`: speak TLS 1.2 or newer, and verify the broker's certificate with `ca_certs`. There is no way round it."""

    ca_certs: FilePath | None = None
    """Certificates of the authorities that are believed, in PEM. `ssl` needs it."""

    cert: FilePath | None = None
    """Our own certificate, for brokers that want one, in PEM."""

    key: FilePath | None = None
    """Its key, in PEM and not encrypted. Default: it is in the file `cert`."""

    selector: Text | None = None
    """Receive only messages whose headers fulfil this SQL condition. ActiveMQ knows it, RabbitMQ does not."""

    durable: Text | None = None
    """A name, one for each subscriber: under it the broker keeps what a topic gets while Shipper is away."""

    prefetch: int = Field(default=1000, ge=1, le=MOST_PREFETCH_RECORDS)
    """How many messages the broker sends ahead of their acknowledgement; a batch has half as many at most."""

    heartbeat_seconds: Seconds = 10
    """How often each side shows that it lives. A broker that is silent for 2.5 times as long is taken for dead."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse what would be less than it looks like, above all plain text where TLS was meant."""
        if self.ssl and self.ca_certs is None:
            raise ValueError("ca_certs: ssl needs it; nothing is sent without verifying the broker")
        if not self.ssl and (self.ca_certs or self.cert or self.key):
            raise ValueError("ssl: must be true where ca_certs, cert or key are given")
        if self.key is not None and self.cert is None:
            raise ValueError("cert: this key is missing beside key")
        if self.password is not None and self.user is None:
            raise ValueError("user: this key is missing beside password")
        if self.durable is not None and self.full_destination.startswith("/queue/"):
            raise ValueError("durable: is for topics; a queue keeps its messages anyway")
        return self

    @property
    def full_destination(self) -> str:
        """The destination as the broker knows it."""
        given = self.destination
        return given if given.startswith("/") else f"/topic/{given}"

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check for every entry: it logs in, and subscribes to nothing."""
        del section
        return [
            Check(
                f"check_stomp_{metric}",
                partial(try_login, entry.broker(), entry.subscription()),
                required=entry.required,
            )
            for metric, entry in entries.items()
            if isinstance(entry, StompSettings)
        ]

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is connected yet."""
        del metric, section, state_dir
        # Imported here: stomp.py is needed by who connects only.
        from shipper.sources.stomp.source import StompSource

        return StompSource(self.broker(), self.subscription())

    def instance(self, section: Settings | None) -> str:
        """Return `host:port` of the broker."""
        del section
        return self.broker().far_end

    def broker(self) -> Broker:
        """Return where the broker is, and how it lets us in."""
        files = None if self.ca_certs is None else TlsFiles(self.ca_certs, self.cert, self.key)
        return Broker(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            tls=files,
            heartbeat_seconds=self.heartbeat_seconds,
        )

    def subscription(self) -> Subscription:
        """Return what is received."""
        return Subscription(
            destination=self.full_destination,
            selector=self.selector,
            durable=self.durable,
            prefetch=self.prefetch,
        )
