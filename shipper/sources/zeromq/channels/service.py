"""Puts channels together for a source: what it received is kept, told to who listens, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from logging import Logger
from pathlib import Path
from threading import Lock

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.record import Measured, Row
from shipper.sources.zeromq.channels.archive import Archive
from shipper.sources.zeromq.channels.channels import Channels
from shipper.sources.zeromq.channels.history import History
from shipper.sources.zeromq.channels.limits import Limits
from shipper.sources.zeromq.channels.listeners import Listeners
from shipper.sources.zeromq.channels.messages import message_of
from shipper.sources.zeromq.channels.server import ChannelServer
from shipper.sources.zeromq.channels.site import Site
from shipper.telemetry import families


class ChannelService:
    """The channels of one source. Belongs to its thread; only the server has one of its own."""

    def __init__(
        self, site: Site, limits: Limits, path: Path, log: Logger, *, clock: Clock | None = None
    ) -> None:
        self._site = site
        self._limits = limits
        self._clock = clock or SystemClock()
        self._log = log
        self._archive = Archive(path, clock=self._clock, log=log)
        self._channels = Channels(limits)
        # The server looks into histories while the source lets them grow.
        self._lock = Lock()
        self._server: ChannelServer | None = None

    def open(self) -> None:
        """Serve what was kept, and from now on what is published.

        Raises:
            SourceUnavailable: The port is taken, or the address is none of ours.
        """
        self.close()
        self._channels = Channels(self._limits, self._archive.open())
        self.publish(())
        self._server = ChannelServer(self._site, Listeners(self._find, self._lock), self._log)
        try:
            self._server.open()
        except SourceUnavailable:
            self.close()
            raise

    def raise_fault(self) -> None:
        """Say so if nobody is served any more.

        Raises:
            SourceUnavailable: The server has ended.
        """
        if self._server is None or self._server.fault:
            fault = "" if self._server is None else self._server.fault
            raise SourceUnavailable(f"channels are not served: {fault or 'they are closed'}")

    def publish(self, rows: Iterable[Row]) -> None:
        """Keep what came, forget what is overdue, and tell who listens. What is kept outlives us when this returns."""
        messages = [message_of(row) for row in rows]
        now_ns = self._clock.now_ns()
        with self._lock:
            self._channels.forget_overdue(now_ns)
            for message in messages:
                self._channels.take(message, now_ns)
            changes = self._channels.changes()
        if not changes:
            return
        self._archive.keep(changes, lambda: self._channels)
        if self._server is not None:
            self._server.wake(changes.names)

    def counted(self) -> Measured:
        """Return what happened since it was last asked, by the name of its counter."""
        counts = self._channels.counts()
        closed = {} if self._server is None else self._server.closed()
        named: Mapping[str, Mapping[str, int]] = {
            families.CHANNEL_JOBS.name: counts.jobs,
            families.CHANNEL_TASKS.name: counts.tasks,
            families.CHANNELS_FORGOTTEN.name: counts.forgotten,
            families.CHANNEL_MESSAGES_DROPPED.name: counts.dropped,
            families.CHANNEL_CLIENTS_CLOSED.name: closed,
        }
        return {
            name: {(str(value),): float(count) for value, count in series.items()}
            for name, series in named.items()
            if series
        }

    def shown(self) -> Measured:
        """Return how much there is now, by the name of its gauge."""
        clients = 0 if self._server is None else self._server.clients
        return {
            families.CHANNELS.name: {(): float(len(self._channels))},
            families.CHANNEL_CLIENTS.name: {(): float(clients)},
        }

    def close(self) -> None:
        """Let go of clients and file. Never raises; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._archive.close()

    def _find(self, name: str) -> History | None:
        return self._channels.find(name)
