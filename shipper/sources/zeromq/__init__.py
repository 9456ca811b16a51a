"""ZeroMQ: every message that comes to a socket is a row, JSON or frames as the broker of ReCodEx sends them.

The driver, pyzmq, is imported when a source is built; configuration and documentation work without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shipper.config.models import Seconds, Settings, SourceSettings
from shipper.config.secret import Secret
from shipper.core.checks import Check, Finding
from shipper.core.ports import Source
from shipper.sources.zeromq.channels.settings import WebSocketSettings
from shipper.sources.zeromq.checks import try_site, try_wire
from shipper.sources.zeromq.formats import RECODEX_KEYS
from shipper.sources.zeromq.wire import ANY_HOST, Z85_KEY, Curve, Endpoint, Wire

if TYPE_CHECKING:
    from shipper.sources.zeromq.channels.service import ChannelService

DEFAULT_BIND = "tcp://127.0.0.1:7894"
"""Where the broker of ReCodEx looks for its monitor."""

RECODEX_LABEL_FIELDS = ("command", "task_state")
RECODEX_METADATA_FIELDS = ("channel", "task_id")
"""How the messages of ReCodEx are filed: there are few commands and states, and new jobs all the time."""

CHANNELS_FOLDER = "channels"
"""Where channels are kept, in the state directory."""

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

    websocket: WebSocketSettings | None = Field(
        default=None, examples=[{"host": "127.0.0.1", "port": 4567}]
    )
    """Where the channels of ReCodEx are served. Absent: nowhere."""

    idle_seconds: Seconds = 3600
    """How long a channel is kept that is silent and did not finish."""

    @classmethod
    def complete(cls, metric: str, written: dict[str, Any]) -> dict[str, Any]:
        """File the messages of ReCodEx as they are looked for, unless the entry says otherwise."""
        del metric
        if written.get("format", "recodex") != "recodex":
            return written
        return {
            "label_fields": list(RECODEX_LABEL_FIELDS),
            "metadata_fields": list(RECODEX_METADATA_FIELDS),
        } | written

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
        self._channels_agree()
        return self

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check of every socket, and one of every port where channels are served."""
        del section
        return [
            Check(name, attempt, required=entry.required)
            for metric, entry in entries.items()
            if isinstance(entry, ZeromqSettings)
            for name, attempt in entry.attempts(metric)
        ]

    def attempts(self, metric: str) -> Iterator[tuple[str, Callable[[float], Finding]]]:
        """Yield what has to be tried before this entry can run, each with its name."""
        yield f"check_zeromq_{metric}", partial(try_wire, self.wire())
        if self.websocket is not None:
            yield (
                f"check_channels_{metric}",
                partial(try_site, self.websocket.site(self.idle_seconds)),
            )

    @property
    def takes(self) -> Sequence[str]:
        """The ports that are bound."""
        wire = self.wire()
        places = [wire.endpoint] if wire.binds else []
        if self.websocket is not None:
            places.append(self.websocket.endpoint)
        return [f"TCP port {place}" for place in places]

    @property
    def known_fields(self) -> Collection[str]:
        """What the frames of ReCodEx are; tasks are not the first that a job tells of."""
        return RECODEX_KEYS if self.format == "recodex" else ()

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; no socket is opened yet."""
        del section
        # Imported here: pyzmq is needed by who receives only.
        from shipper.sources.zeromq.source import ZeromqSource

        return ZeromqSource(
            self.wire(),
            self.format,
            obeys_exit=self.allow_remote_exit,
            channels=None
            if self.websocket is None
            else self._channels(self.websocket, metric, state_dir),
        )

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

    def _channels(
        self, websocket: WebSocketSettings, metric: str, state_dir: Path
    ) -> ChannelService:
        # Imported here: websockets is needed by who serves only.
        from shipper.sources.zeromq.channels.service import ChannelService

        path = state_dir / CHANNELS_FOLDER / f"{metric}.db"
        log = logging.getLogger(f"shipper.{metric}")
        return ChannelService(
            websocket.site(self.idle_seconds), websocket.limits(self.idle_seconds), path, log
        )

    def _keys(self) -> Curve | None:
        if self.curve is None:
            return None
        given = self.curve
        return Curve(given.secret_key, given.server_key, frozenset(given.client_keys or ()))

    def _channels_agree(self) -> None:
        if self.websocket is None:
            if "idle_seconds" in self.model_fields_set:
                raise ValueError("idle_seconds: is for channels, which need websocket")
            return
        if self.format != "recodex":
            raise ValueError("websocket: is for the format recodex")
        wire = self.wire()
        if wire.binds and wire.endpoint.port == self.websocket.port:
            raise ValueError("websocket.port: is the port of bind already")

    def _keys_agree(self) -> None:
        if self.curve is None:
            return
        if self.connect is None and self.curve.server_key is not None:
            raise ValueError("curve.server_key: is for connect; with bind we are the server")
        if self.connect is not None and self.curve.server_key is None:
            raise ValueError("curve.server_key: this key is missing beside connect")
        if self.connect is not None and self.curve.client_keys is not None:
            raise ValueError("curve.client_keys: are for bind; with connect we are the client")
