"""A UDP port of this machine: bound, with a receive buffer of a size that is asked for and looked at.

Numbers that Python's socket module does not name are those of Linux, `asm-generic/socket.h`.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from shipper.core.errors import SourceUnavailable

SO_RCVBUFFORCE = 33
"""Sets the size beyond `net.core.rmem_max`; wants CAP_NET_ADMIN."""

SO_MEMINFO = 55
"""Nine numbers of 32 bits about a socket (Linux 4.12); the last is how many datagrams were dropped."""

MEMINFO = struct.Struct("=9I")


@dataclass(frozen=True, slots=True)
class LocalPort:
    """Where to listen, and with how much room.

    Attributes:
        host: Name or address, IPv4 or IPv6.
        number: From 1 to 65535.
        buffer_bytes: The receive buffer that is asked for, as in SO_RCVBUF: the kernel gives twice of it, half for
            its own bookkeeping.
    """

    host: str
    number: int
    buffer_bytes: int

    def __str__(self) -> str:
        return with_port(self.host, self.number)

    def bind(self) -> socket.socket:
        """Return a socket that listens here.

        Raises:
            SourceUnavailable: The host is none of ours, the port is taken, or we may not have it.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.number, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
        except (OSError, UnicodeError) as error:
            raise SourceUnavailable(f"{self.host} is not a host that can be found") from error
        bound = socket.socket(family, kind, protocol)
        try:
            _enlarge(bound, self.buffer_bytes)
            bound.bind(address)
        except OSError as error:
            bound.close()
            raise SourceUnavailable(f"cannot listen on {self}: {error.strerror}") from error
        return bound


def given_buffer_bytes(bound: socket.socket) -> int:
    """Return the size of the receive buffer in the numbers it is asked for in."""
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def dropped_datagrams(bound: socket.socket) -> int:
    """Return how many datagrams the kernel threw away at this socket, modulo 2**32."""
    numbers = MEMINFO.unpack(bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))
    return int(numbers[-1])


def with_port(host: str, number: int) -> str:
    """Return `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _enlarge(unbound: socket.socket, buffer_bytes: int) -> None:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
    except PermissionError:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
