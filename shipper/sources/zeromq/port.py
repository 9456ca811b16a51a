"""Takes a TCP port of this machine: to listen there, or to see that it is free."""

from __future__ import annotations

import socket

from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.wire import Endpoint

BACKLOG = 1024
"""Connections that wait to be taken; Linux makes it less where net.core.somaxconn is."""


def listening(endpoint: Endpoint) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        SourceUnavailable: The port is taken, or the address is none of ours.
    """
    made = bound(endpoint)
    try:
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _refused(endpoint, error) from error
    return made


def bound(endpoint: Endpoint) -> socket.socket:
    """Return a socket that has the port and listens to nobody.

    Raises:
        SourceUnavailable: The port is taken, or the address is none of ours.
    """
    local = endpoint.found_here()
    made = None
    try:
        made = socket.socket(
            socket.AF_INET6 if local.is_ipv6 else socket.AF_INET, socket.SOCK_STREAM
        )
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if local.is_ipv6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((local.host, local.port))
    except OSError as error:
        if made is not None:
            made.close()
        raise _refused(endpoint, error) from error
    return made


def _refused(endpoint: Endpoint, error: OSError) -> SourceUnavailable:
    return SourceUnavailable(f"cannot listen on {endpoint}: {error.strerror}")
