"""Serves channels over WebSocket, in a thread of its own: however slow its clients are, nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
from collections import Counter
from collections.abc import Collection
from http import HTTPStatus
from logging import Logger
from threading import Event, Lock, Thread
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.channels.history import Farewell
from shipper.sources.zeromq.channels.limits import LONGEST_NAME_BYTES
from shipper.sources.zeromq.channels.listeners import Left, Listener, Listeners
from shipper.sources.zeromq.channels.site import Site, make_room_for
from shipper.sources.zeromq.port import listening

OPEN_SECONDS = 10.0
"""How long a connection may take to become a WebSocket."""

CLOSE_SECONDS = 2.0
"""How long a client may take to say goodbye; one that is frozen is hung up on."""

STOP_SECONDS = 6.0
"""How long the thread may take to end when it is told to."""

UNANNOUNCED = 100
"""Connections beyond `most_clients` that are still told why they are refused; more are hung up on."""

# What strangers send to a port is no trouble of ours, and the library would tell every bit of it with a traceback.
_SILENT = logging.Logger("websockets", logging.CRITICAL + 1)


class ChannelServer:
    """Clients name a channel, and get what it told and tells until it is over."""

    def __init__(self, site: Site, listeners: Listeners, log: Logger) -> None:
        self._site = site
        self._listeners = listeners
        self._log = log
        self._token = b""
        self._most_clients = site.most_clients
        self._clients: set[ServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._news: set[str] = set()
        self._closed: Counter[str] = Counter()
        self._fault = ""

    @property
    def fault(self) -> str:
        """Why nobody is served; empty while somebody may be."""
        if self._fault or self._thread is None or self._thread.is_alive():
            return self._fault
        return "its thread has ended"

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def closed(self) -> Counter[str]:
        """Return how many connections ended since it was last asked, by reason."""
        with self._lock:
            closed, self._closed = self._closed, Counter()
        return closed

    def open(self) -> None:
        """Listen, and serve from now on.

        Raises:
            SourceUnavailable: The port is taken, the address is none of ours, or the token cannot be read.
        """
        self._token = self._site.reveal()
        door = listening(self._site.endpoint)
        self._most_clients = make_room_for(self._site.most_clients)
        if self._most_clients < self._site.most_clients:
            self._log.warning(
                "There is room for %(room)d clients of channels, not %(wanted)d: raise the limit of open files.",
                {
                    "event": "clients_limited",
                    "room": self._most_clients,
                    "wanted": self._site.most_clients,
                },
            )
        ready = Event()
        self._thread = Thread(target=self._run, args=(door, ready), name="channels", daemon=True)
        self._thread.start()
        ready.wait()
        if self._fault:
            self.close()
            raise SourceUnavailable(f"channels cannot be served: {self._fault}")

    def wake(self, names: Collection[str]) -> None:
        """Tell the clients of these channels that there is something new; never waits for any of them."""
        with self._lock:
            is_told = bool(self._news)
            self._news.update(names)
        if self._news and not is_told and self._loop is not None:
            # A loop that has ended has nobody to tell; `fault` says why it ended.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Say goodbye to everybody, for some seconds at most. Never raises; safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(STOP_SECONDS)
        if thread.is_alive():
            self._log.warning(
                "There are too many clients of channels to say goodbye to; the rest are hung up on.",
                {"event": "clients_hung_up_on"},
            )

    # In its own thread

    def _run(self, door: socket.socket, ready: Event) -> None:
        try:
            asyncio.run(self._main(door, ready))
        except Exception as error:  # noqa: BLE001 - the thread's outermost call: the source is told
            self._log.exception(
                "The server of channels ends because of a fault of ours.", {"event": "fault"}
            )
            self._fault = str(error) or type(error).__name__
        finally:
            door.close()
            ready.set()

    async def _main(self, door: socket.socket, ready: Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await serve(
            self._attend,
            sock=door,
            process_request=self._admit,
            create_connection=_bounded(self._most_clients + UNANNOUNCED),
            # A compressor for each client would take more memory than all that it ever sends.
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=self._site.ping_seconds,
            ping_timeout=self._site.ping_seconds,
            close_timeout=CLOSE_SECONDS,
            max_size=LONGEST_NAME_BYTES,
            logger=_SILENT,
        )
        ready.set()
        await self._stop.wait()
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await server.wait_closed()
        for client in self._clients:
            client.transport.abort()

    def _wake(self) -> None:
        with self._lock:
            names, self._news = self._news, set()
        self._listeners.wake(names)

    def _admit(self, client: ServerConnection, request: Request) -> Response | None:
        """Refuse a connection that knows no token, or for which there is no room."""
        if self._token and not _knows(self._token, request):
            self._count("token")
            return client.respond(HTTPStatus.UNAUTHORIZED, "A token is needed: ?token=...\n")
        if len(self._clients) >= self._most_clients:
            self._count("full")
            return client.respond(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many clients.\n")
        return None

    async def _attend(self, client: ServerConnection) -> None:
        self._clients.add(client)
        try:
            farewell = await self._tell_all(client)
            self._count(farewell.name.lower())
            await _dismiss(client, farewell)
        except (ConnectionClosed, Left):
            self._count("gone")
        except Exception:  # noqa: BLE001 - the outermost call of a client: the others go on
            self._log.exception(
                "A client of a channel is hung up on because of a fault of ours.",
                {"event": "fault"},
            )
            client.transport.abort()
        finally:
            self._clients.discard(client)

    async def _tell_all(self, client: ServerConnection) -> Farewell:
        """Tell a client all it wants to know, and return why there is nothing more."""
        name = await self._named(client)
        if isinstance(name, Farewell):
            return name
        with self._listeners.joined(name) as listener:
            hearing = asyncio.create_task(_hear(client, listener))
            try:
                return await self._tell(client, listener)
            finally:
                hearing.cancel()

    async def _named(self, client: ServerConnection) -> str | Farewell:
        try:
            async with asyncio.timeout(self._site.naming_seconds):
                named = await client.recv()
            name = named if isinstance(named, str) else named.decode()
        except TimeoutError:
            return Farewell.UNNAMED
        except UnicodeDecodeError:
            return Farewell.NO_TEXT
        return name or Farewell.NO_NAME

    async def _tell(self, client: ServerConnection, listener: Listener) -> Farewell:
        while True:
            match self._listeners.portion(listener):
                case list() as texts:
                    if not await self._sent(client, texts):
                        return Farewell.SLOW
                    # Who takes everything at once must not keep the others from their turn.
                    await asyncio.sleep(0)
                case Farewell() as farewell:
                    return farewell
                case None:
                    if not await listener.more(self._site.idle_seconds):
                        return Farewell.SILENT

    async def _sent(self, client: ServerConnection, texts: list[str]) -> bool:
        """Send, and tell whether the client took it in time."""
        try:
            async with asyncio.timeout(self._site.stalled_seconds):
                for text in texts:
                    await client.send(text)
        except TimeoutError:
            return False
        return True

    def _count(self, reason: str) -> None:
        with self._lock:
            self._closed[reason] += 1


async def _dismiss(client: ServerConnection, farewell: Farewell) -> None:
    """Say goodbye to a client, and hang up on one that takes nothing any more.

    The library (websockets 16) waits for room for its goodbye as long as the connection stands.
    """
    try:
        async with asyncio.timeout(2 * CLOSE_SECONDS):
            await client.close(farewell.code, farewell.words)
    except TimeoutError:
        client.transport.abort()


async def _hear(client: ServerConnection, listener: Listener) -> None:
    """Pass over what a client says beyond its channel, and notice when it hangs up."""
    try:
        async for _ in client:
            pass
    except ConnectionClosed:
        pass  # without a goodbye: all the same to us
    finally:
        listener.leave()


def _knows(token: bytes, request: Request) -> bool:
    told = parse_qs(urlsplit(request.path).query).get("token", [""])[-1]
    return hmac.compare_digest(told.encode("utf-8", "surrogatepass"), token)


def _bounded(most: int) -> type[ServerConnection]:
    """Return a kind of connection of which there are never more than so many, not even for a moment."""

    class Bounded(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if len(self.server.handlers) > most:
                self.transport.abort()

    return Bounded
