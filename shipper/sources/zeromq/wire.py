"""How a ZeroMQ socket is to be made: which kind, where, under which name, and with which keys.

Nothing here needs ZeroMQ itself, so that configuration and documentation work without it.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Literal

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError, SourceUnavailable

Kind = Literal["router", "dealer", "pull", "sub"]

ANY_HOST = "*"
"""Every IPv4 address of this machine, as ZeroMQ writes it."""

Z85_KEY = r"^[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$"
"""A key of CURVE: 32 bytes in Z85 (ZeroMQ RFC 32)."""

_ADDRESS = re.compile(r"tcp://(?:\[(?P<bare>[^\]\s]+)\]|(?P<host>[^:/\[\]\s]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a TCP connection.

    Attributes:
        host: Name or address, IPv4 or IPv6, or `*`.
        port: From 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `tcp://host:port`, an IPv6 address in brackets.

        Raises:
            ValueError: It looks different.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or not 1 <= int(found["port"]) <= 65535:
            raise ValueError("must look like tcp://127.0.0.1:7894 or tcp://[::1]:7894")
        return cls(found["bare"] or found["host"], int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def found_here(self) -> Endpoint:
        """Return the same with an address for its host, which can be bound if it is one of this machine.

        Raises:
            SourceUnavailable: The host cannot be found.
        """
        if self.host == ANY_HOST:
            # The operator asks for every address.
            return Endpoint("0.0.0.0", self.port)  # noqa: S104  # nosec B104
        return Endpoint(self._addresses()[0], self.port)

    def is_only_ipv6(self) -> bool:
        """Tell whether the far end can be reached over IPv6 alone.

        ZeroMQ tries one address of a name, and with IPv6 allowed that is the one of `localhost` where few listen.

        Raises:
            SourceUnavailable: The host cannot be found.
        """
        return all(":" in address for address in self._addresses())

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (OSError, UnicodeError) as error:
            raise SourceUnavailable(f"{self.host} is not a host that can be found") from error
        return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class Curve:
    """Keys for CURVE, which encrypts, and lets each side know the other. Keys are 40 characters of Z85.

    Attributes:
        secret_key: Ours; the public key follows from it.
        server_key: The public key of the far end, where we connect; else `None`.
        client_keys: The public keys that may send to us, where we bind; none: everybody who knows our public key.
    """

    secret_key: Secret
    server_key: str | None = None
    client_keys: frozenset[str] = frozenset()

    def reveal(self) -> str:
        """Return our secret key.

        Raises:
            SourceUnavailable: There is none where it should be, or it is no key.
        """
        try:
            key = self.secret_key.reveal()
        except ConfigError as error:
            raise SourceUnavailable(str(error)) from None
        if re.fullmatch(Z85_KEY, key) is None:
            raise SourceUnavailable("the secret key of CURVE is not 40 characters of Z85")
        return key


@dataclass(frozen=True, slots=True)
class Wire:
    """Everything that makes one socket.

    Attributes:
        endpoint: Where.
        binds: Whether others connect to us; else we connect to them.
        kind: Which kind of socket.
        identity: The name under which others address us; matters to `router` and `dealer`. Empty: none.
        topics: What a `sub` asks for, each the beginning of what it wants; none: everything.
        most_queued_records: How many messages ZeroMQ holds for us, for each connection.
        curve: Keys; `None`: anybody may talk, and everybody may listen.
    """

    endpoint: Endpoint
    binds: bool = True
    kind: Kind = "router"
    identity: str = ""
    topics: tuple[str, ...] = ()
    most_queued_records: int = 1000
    curve: Curve | None = None
