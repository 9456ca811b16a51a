"""The TCP port that the REST interface listens on."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from shipper.core.errors import SourceUnavailable

BACKLOG = 2048
"""How many connections wait to be taken; jobs of an array all come at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen.

    Attributes:
        host: Name or address, IPv4 or IPv6.
        port: From 0, which lets the system choose, to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine gets there."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def bind(self) -> socket.socket:
        """Return a socket that listens here.

        Raises:
            SourceUnavailable: The host is none of ours, the port is taken, or we may not have it.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except (OSError, UnicodeError) as error:
            raise SourceUnavailable(f"{self.host} is not a host that can be found") from error
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            raise SourceUnavailable(f"cannot listen on {self}: {error.strerror}") from error
        return bound
