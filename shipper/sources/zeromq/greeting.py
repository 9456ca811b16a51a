"""Asks a far end whether it speaks ZeroMQ, and how it lets others in, without becoming its peer.

A socket that only looked would be handed messages, which nobody would read. So this speaks the first bytes of ZMTP 3
(ZeroMQ RFC 23) itself and hangs up before the handshake.
"""

from __future__ import annotations

import socket

from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.wire import Endpoint

OUR_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
OUR_VERSION = b"\x03"
"""A far end sends the rest of its greeting when it knows that we speak version 3."""

GREETING_BYTES = 64
SIGNATURE_BYTES = 10
MECHANISM = slice(12, 32)


def mechanism(endpoint: Endpoint, deadline_seconds: float) -> str:
    """Return how the far end lets others in: `NULL` (everybody), `CURVE` (with keys) or `PLAIN`.

    Raises:
        SourceUnavailable: Nobody answers there, or somebody who speaks something else.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), deadline_seconds) as far_end:
            far_end.sendall(OUR_SIGNATURE + OUR_VERSION)
            greeting = _received(far_end)
    except TimeoutError:
        raise SourceUnavailable(f"{endpoint} does not answer") from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceUnavailable(f"{endpoint} cannot be reached: {reason}") from error
    if len(greeting) < GREETING_BYTES or not _is_signature(greeting[:SIGNATURE_BYTES]):
        raise SourceUnavailable(f"{endpoint} does not speak ZMTP 3")
    return greeting[MECHANISM].rstrip(b"\0").decode("ascii", "replace")


def _received(far_end: socket.socket) -> bytes:
    """Return the greeting, or what came of it before the far end hung up or said something else."""
    greeting = b""
    while len(greeting) < GREETING_BYTES and greeting[:1] in (b"", OUR_SIGNATURE[:1]):
        part = far_end.recv(GREETING_BYTES - len(greeting))
        if not part:
            break
        greeting += part
    return greeting


def _is_signature(start: bytes) -> bool:
    """Tell whether this is a signature; what stands between its first and last byte does not matter."""
    return start[:1] == OUR_SIGNATURE[:1] and start[-1:] == OUR_SIGNATURE[-1:]
