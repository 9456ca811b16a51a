"""Where channels are served, and how patient the server is with its clients."""

from __future__ import annotations

from dataclasses import dataclass
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError, SourceUnavailable
from shipper.sources.zeromq.wire import Endpoint

OTHER_FILES = 500
"""Files that the rest of a worker may have open: connections of senders, of Loki, and what is kept on disk."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place where channels are served.

    Attributes:
        endpoint: Where.
        token: What clients have to know; `None`: everybody may listen.
        most_clients: How many may be connected.
        naming_seconds: How long a client may take to name its channel.
        stalled_seconds: How long a client may take nothing while there is something for it.
        ping_seconds: How often a client is asked for a sign of life, and how long it may take to give one.
        idle_seconds: How long a client may wait for a channel that nobody has heard of.
    """

    endpoint: Endpoint
    token: Secret | None = None
    most_clients: int = 10_000
    naming_seconds: float = 30.0
    stalled_seconds: float = 30.0
    ping_seconds: float = 20.0
    idle_seconds: float = 3600.0

    def reveal(self) -> bytes:
        """Return the token; empty when there is none.

        Raises:
            SourceUnavailable: There is none where it should be.
        """
        if self.token is None:
            return b""
        try:
            return self.token.reveal().encode()
        except ConfigError as error:
            raise SourceUnavailable(str(error)) from None


def room_for(clients: int) -> int:
    """Return how many of so many clients this process may have files for, at its hard limit."""
    _, hard = getrlimit(RLIMIT_NOFILE)
    return max(1, min(clients, hard - OTHER_FILES))


def make_room_for(clients: int) -> int:
    """Raise the limit of open files as far as needed and allowed; return how many clients there is room for."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = min(clients + OTHER_FILES, hard)
    if wanted > soft:
        setrlimit(RLIMIT_NOFILE, (wanted, hard))
    return room_for(clients)
