"""Tells systemd, or whoever started us and set NOTIFY_SOCKET, how the run is going.

The protocol is that of sd_notify(3), systemd 252: datagrams of `NAME=value` lines to a local socket. Without the
variable nothing is sent, and nothing that goes wrong with the socket ever stops a run.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from shipper.core.clock import Clock
from shipper.supervise.lifecycle import Phase, Worker

SEND_SECONDS = 1.0
"""How long a datagram may wait for room in the socket of the other side."""

EXTENSION_SECONDS = 30.0
EXTEND_EVERY_SECONDS = 5.0
TROUBLED_SHOWN = 3
STATUS_CHARACTERS = 1000
"""systemd takes datagrams of at most 4096 bytes (NOTIFY_BUFFER_MAX)."""

MICROSECONDS = 1_000_000


@dataclass(slots=True)
class Notifier:
    """Sends what changed, and the sign of life that was asked for.

    Attributes:
        clock: Time.
        address: Path of the socket, or `@` and an abstract name; empty when nobody listens.
        watchdog_seconds: How long we may be silent; 0 when nobody minds.
    """

    clock: Clock
    address: str = ""
    watchdog_seconds: float = 0.0
    _ready: bool = False
    _status: str = ""
    _watched_seconds: float | None = None

    @classmethod
    def taken_from(cls, variables: MutableMapping[str, str], *, pid: int, clock: Clock) -> Notifier:
        """Make one from the environment, and take the variables out of it: they are meant for process `pid` alone."""
        address = variables.pop("NOTIFY_SOCKET", "")
        microseconds = variables.pop("WATCHDOG_USEC", "")
        watched = variables.pop("WATCHDOG_PID", str(pid)) == str(pid)
        if not address.startswith(("/", "@")):
            return cls(clock)
        if not watched or not microseconds.isdecimal():
            return cls(clock, address)
        return cls(clock, address, int(microseconds) / MICROSECONDS)

    def ready(self) -> None:
        """Say that the run, or a reload, is under way; said once."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self._ready = False
        now_microseconds = int(self.clock.monotonic_seconds() * MICROSECONDS)
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_microseconds}")

    def stopping(self) -> None:
        """Say that the run ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line how it goes; said when it changed."""
        line = " ".join(text.split())[:STATUS_CHARACTERS]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Say that the loop turns; said three times in the time that was granted, however often it is called."""
        if not self.watchdog_seconds:
            return
        now = self.clock.monotonic_seconds()
        if (
            self._watched_seconds is None
            or now - self._watched_seconds >= self._alive_every_seconds
        ):
            self._watched_seconds = now
            self._send("WATCHDOG=1")

    @contextmanager
    def patience(self, most_seconds: float) -> Iterator[None]:
        """Ask for more time while the block runs, and show a sign of life, but for no longer than `most_seconds`."""
        if not self.address:
            yield
            return
        over = Event()
        until = self.clock.monotonic_seconds() + most_seconds
        asking = Thread(target=self._ask_for_time, args=(over, until), name="patience", daemon=True)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()

    @property
    def _alive_every_seconds(self) -> float:
        return self.watchdog_seconds / 3

    def _ask_for_time(self, over: Event, until_seconds: float) -> None:
        every_seconds = min(EXTEND_EVERY_SECONDS, self._alive_every_seconds or EXTEND_EVERY_SECONDS)
        while self.clock.monotonic_seconds() < until_seconds:
            self._send(f"EXTEND_TIMEOUT_USEC={int(EXTENSION_SECONDS * MICROSECONDS)}")
            self.alive()
            if over.wait(every_seconds):
                return

    def _send(self, *lines: str) -> None:
        if not self.address:
            return
        path = self.address
        name = f"\0{path[1:]}" if path.startswith("@") else path
        # Who asked to be told and does not listen misses it; that is no trouble of the run.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(SEND_SECONDS)
            out.sendto("\n".join(lines).encode(), name)


def status_text(workers: Mapping[str, Worker]) -> str:
    """Return how many workers run, and why the others do not."""
    running = sum(worker.phase is Phase.RUNNING for worker in workers.values())
    troubled = [
        f"{name}: {worker.reason}"
        for name, worker in workers.items()
        if worker.phase is not Phase.RUNNING and worker.reason
    ]
    shown = troubled[:TROUBLED_SHOWN]
    if len(troubled) > len(shown):
        shown.append(f"and {len(troubled) - len(shown)} more")
    return "; ".join([f"{running} of {len(workers)} workers run", *shown])
