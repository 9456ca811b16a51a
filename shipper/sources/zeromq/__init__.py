"""ZeroMQ: every message that comes to a socket is a row, JSON or frames as the broker of ReCodEx sends them.

The driver, pyzmq, is imported when a source is built; configuration and documentation work without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shipper.config.models import Port, Seconds, Settings, SourceSettings
from shipper.config.secret import Secret
from shipper.core.checks import Check
from shipper.core.ports import Source
from shipper.sources.zeromq.checks import try_wire
from shipper.sources.zeromq.wire import ANY_HOST, Z85_KEY, Curve, Endpoint, Wire

DEFAULT_BIND = "tcp://127.0.0.1:7894"
"""Where the broker of ReCodEx looks for its monitor."""

LONGEST_IDENTITY_BYTES = 255
"""ZeroMQ keeps the length of a name in one byte."""


def _address(text: str) -> str:
    Endpoint.parse(text)
    return text


def _identity(text: str) -> str:
    if not 1 <= len(text.encode()) <= LONGEST_IDENTITY_BYTES or text.startswith("\0"):
        raise ValueError(f"must have 1 to {LONGEST_IDENTITY_BYTES} bytes, the first of them not 0")
    return text


Address = Annotated[str, AfterValidator(_address)]
Key = Annotated[str, StringConstraints(pattern=Z85_KEY)]


class CurveSettings(Settings):
    """Keys of CURVE, which encrypts and tells each side who the other is; 40 characters of Z85 each."""

    secret_key: Secret
    """Our secret key; our public key follows from it."""

    server_key: Key | None = None
    """With `connect`: the far end's public key."""

    client_keys: Annotated[list[Key], Field(min_length=1)] | None = None
    """With `bind`: the public keys that may send. Absent: everybody who knows our public key."""


class WebSocketSettings(Settings):
    """Where channels would be served."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Port
    """Port to listen on."""


class ZeromqSettings(SourceSettings):
    """Messages that come to a ZeroMQ socket."""

    waits: ClassVar[bool] = True
    keeps_cursor: ClassVar[bool] = False

    example_metric: ClassVar[str] = "recodex"

    type: Literal["zeromq"] = "zeromq"
    """Messages that come to a ZeroMQ socket."""

    bind: Address = DEFAULT_BIND
    """Where others connect to us, like `tcp://127.0.0.1:7894`. `*` is every IPv4 address, `[::]` also IPv6."""

    connect: Address | None = None
    """Where we connect to, instead of `bind`."""

    socket: Literal["router", "dealer", "pull", "sub"] = "router"
    """The kind of our socket, which has to suit the senders'."""

    identity: Annotated[str, AfterValidator(_identity)] = "recodex-monitor"
    """The name under which a ROUTER sends to us; for `router` and `dealer`."""

    topics: list[str] = Field(default=[])
    """For `sub`: how the messages that are wanted begin. Empty: all messages."""

    format: Literal["recodex", "json"] = "recodex"
    """What a message is: frames of the broker of ReCodEx, or a JSON object."""

    receive_high_water_mark_records: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many messages of each connection ZeroMQ holds while nobody reads."""

    curve: CurveSettings | None = None
    """Keys of CURVE. Absent: no encryption, and whoever reaches the port may send."""

    allow_remote_exit: bool = False
    """`true`: the command `exit` of ReCodEx ends this metric. Else it is refused."""

    websocket: WebSocketSettings | None = None
    """Where the channels of ReCodEx are served. This version serves none, and refuses the key."""

    idle_seconds: Seconds | None = None
    """How long a silent channel is kept. This version serves none, and refuses the key."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse keys that would do nothing."""
        given = self.model_fields_set
        if self.connect is not None and "bind" in given:
            raise ValueError("connect: stands instead of bind, not beside it")
        if self.connect is not None and Endpoint.parse(self.connect).host == ANY_HOST:
            raise ValueError("connect: * is no far end")
        if "identity" in given and self.socket not in ("router", "dealer"):
            raise ValueError("identity: is for the sockets router and dealer")
        if self.topics and self.socket != "sub":
            raise ValueError("topics: are for the socket sub")
        if self.allow_remote_exit and self.format != "recodex":
            raise ValueError("allow_remote_exit: is for the format recodex")
        self._keys_agree()
        return self

    def objections(self, section: Settings | None) -> Sequence[str]:
        """Refuse what this version cannot do."""
        del section
        return [
            f"{key}: this version serves no channels; leave the key out"
            for key in ("websocket", "idle_seconds")
            if getattr(self, key) is not None
        ]

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check of every socket."""
        del section
        return [
            Check(
                f"check_zeromq_{metric}", partial(try_wire, entry.wire()), required=entry.required
            )
            for metric, entry in entries.items()
            if isinstance(entry, ZeromqSettings)
        ]

    @property
    def takes(self) -> Sequence[str]:
        """The port that is bound."""
        wire = self.wire()
        return (f"TCP port {wire.endpoint}",) if wire.binds else ()

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; no socket is opened yet."""
        del metric, section, state_dir
        # Imported here: pyzmq is needed by who receives only.
        from shipper.sources.zeromq.source import ZeromqSource

        return ZeromqSource(self.wire(), self.format, obeys_exit=self.allow_remote_exit)

    def instance(self, section: Settings | None) -> str:
        """Return `host:port` of our end, or of the far one where we connect."""
        del section
        return str(self.wire().endpoint)

    def wire(self) -> Wire:
        """Return how the socket is made."""
        return Wire(
            endpoint=Endpoint.parse(self.connect or self.bind),
            binds=self.connect is None,
            kind=self.socket,
            identity=self.identity,
            topics=tuple(self.topics),
            most_queued_records=self.receive_high_water_mark_records,
            curve=self._keys(),
        )

    def _keys(self) -> Curve | None:
        if self.curve is None:
            return None
        given = self.curve
        return Curve(given.secret_key, given.server_key, frozenset(given.client_keys or ()))

    def _keys_agree(self) -> None:
        if self.curve is None:
            return
        if self.connect is None and self.curve.server_key is not None:
            raise ValueError("curve.server_key: is for connect; with bind we are the server")
        if self.connect is not None and self.curve.server_key is None:
            raise ValueError("curve.server_key: this key is missing beside connect")
        if self.connect is not None and self.curve.client_keys is not None:
            raise ValueError("curve.client_keys: are for bind; with connect we are the client")
